"""Whatever a header says, the reader gets a language, and the one they would rather have."""

from hypothesis import given
from hypothesis import strategies as st

from lastcall.web.translation import HEADER_LIMIT, LANGUAGES, choose

HEADER = st.text(st.characters(max_codepoint=255), max_size=2 * HEADER_LIMIT)
PIECES = st.lists(
    st.sampled_from([*"de,;=-* q", "q=", "0.", "en", "de-", ";q=1", ";q=0", "9" * 50, "\0", "é"]),
    max_size=200,
).map("".join)


@given(st.one_of(HEADER, PIECES))
def test_every_header_yields_a_language(accepted: str) -> None:
    assert choose(accepted) in LANGUAGES.values()


QUALITIES = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@given(st.permutations(sorted(LANGUAGES)), st.data())
def test_the_best_quality_wins_and_the_earlier_of_equals(
    tags: list[str], data: st.DataObject
) -> None:
    qualities = {tag: data.draw(QUALITIES, tag) for tag in tags}
    accepted = ", ".join(f"{tag}-x;q={quality:.3f}" for tag, quality in qualities.items())
    best = max(tags, key=lambda tag: qualities[tag])
    assert choose(accepted).tag == (best if qualities[best] else "en")
