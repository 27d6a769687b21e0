"""User-Agents and client hints of whoever means ill: short, plain text comes out all the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastcall.device.agent import NAME_LIMIT, USER_AGENT_LIMIT, recognise
from lastcall.device.model import HINT_HEADERS
from tests.support.agents import MAC, WINDOWS, WITHOUT_HINTS, assert_bounded, chrome, hints

HOSTILE = {
    "64-kib": "A" * 65536,
    "64-kib-of-a-browser": chrome(WINDOWS) * 500,
    "digits": "Chrome/" + "9" * 65536,
    "nul": "Chrome/1\0.0\0",
    "markup": '<script>alert(1)</script>/1 "><img src=x onerror=alert(1)>',
    "template": "{{7*7}}/7 ${7*7} <%= 7*7 %>",
    "right-to-left": "\u202emoc.elgoog\u202c/1 \u2066Chrome\u2069/1",
    "ansi": "\x1b[31mred\x1b[0m/1",
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469/1",
    "surrogate": "\ud800Chrome/142\udfff",
    "line-breaks": "Chrome/142\r\nSet-Cookie: a=b\u2028\u2029",
    "quotes": '"' * 65536,
    "escapes": '"' + '\\"' * 32768,
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_gets_through_nowhere(hostile: str) -> None:
    """Whatever stands in the User-Agent or a hint, the outcome is short, plain text."""
    assert_bounded(recognise(hostile, {}))
    assert_bounded(recognise(hostile, dict.fromkeys(HINT_HEADERS, hostile)))
    quoted = dict.fromkeys(HINT_HEADERS, f'"{hostile}";v="{hostile}"')
    assert_bounded(recognise(chrome(MAC), quoted))
    assert_bounded(recognise(chrome(hostile), {}))
    assert_bounded(recognise(f"{hostile}/1.0", {}))


def test_only_the_beginning_of_a_user_agent_is_looked_at() -> None:
    """What stands beyond the limit has no say."""
    assert recognise(" " * USER_AGENT_LIMIT + chrome(MAC), {}).os is None


def test_a_long_brand_is_cut() -> None:
    """A name is as long as the limit at most, whatever a brand says."""
    assert recognise(None, {"sec-ch-ua": f'"{"B" * 200}";v="1"'}).browser == "B" * NAME_LIMIT


def test_a_version_of_other_digits_is_none() -> None:
    """Arabic digits are digits to Unicode and no version here."""
    assert recognise(chrome(MAC), hints("macOS", "\u0661\u0665.0.0")).os_version is None


anything = st.one_of(
    st.text(st.characters()),
    st.text(st.sampled_from('"\\;,=v?()/. 019NotABrdChromeWinmcOS\u0661')),
    st.sampled_from([user_agent or "" for user_agent, _ in WITHOUT_HINTS.values()]),
)


@settings(deadline=None)
@given(
    user_agent=st.one_of(st.none(), st.lists(anything, max_size=3).map(" ".join)),
    sent=st.dictionaries(st.sampled_from(HINT_HEADERS), anything),
)
def test_no_text_at_all_raises(user_agent: str | None, sent: dict[str, str]) -> None:
    """Any User-Agent with any hints yields a device within bounds."""
    assert_bounded(recognise(user_agent, sent))
