"""What a node decides: whom it grants leases, and which log its rows and renewals speak of."""

import math

import pytest

from lastcall.events import Position, Timeline
from lastcall.leases.barrier import Barrier, Outsider, Row
from lastcall.leases.margins import kept
from lastcall.leases.messages import (
    Ack,
    Events,
    Grant,
    Happened,
    ProtocolError,
    Recall,
    Renew,
    Resume,
    Snapshot,
    store_position,
)
from lastcall.leases.node import Log, NodeSide, Remove, Send
from lastcall.leases.view import Begun, View

FIRST, SECOND = Timeline(1, "first"), Timeline(2, "second")
BORN = (Begun(FIRST, 1),)
PROMOTED = (*BORN, Begun(SECOND, 3))
LEASE = 30.0
WAIT = kept(LEASE)


def at(seq: int, timeline: Timeline = FIRST) -> Position:
    return Position("epoch", timeline, seq)


def view(seq: int, timelines: tuple[Begun, ...] = BORN, floor: int = 0) -> View:
    return View("epoch", timelines, seq, floor, {})


def ended(*seqs: int) -> list[tuple[str | None, Happened]]:
    return [("acme", Happened(seq, "session_ended", 0, session=f"s{seq}")) for seq in seqs]


def node(seq: int = 1) -> NodeSide:
    """A node with a lease, asked for at 0."""
    side = NodeSide("node-one", LEASE, view(seq))
    side.renewed(0.0, at(seq), at(seq), 0.0, 0.0)
    return side


def follow(side: NodeSide) -> None:
    """A verifier connects, from where the node is."""
    side.receive(1, "acme", Resume("v" * 16, store_position(side.view.position)), 0.0, 0.0)


def granted(side: NodeSide, now: float, position: Position) -> bool:
    """Whether the verifier gets the lease that it asks for."""
    side.outputs.clear()
    side.receive(1, "acme", Renew(1, store_position(position)), now, now)
    return any(isinstance(one, Send) and isinstance(one.message, Grant) for one in side.outputs)


@pytest.mark.parametrize("now", [2.0, 3.9, 4.1, 10.0, 29.0])
def test_who_leaves_an_event_unacknowledged_gets_no_lease_for_as_long_as_it_does(
    now: float,
) -> None:
    side = node()
    follow(side)
    assert granted(side, 0.5, at(1))
    side.read(Log(at(2), 0, BORN, ended(2)), 0.0, 0.0, 0.0)
    for passed in range(int(now) + 1):
        side.tidy(float(passed))
    side.tidy(now)
    assert not granted(side, now, at(1))
    side.receive(1, "acme", Ack(store_position(at(2))), now, now)
    assert granted(side, now, at(2))


def test_a_renewal_by_a_log_that_lacks_what_is_known_by_now_gives_no_lease() -> None:
    side = NodeSide("node-one", LEASE, view(2))
    side.renewed(0.0, at(1), at(1), 0.0, 0.0)
    assert not side.leased(0.0)
    assert side.progress(at(2), 10 * WAIT).certain_in == math.inf


def test_a_renewal_by_a_newer_timeline_gives_no_lease_until_that_is_read() -> None:
    side = NodeSide("node-one", LEASE, view(3))
    side.renewed(0.0, at(3), at(5, SECOND), 0.0, 0.0)
    assert not side.leased(0.0)


def test_a_renewal_makes_nothing_durable_by_a_position_that_is_not_on_the_log() -> None:
    side = NodeSide("node-one", LEASE, view(3))
    side.renewed(0.0, at(3, SECOND), at(5, SECOND), 0.0, 0.0)
    assert side.progress(at(3), 10 * WAIT).state == "confirming"


def test_a_renewal_makes_durable_what_was_known_when_it_was_asked_for() -> None:
    side = NodeSide("node-one", LEASE, view(2))
    side.renewed(0.0, at(2), at(4), 1.0, 0.0)
    assert side.progress(at(2), 1.0).certain_in == pytest.approx(WAIT)
    assert side.progress(at(2), 1.0 + WAIT).state == "confirmed"
    assert side.progress(at(3), 1.0 + WAIT).state == "confirming"


def test_a_position_of_another_log_is_not_confirmed_by_its_number() -> None:
    side = node(5)
    side.durable(at(5), 0.0)
    assert side.progress(at(4), WAIT).state == "confirmed"
    assert side.progress(at(4, Timeline(1, "twin")), WAIT).state == "confirming"


