"""Following the log: every event once, in order, with the log and the floor of the same moment."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lastcall.errors import LostRace
from lastcall.events import EndReason, Event, Timeline
from lastcall.ids import NodeId
from lastcall.stores import base
from lastcall.stores.base import Store, TimelineStart
from tests.contract.test_log import append, appending
from tests.contract.test_purge import LONG_AFTER, drop
from tests.support.backends import Backend, open_timeline, run
from tests.support.fakes import START

HOUR = timedelta(hours=1)


async def append_at(store: Store, *moments: datetime, reason: EndReason = "revoked") -> list[Event]:
    """Append an event for each moment, in this order."""
    ends = [replace(append(str(at)), at=at, reason=reason) for at in moments]
    return [event for end in ends for event in (await store.commit(end)).events]


def places(part: base.LogPart) -> list[int]:
    return [event.position.seq for event in part.events]


# What comes next


async def test_the_log_is_read_from_its_beginning_and_from_any_place(store: Store) -> None:
    appended = await append_at(store, START, START + HOUR)
    first = await store.find_event(1)
    assert first is not None
    whole = await store.read_log(0)
    assert whole.events == (first, *appended)
    assert whole.log == await store.log_end()
    assert (await store.read_log(1)).events == tuple(appended)
    assert (await store.read_log(2)).events == (appended[1],)
    for end in (3, 4, 1000):
        assert await store.read_log(end) == replace(whole, events=())


async def test_a_long_log_is_read_in_pieces_with_its_end_in_each(store: Store) -> None:
    await append_at(store, *[START] * 24)
    seen: list[int] = []
    while part := places(await store.read_log(seen[-1] if seen else 0, most=7)):
        assert len(part) <= 7
        seen += part
    assert seen == list(range(1, 26))
    assert (await store.read_log(0, most=1)).log.position.seq == 25


async def test_who_follows_the_log_meets_every_event_once_and_none_after_the_end_that_it_is_given(
    store: Store, backend: Backend
) -> None:
    """While another process appends, and this one too (rule 1)."""
    seen, met, mine = [0], 0, set()
    with appending(backend):
        async with asyncio.timeout(60):
            while met < 50:
                part, committed = await asyncio.gather(
                    store.read_log(seen[-1]), store.commit(append())
                )
                assert places(part) == list(range(seen[-1] + 1, part.log.position.seq + 1))
                seen += places(part)
                mine.add(committed.position.seq)
                met = len(set(seen) - mine)
    seen += places(await store.read_log(seen[-1]))
    assert seen == list(range((await store.log_end()).position.seq + 1))


# Timelines


async def test_a_new_log_has_one_timeline_that_its_first_event_opens(store: Store) -> None:
    end = (await store.commit(append())).position
    assert (await store.read_log(0)).timelines == (TimelineStart(end.timeline, 1),)


async def test_the_timelines_that_are_told_are_those_of_the_log_s_epoch(
    store: Store, backend: Backend
) -> None:
    """Each with where it began, whatever was read of the log, and whatever was forgotten."""
    first = (await store.commit(append())).position
    second = Timeline(2, "second")
    open_timeline(backend, first.epoch, second)
    await store.commit(append())
    starts = (TimelineStart(first.timeline, 1), TimelineStart(second, 3))
    for after in (0, 2, 4):
        assert (await store.read_log(after)).timelines == starts
    await drop(store, "events")
    assert (await store.read_log(0)).timelines == starts
    third = Timeline(1, "third")
    open_timeline(backend, "restored", third)
    assert (await store.read_log(0)).timelines == (TimelineStart(third, 5),)


async def test_a_position_is_acknowledged_on_the_timeline_that_held_its_place(
    store: Store, backend: Backend
) -> None:
    """Also one from before a failover, and one whose event is forgotten; none of the branch that
    was lost (rule 6)."""
    node = base.RegisterNode(NodeId("n_one"))
    await store.commit(node)
    first = (await store.commit(append())).position
    second = Timeline(2, "second")
    open_timeline(backend, first.epoch, second)
    await store.commit(append())
    await drop(store, "events")
    assert await store.find_event(first.seq) is None
    for held in (first._replace(seq=1), first, first._replace(timeline=second, seq=3)):
        await store.commit(base.RenewNode(node.id, held, held))
    for lost in (first._replace(seq=3), first._replace(timeline=second)):
        with pytest.raises(LostRace):
            await store.commit(base.RenewNode(node.id, lost, lost))


# What is forgotten


async def test_after_a_purge_the_floor_stands_for_what_is_gone(store: Store) -> None:
    """Who comes from before it is given the floor, and what is left after it."""
    await append_at(store, START, START + HOUR, START + 2 * HOUR)
    assert await drop(store, "events", LONG_AFTER) == [2, 3]
    for after in (0, 1, 2, 3):
        part = await store.read_log(after)
        assert (part.log.floor, places(part)) == (3, [4])
        assert [start.seq for start in part.timelines] == [1]
    assert places(await store.read_log(4)) == []
    assert (await store.read_log(0, since=START)).log.floor == 3


async def test_what_a_purge_had_to_keep_is_at_or_before_the_floor_and_is_left_out(
    store: Store, backend: Backend
) -> None:
    """What is given has no gaps, so that a gap always is a fault."""
    await append_at(store, START, START, START, START + 2 * HOUR, START + 2 * HOUR)
    run(backend, "UPDATE log SET floor = 4", "DELETE FROM events WHERE seq IN (2, 4)")
    for since in (None, START, START + HOUR):
        part = await store.read_log(0, since=since)
        assert (part.log.floor, places(part)) == (4, [5, 6])


@pytest.mark.parametrize(
    ("since", "floor"),
    [
        (START - HOUR, 0),
        (START, 0),
        (START + timedelta(microseconds=1), 2),
        (START + HOUR, 2),
        (START + 2 * HOUR, 3),
        (START + 3 * HOUR, 4),
    ],
)
async def test_what_happened_before_a_moment_is_left_out_and_the_floor_stands_for_it(
    store: Store, since: datetime, floor: int
) -> None:
    """Rule 4: whoever leaves events out raises the floor to the newest of them."""
    await append_at(store, START, START + HOUR, START + 2 * HOUR)
    part = await store.read_log(0, since=since)
    assert part.log == replace(await store.log_end(), floor=floor)
    assert places(part) == list(range(floor + 1, 5))
    assert places(await store.read_log(3, since=since)) == list(range(max(floor, 3) + 1, 5))
    assert places(await store.read_log(0, most=1, since=since)) == places(part)[:1]
    assert (await store.log_end()).floor == 0


async def test_where_a_clock_went_back_the_newest_old_event_is_the_floor(store: Store) -> None:
    """To forget too early costs a refresh; a gap would be taken for a fault."""
    await append_at(store, START + 3 * HOUR, START, START + 3 * HOUR)
    part = await store.read_log(0, since=START + HOUR)
    assert (part.log.floor, places(part)) == (3, [4])


@pytest.mark.parametrize("reason", ["expired_inactive", "expired_absolute"])
async def test_a_session_that_ran_out_long_ago_forgets_nothing_of_today(
    store: Store, reason: EndReason
) -> None:
    """Its end is told with the moment at which it ran out, when the log was younger."""
    await append_at(store, START, START + 3 * HOUR)
    await append_at(store, START - 300 * HOUR, reason=reason)
    part = await store.read_log(0, since=START + HOUR)
    assert (part.log.floor, places(part)) == (2, [3, 4])
