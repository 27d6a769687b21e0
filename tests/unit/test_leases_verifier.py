"""What a verifier believes of what a node says, and what it does not."""

import pytest

from lastcall.events import Timeline
from lastcall.leases.messages import (
    Ack,
    Ended,
    Events,
    FromNode,
    Goodbye,
    Grant,
    Happened,
    Part,
    ProtocolError,
    Recall,
    Renew,
    Resume,
    Snapshot,
    Welcome,
)
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import Verdict

NAME = "v_0123456789abcdef"
WELCOME = Welcome("n", "acme", "iss", "aud", 30.0)
SNAPSHOT = Snapshot(("epoch", "1.first", 5), (("1.first", 1),), 0, (), 0)


def at(seq: int, timeline: str = "1.first") -> tuple[str, str, int]:
    return ("epoch", timeline, seq)


def side(*said: FromNode) -> VerifierSide:
    """A verifier that has been greeted and has taken a snapshot."""
    verifier = VerifierSide(NAME)
    assert verifier.opened() == [Resume(NAME)]
    for message in (WELCOME, SNAPSHOT, *said):
        verifier.receive(message, 100.0)
    return verifier


def leased() -> VerifierSide:
    """One that has a lease until 120, counted from when it asked."""
    verifier = side()
    assert verifier.tick(100.0) == [Renew(1, at(5))]
    verifier.receive(Grant(1, 20.0, at(5), 1e9), 110.0)
    assert verifier.leased(119.9)
    assert not verifier.leased(120.0)
    return verifier


def test_a_lease_counts_from_before_it_was_asked_for() -> None:
    leased()


def test_nothing_is_asked_before_there_is_a_snapshot() -> None:
    verifier = VerifierSide(NAME)
    assert verifier.tick(100.0) == []
    verifier.opened()
    verifier.receive(WELCOME, 100.0)
    assert verifier.tick(100.0) == []
    assert verifier.due() > 1e300


def test_while_a_snapshot_comes_there_is_nothing_to_be_called_for() -> None:
    """Or who follows would call again and again until its last part is there."""
    verifier = leased()
    coming = Snapshot(at(7), (("1.first", 1),), 0, (), 1)
    verifier.receive(coming, 111.0)
    assert verifier.tick(200.0) == []
    assert verifier.due() > 1e300
    verifier.receive(Part(), 200.0)
    assert verifier.due() <= 200.0


def test_a_grant_that_nobody_asked_for_any_more_counts_for_nothing() -> None:
    verifier = side()
    verifier.receive(Grant(1, 20.0, at(5), 1e9), 100.0)
    assert not verifier.leased(100.0)
    verifier.tick(100.0)
    assert verifier.give_back() == [Goodbye()]
    verifier.receive(Grant(1, 20.0, at(5), 1e9), 100.0)
    assert not verifier.leased(100.0)
    verifier.tick(100.0)
    verifier.closed()
    verifier.receive(Grant(2, 20.0, at(5), 1e9), 100.0)
    assert not verifier.leased(100.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9, float("nan")])
def test_a_lease_that_is_none_is_not_believed(seconds: float) -> None:
    verifier = side()
    verifier.tick(100.0)
    with pytest.raises(ProtocolError):
        verifier.receive(Grant(1, seconds, at(5), 1e9), 100.0)
    assert not verifier.leased(100.0)
    with pytest.raises(ProtocolError):
        verifier.receive(Welcome("n", "acme", "iss", "aud", seconds), 100.0)


def test_a_recall_ends_the_lease_before_that_is_said() -> None:
    verifier = leased()
    assert verifier.receive(Recall(), 111.0) == [Goodbye()]
    assert not verifier.leased(111.0)


def test_the_lease_goes_on_without_a_connection_and_with_a_newer_snapshot() -> None:
    verifier = leased()
    verifier.closed()
    assert verifier.leased(115.0)
    assert verifier.opened() == [Resume(NAME, at(5))]
    newer = Snapshot(at(7), (("1.first", 1),), 0, (), 0)
    assert verifier.receive(newer, 115.0) == [Ack(at(7))]
    assert verifier.leased(115.0)


@pytest.mark.parametrize(
    "older",
    [
        Snapshot(at(4), (("1.first", 1),), 0, (), 0),
        Snapshot(("another", "1.first", 9), (("1.first", 1),), 0, (), 0),
        Snapshot(at(9, "1.twin"), (("1.twin", 1),), 0, (), 0),
    ],
    ids=["older", "another epoch", "another log"],
)
def test_an_older_snapshot_or_one_of_another_log_ends_the_lease(older: Snapshot) -> None:
    verifier = leased()
    verifier.receive(older, 111.0)
    assert not verifier.leased(111.0)
    assert verifier.view is not None
    assert verifier.view.store_ahead == 1e9 - 110.0  # what time it is there was told all the same


@pytest.mark.parametrize(
    "message",
    [
        Events(4, at(6), 0),
        Events(6, at(7), 0),
        Events(5, ("another", "1.first", 6), 0),
        Events(5, at(6), 0, (Happened(5, "user_ended", 0, user="u"),)),
        Events(5, at(6), 0, (Happened(7, "user_ended", 0, user="u"),)),
        Events(5, at(4), 0),
        Events(5, at(6, "2.second"), 0),
        Events(5, at(6), 0, (Happened(6, "timeline_opened", 0),)),
        Events(5, at(6, "no timeline"), 0),
        Part(),
        Welcome("n", "another account", "iss", "aud", 30.0),
        Snapshot(at(6), (), 0, (), 0),
        Snapshot(at(6, "2.second"), (("1.first", 1),), 0, (), 0),
        Snapshot(at(6, "?"), (("1.first", 1),), 0, (), 0),
    ],
)
def test_what_does_not_follow_is_not_believed(message: FromNode) -> None:
    with pytest.raises(ProtocolError):
        side().receive(message, 100.0)


def test_columns_of_a_snapshot_that_do_not_match_are_not_believed() -> None:
    for ended in (
        Ended(("s",), (), (0,), (0,), ("signed_out",)),
        Ended(("s",), (3,), (0,), (7,), ("signed_out",)),
    ):
        verifier = side(Snapshot(at(6), (("1.first", 1),), 0, (), 1))
        with pytest.raises(ProtocolError):
            verifier.receive(Part(sessions=ended), 100.0)


def test_nothing_is_believed_before_a_welcome() -> None:
    verifier = VerifierSide(NAME)
    verifier.opened()
    for message in (SNAPSHOT, Events(0, at(1), 0)):
        with pytest.raises(ProtocolError):
            verifier.receive(message, 100.0)


def test_a_timeline_that_is_opened_is_gone_over_to() -> None:
    verifier = side()
    opened = Happened(6, "timeline_opened", 0, timeline="2.second")
    said = verifier.receive(Events(5, at(6, "2.second"), 0, (opened,)), 100.0)
    assert said == [Ack(at(6, "2.second"))]
    view = verifier.view
    assert view is not None
    assert view.place(view.position) is Verdict.LIVES
    view.apply(None, opened)  # once more changes nothing
    assert [begun.timeline for begun in view.timelines] == [
        Timeline(1, "first"),
        Timeline(2, "second"),
    ]


def test_a_floor_alone_is_taken_in_and_not_acknowledged() -> None:
    verifier = side()
    assert verifier.receive(Events(5, at(5), 3), 100.0) == []
    assert verifier.view is not None
    assert verifier.view.floor == 3