def test_a_fenced_node_that_meets_a_new_timeline_waits_before_rows_speak() -> None:
    side = node(2)
    side.fenced("node-two", view(4, PROMOTED), 10.0)
    side.durable(at(4, SECOND), 10.0 + WAIT / 2)
    side.see([], at(4, SECOND), 10.0)
    assert side.progress(at(4, SECOND), 10.0).state == "confirming"
    assert not side.settled(10.0 + WAIT - 0.1)
    side.see([], at(4, SECOND), 10.0 + WAIT)
    assert side.progress(at(4, SECOND), 10.0 + WAIT).state == "confirmed"


def test_a_fenced_node_on_the_same_log_goes_on_with_what_it_knows_durable() -> None:
    side = node(2)
    side.durable(at(2), 0.0)
    side.fenced("node-two", view(2), 10.0)
    assert side.settled(10.0)
    assert side.progress(at(2), 10.0).certain_in == pytest.approx(WAIT - 10.0)


@pytest.mark.parametrize("end", [at(9, SECOND), Position("other", FIRST, 9)])
def test_rows_of_a_log_that_has_not_been_read_confirm_nothing(end: Position) -> None:
    side = NodeSide("node-one", LEASE, view(2))
    side.see([], at(2), 0.0)
    assert side.progress(at(2), 0.0).state == "confirming"  # it may be lost still
    side = node(2)
    side.see([], end, 0.0)
    assert side.progress(at(2), 0.0).state == "confirming"
    side.see([], at(2), 0.0)
    assert side.progress(at(2), 0.0).state == "confirmed"


@pytest.mark.parametrize("events", [(), (6, 7)])
def test_a_node_that_lags_behind_the_floor_does_not_go_on_from_there(
    events: tuple[int, ...],
) -> None:
    side = node(2)
    with pytest.raises(ProtocolError):
        side.read(Log(at(7 if events else 5), 5, BORN, ended(*events)), 0.0, 0.0, 0.0)
    assert side.view.seq == 2


def test_a_beat_that_was_lost_and_came_again_is_not_older_than_the_failover() -> None:
    barrier = Barrier(LEASE)
    row = Row("node-two", 5, at(1), LEASE)
    assert barrier.see([row], 1, 0.0) == []
    barrier.meet(WAIT - 1)
    assert barrier.see([row], 3, WAIT) == []
    assert barrier.see([row], 3, 2 * WAIT) == [row]


def test_a_row_whose_beat_stands_still_is_removed_after_its_longest_lease() -> None:
    side = node(1)
    row = Row("node-two", 5, at(1), 2 * LEASE)
    side.see([row], at(1), 0.0)
    side.see([row], at(1), kept(2 * LEASE) - 0.1)
    assert Remove(row) not in side.outputs
    side.see([row], at(1), kept(2 * LEASE))
    assert side.outputs[-1] == Remove(row)


def test_a_commit_on_a_timeline_that_has_not_been_read_makes_nothing_else_durable() -> None:
    side = node(2)
    side.read(Log(at(4), 0, BORN, ended(3, 4)), 0.0, 0.0, 0.0)
    side.durable(at(7, SECOND), 0.0)
    assert side.progress(at(4), 10 * WAIT).state == "confirming"


def told(side: NodeSide) -> list[int]:
    """The events that verifiers are told of."""
    return [
        event.seq
        for one in side.outputs
        if isinstance(one, Send) and isinstance(one.message, Events)
        for event in one.message.events
    ]


def test_what_this_process_has_committed_is_told_at_once_and_confirmed_by_rows_alone() -> None:
    side = node(1)
    follow(side)
    side.outputs.clear()
    side.appended(ended(2, 3), at(3), 5.0, 5.0)
    assert (told(side), side.view.seq) == ([2, 3], 3)
    assert side.progress(at(3), 5.0).certain_in == WAIT
    side.see([], at(2), 5.0)
    assert side.progress(at(3), 5.0).state == "confirming"
    side.see([], at(3), 5.0)
    assert side.progress(at(3), 5.0).state == "confirmed"


