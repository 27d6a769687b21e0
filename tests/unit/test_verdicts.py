"""The judge of histories finds what must not be, and nothing else."""

import pytest

from tests.support.verdicts import (
    BOUND,
    Check,
    Confirmed,
    Confirming,
    Durable,
    Record,
    faults,
    longest,
    read,
    write,
)

ENDED = Confirmed(10.0, "node", "e1", frozenset({"session"}))


def judged(*history: Record) -> list[str]:
    """The kinds of the faults."""
    return [fault.partition(":")[0] for fault in faults(history, 30.0 * BOUND)]


def test_an_ended_session_that_is_accepted_after_the_confirmation_is_unsafe() -> None:
    assert judged(ENDED, Check(10.1, "v", ("token", "session"), "accepted")) == ["unsafe"]


def test_the_first_confirmation_counts_whoever_says_it_and_in_whatever_order() -> None:
    later = Confirmed(20.0, "other", "e1", frozenset({"session"}))
    check = Check(15.0, "v", ("session",), "accepted")
    assert judged(later, check, ENDED) == ["unsafe"]


@pytest.mark.parametrize(
    "check",
    [
        Check(10.0, "v", ("session",), "accepted"),
        Check(11.0, "v", ("session",), "refused"),
        Check(11.0, "v", ("session",), "unavailable"),
        Check(11.0, "v", ("another",), "accepted"),
    ],
)
def test_a_check_that_began_before_or_refuses_or_shows_another_is_no_fault(check: Check) -> None:
    assert judged(ENDED, check) == []


def test_a_confirmation_that_takes_longer_than_the_bound_is_late() -> None:
    durable, bound = Durable(0.0, "node", "e1"), 30.0 * BOUND
    assert judged(durable, Confirming(bound - 0.1, "node", "e1")) == []
    assert judged(durable, Confirming(bound + 0.1, "node", "e1")) == ["late"]
    assert judged(durable, Confirming(bound + 0.1, "other", "e1")) == []


def test_the_longest_wait_is_that_of_a_process_that_knew() -> None:
    known = Durable(7.0, "node", "e1"), Durable(6.0, "x", "e2")
    said = Confirming(8.0, "node", "e1"), Confirming(9.0, "node", "e1"), Confirming(20.0, "x", "e1")
    assert longest([*known, *said, ENDED]) == 2.0
    assert longest([*known, ENDED]) == 0.0


@pytest.mark.parametrize("verdict", ["refused", "unavailable"])
def test_what_is_good_must_not_be_refused(verdict: str) -> None:
    good = read(
        b'{"record":"check","at":1,"verifier":"v","shows":["t"],"verdict":"%s","cause":null}'
        % verdict.encode()
    )
    assert judged(*good) == ["refused"]


def test_a_history_is_read_as_it_was_written() -> None:
    history: list[Record] = [
        Durable(1.0, "node", "e1"),
        Confirming(2.0, "node", "e1"),
        ENDED,
        Check(3.0, "v", ("t", "s"), "accepted", None),
        Check(4.0, "v", ("t", "s"), "refused", took=0.5),
    ]
    assert read(write(history)) == history
