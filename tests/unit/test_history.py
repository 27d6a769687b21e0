"""Does the checker of histories find what can't be true, and nothing else?"""

from dataclasses import replace

import pytest

from tests.support.history import Step, faults

GOOD = (
    Step("sign-in", "s", "ok", 1, 2, given="a"),
    Step("refresh", "s", "info", 3, 6, shown="a"),
    Step("use", "s", "ok", 4, 5),
    Step("refresh", "s", "ok", 7, 8, shown="a", given="b"),
    Step("refresh", "s", "ok", 9, 12, shown="a", given="b"),
    Step("use", "s", "fail", 10, 11, code="unavailable"),
    Step("terminate", "s", "info", 13, 14),
    Step("use", "s", "ok", 15, 16),
    Step("terminate", "s", "ok", 17, 20),
    Step("use", "s", "ok", 18, 21),
    Step("use", "s", "fail", 19, 22, code="session_ended"),
    Step("refresh", "s", "fail", 23, 24, shown="b", code="session_ended"),
    Step("use", "t", "ok", 25, 26),
)


def test_a_history_that_can_be_is_found_good() -> None:
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("number", "step", "found"),
    [
        (4, replace(GOOD[4], given="c"), "two successors"),
        (11, replace(GOOD[11], outcome="ok", given="c", code=""), "came back"),
        (12, replace(GOOD[12], session="s"), "came back"),
        (7, replace(GOOD[7], outcome="fail", code="token_invalid"), "lost"),
        (3, replace(GOOD[3], outcome="fail", code="token_invalid"), "lost"),
        (2, replace(GOOD[2], outcome="fail", code="session_ended"), "ended by nobody"),
        (12, replace(GOOD[12], outcome="fail", code="session_ended"), "ended by nobody"),
    ],
)
def test_a_history_with_one_step_that_cannot_be_is_found_out(
    number: int, step: Step, found: str
) -> None:
    wrong = faults([*GOOD[:number], step, *GOOD[number + 1 :]])
    assert any(fault.startswith(found) and repr(step) in fault for fault in wrong)


def test_a_termination_without_an_answer_happens_at_once_or_never() -> None:
    """It can't end a session that was seen alive after it."""
    late = Step("use", "s", "fail", 17, 18, code="session_ended")
    assert faults([*GOOD[:7], late]) == []
    assert faults([*GOOD[:8], late]) == [f"ended by nobody: {late}"]