@pytest.mark.parametrize(
    ("seq", "timeline", "certain_in"), [(3, FIRST, WAIT), (2, SECOND, math.inf)]
)
def test_what_is_not_the_next_event_of_this_log_has_to_be_read(
    seq: int, timeline: Timeline, certain_in: float
) -> None:
    """Another process has committed before it, or a standby has become the primary."""
    side = node(1)
    follow(side)
    side.outputs.clear()
    side.appended(ended(seq), at(seq, timeline), 5.0, 5.0)
    assert (told(side), side.view.seq) == ([], 1)
    side.read(Log(at(3), 0, BORN, ended(2, 3)), 5.0, 5.0, 5.0)
    assert side.progress(at(3), 5.0).certain_in == certain_in


def test_who_is_ahead_goes_on_waiting_when_this_process_commits() -> None:
    """The store may have more than what was just committed: only a read of it tells."""
    side = node(1)
    side.receive(1, "acme", Resume("v" * 16, store_position(at(4))), 0.0, 0.0)
    side.appended(ended(2), at(2), 5.0, 5.0)
    assert side.outputs == []


def test_a_node_that_has_not_read_all_serves_nobody_from_what_it_lacks() -> None:
    """Who comes with a position that is ahead waits until the node has read on."""
    side = NodeSide("n", LEASE, view(1))
    side.receive(1, "acme", Resume("v" * 16, store_position(at(4))), 0.0, 0.0)
    assert side.outputs == []
    side.read(Log(at(4), 0, BORN, ended(2)), 1.0, 1.0, 0.0)
    assert side.outputs == []
    side.read(Log(at(4), 0, BORN, ended(3, 4)), 1.0, 1.0, 0.0)
    assert [type(output) for output in side.outputs] == [Send]


def test_a_node_that_goes_uses_its_lease_no_more_and_asks_for_those_it_gave() -> None:
    side = NodeSide("n", LEASE, view(1))
    side.receive(1, "acme", Resume("v" * 16, store_position(at(1))), 0.0, 0.0)
    side.renewed(0.0, at(1), at(1), 0.0, 0.0)
    assert side.leased(1.0)
    side.outputs.clear()
    side.give_back()
    assert not side.leased(1.0)
    assert side.outputs == [Send(1, Recall())]


def looking_on() -> Outsider:
    """A process that serves nobody, and knows durable what is at 2."""
    outsider = Outsider(LEASE, "epoch", BORN)
    outsider.barrier.durable(2, 0.0)
    return outsider


def test_who_looks_on_confirms_by_rows_only_on_the_timeline_that_it_met() -> None:
    """On the next one a row may speak of a node that still follows the one before (rule 6)."""
    for end, state in ((at(2), "confirmed"), (at(3, SECOND), "confirming")):
        outsider = looking_on()
        outsider.see([Row("two", 1, at(2), LEASE, 1)], end, 1.0)
        assert outsider.progress(at(2), 1.0).state == state
        assert outsider.progress(at(2), WAIT).state == "confirmed"


def test_who_looks_on_confirms_by_no_row_what_is_not_known_durable() -> None:
    """Rule 15: what can be read may be lost yet."""
    outsider = Outsider(LEASE, "epoch", BORN)
    outsider.see([Row("two", 1, at(2), LEASE, 1)], at(2), 1.0)
    progress = outsider.progress(at(2), 1.0)
    assert (progress.state, progress.certain_in) == ("confirming", math.inf)


def test_a_connection_is_one_verifier_s_and_forgotten_with_it() -> None:
    side = node()
    follow(side)
    other = Resume("w" * 16, store_position(side.view.position))
    with pytest.raises(ProtocolError):
        side.receive(1, "acme", other, 0.0, 0.0)
    side.closed(1)
    side.tidy(0.0)
    assert list(side.peers) == []


def test_who_comes_from_another_log_is_sent_one_snapshot_however_often_it_asks_meanwhile() -> None:
    """It asks as soon as it has resumed, by what it knew; the snapshot is on its way by then."""
    side = node()
    elsewhere = ("another", "1.first", 5)
    side.receive(1, "acme", Resume("v" * 16, elsewhere), 0.0, 0.0)
    for number in range(3):
        side.receive(1, "acme", Renew(number, elsewhere), 0.0, 0.0)
    side.receive(1, "acme", Ack(store_position(at(1))), 0.0, 0.0)
    assert [type(one.message) for one in side.outputs if isinstance(one, Send)] == [Snapshot]
    assert granted(side, 0.0, at(1))
