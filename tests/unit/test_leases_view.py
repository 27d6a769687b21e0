"""What a check reads of a view, with another thread between any two of its steps."""

from collections.abc import Callable
from unittest import mock

import pytest

from lastcall.events import Position, Timeline
from lastcall.leases.endings import Endings, Over
from lastcall.leases.messages import Happened
from lastcall.leases.view import Begun, Verdict, View

FIRST = Timeline(1, "first")
TOKEN = Position("epoch", FIRST, 3)


def ended_view() -> View:
    """A view in which the token's session has ended."""
    view = View("epoch", (Begun(FIRST, 1),), 4, 0, {})
    view.apply("a", Happened(5, "session_ended", 7, session="s", reason="signed_out"))
    return view


def forgetting(view: View) -> None:
    """What the other thread does: the floor rises past the end, which is forgotten then."""
    view.raise_floor(5)


def judged(view: View) -> Verdict | Over:
    return view.judge("a", "u", "s", TOKEN)


def test_an_ended_session_is_told_as_ended_and_after_it_is_forgotten_as_too_old() -> None:
    view = ended_view()
    assert judged(view) == Over("signed_out", 7)
    forgetting(view)
    assert judged(view) is Verdict.REFRESH


@pytest.mark.parametrize("step", ["ended", "stale"])
@pytest.mark.parametrize("before", [True, False])
def test_no_moment_at_which_an_end_is_forgotten_lets_its_session_in(
    step: str, before: bool
) -> None:
    """The floor is read last (rule 19): what is forgotten in between is caught by it."""
    view = ended_view()
    real: Callable[..., object] = getattr(Endings, step)

    def interrupted(self: Endings, *about: object) -> object:
        if before:
            forgetting(view)
        found = real(self, *about)
        if not before:
            forgetting(view)
        return found

    with mock.patch.object(Endings, step, interrupted):
        assert judged(view) is not Verdict.LIVES


def test_a_floor_that_is_read_before_the_sets_would_let_it_in() -> None:
    """The test above can fail: so would a check that reads in the other order."""
    view = ended_view()
    floor = view.floor
    forgetting(view)
    assert TOKEN.seq >= floor
    assert view.of("a").ended("s", "u", TOKEN.seq) is None


def test_a_token_from_after_the_view_is_for_somebody_else_to_judge() -> None:
    view = ended_view()
    assert view.judge("a", "u", "other", TOKEN._replace(seq=6)) is Verdict.AHEAD
    later = Position("epoch", Timeline(2, "second"), 4)
    assert view.judge("a", "u", "other", later) is Verdict.AHEAD


@pytest.mark.parametrize(
    "position",
    [
        Position("another", FIRST, 3),
        Position("epoch", Timeline(1, "twin"), 3),
        Position("epoch", Timeline(0, "older"), 3),
        Position("epoch", FIRST, 0),
    ],
    ids=["epoch", "twin", "older", "before the beginning"],
)
def test_a_token_from_another_log_needs_a_refresh(position: Position) -> None:
    assert ended_view().judge("a", "u", "other", position) is Verdict.REFRESH


def test_what_an_older_timeline_had_past_its_end_is_of_another_log() -> None:
    view = ended_view()
    view.apply(None, Happened(6, "timeline_opened", 0, timeline="2.second"))
    assert view.contains(Position("epoch", FIRST, 5))
    assert not view.contains(Position("epoch", FIRST, 6))
    assert view.contains(Position("epoch", Timeline(2, "second"), 6))
