"""How a purge goes: in batches, with pauses, for whoever else needs the database."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from lastcall.errors import Conflict, InvalidToken, LostRace, SessionEnded, Unavailable
from lastcall.events import SYSTEM, Actor
from lastcall.node import Node
from lastcall.purge import Batch, Purge
from lastcall.sessions.policy import Policy
from lastcall.stores import base, sqlite
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import DATABASE, add_user, calls, open_node, set_up, sign_in

BY = Actor("admin", None, "the command line")


def purge(node: Node, pauses: list[float] | None = None) -> Purge:
    """A purge that notes its pauses and makes none."""

    async def pause(seconds: float) -> None:
        if pauses is not None:
            pauses.append(seconds)

    return Purge(node.store, node.settings.policy, node.clock, pause)


async def visits(node: Node, clock: FakeClock, number: int) -> None:
    """So many sessions that ran out over 90 days ago."""
    await set_up(node)
    for _ in range(number - 1):
        await sign_in(node)
    clock.advance(days=92)


async def test_no_transaction_deletes_more_than_the_batch_and_each_is_followed_by_a_pause(
    node: Node, clock: FakeClock
) -> None:
    await visits(node, clock, 7)
    seen: list[Batch] = []
    pauses: list[float] = []
    report = await purge(node, pauses).run(BY, batch=3, watch=seen.append)
    sessions = [batch.deleted for batch in seen if batch.kind == "sessions"]
    assert sessions == [3, 3, 1]
    assert report.deleted["sessions"] == 7
    assert report.batches == len(seen) == len(pauses)
    assert pauses == [batch.seconds for batch in seen]


async def test_a_token_from_before_the_floor_needs_a_refresh_and_gets_it(node: Node) -> None:
    """instant-logout, rule 4: whatever is forgotten, too early or not, costs a refresh."""
    ada = await set_up(node)
    bo = await add_user(node, ada.user, "bo@example.com")
    ended = await sign_in(node, "bo@example.com")
    await node.sessions.endings.terminate_all(bo.id, bo.account_id, "revoked", SYSTEM)
    for _ in range(3):
        await node.sessions.endings.terminate_all(
            ada.user.id, ada.user.account_id, "revoked", SYSTEM, ada.session.id
        )
    await calls(node, ada)
    later = node.clock.now() + timedelta(days=1)
    page = await node.store.over(base.PurgeQuery("events", later))
    await node.store.commit(base.Drop("events", page.keys, later))
    floor = (await node.store.log_end()).floor
    assert floor == max(page.keys)
    with pytest.raises(InvalidToken) as caught:
        await calls(node, ada)
    assert caught.value.code == "token_expired"
    await calls(node, await node.sessions.refresh(ada.refresh_token, None))
    for show in (
        node.sessions.refresh(ended.refresh_token, None),
        node.sessions.authenticate(ended.access_token),
    ):
        with pytest.raises(SessionEnded, match="revoked"):
            await show


async def test_events_are_kept_while_an_access_token_is_in_time(
    tmp_path: Path, clock: FakeClock, entropy: FakeEntropy
) -> None:
    """A day at least, and longer where access tokens live longer."""
    long = Policy(timedelta(hours=36), timedelta(hours=80), timedelta(days=30))
    node = await open_node(tmp_path, clock, entropy, policy=long)
    ada = await set_up(node)
    for _ in range(3):
        await node.sessions.endings.terminate_all(
            ada.user.id, ada.user.account_id, "revoked", SYSTEM, ada.session.id
        )
    kept = {}
    for name, policy in (("long", long), ("usual", Policy())):
        for hours in (24, 24.01, 72, 72.1):
            at = FakeClock(clock.now())
            at.advance(hours=hours)
            report = await Purge(node.store, policy, at).run(BY, dry=True)
            kept[name, hours] = not report.deleted["events"]
    assert kept == {
        ("usual", 24): True,
        ("usual", 24.01): False,
        ("usual", 72): False,
        ("usual", 72.1): False,
        ("long", 24): True,
        ("long", 24.01): True,
        ("long", 72): True,
        ("long", 72.1): False,
    }
    await node.close()


async def test_a_purge_with_a_tighter_policy_deletes_no_session_that_lives(
    node: Node, clock: FakeClock
) -> None:
    ada = await set_up(node)
    for _ in range(8):
        clock.advance(hours=23)
        ada = await node.sessions.refresh(ada.refresh_token, None)
    tight = Policy(timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=3))
    report = await Purge(node.store, tight, clock).run(BY)
    assert report.deleted["sessions"] == 0
    await calls(node, await node.sessions.refresh(ada.refresh_token, None))


async def test_a_database_that_is_held_halfway_is_said_and_the_rest_is_done_later(
    node: Node, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await visits(node, clock, 5)
    await node.close()
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.02)
    node = await open_node(tmp_path, clock, FakeEntropy("again"), serving=False)
    lock = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)

    def hold(_: Batch) -> None:
        lock.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="busy"):
        await purge(node).run(BY, batch=2, watch=hold)
    assert lock.execute("SELECT count(*) FROM sessions").fetchone() == (3,)
    lock.execute("ROLLBACK")
    lock.close()
    report = await purge(node).run(BY, batch=2)
    assert report.deleted["sessions"] == 3
    await node.close()


async def test_what_a_purge_did_before_it_failed_is_recorded(
    node: Node, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await visits(node, clock, 5)
    commit, done = node.store.commit, 0

    async def fails_once(*writes: base.Write) -> base.Committed:
        nonlocal done
        done += 1
        if done == 2:
            raise Unavailable("the disk is full: make room")
        return await commit(*writes)

    monkeypatch.setattr(node.store, "commit", fails_once)
    with pytest.raises(Unavailable, match="full"):
        await purge(node).run(BY, batch=2)
    (record, *_) = await node.store.list_records(base.RecordQuery())
    assert (record.type, record.reason, record.actor) == ("audit.purge", "sessions 2", BY)


async def test_a_cancelled_purge_records_what_it_did(node: Node, clock: FakeClock) -> None:
    await visits(node, clock, 5)
    entered = asyncio.Event()

    async def pause(_: float) -> None:
        entered.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Purge(node.store, Policy(), clock, pause).run(BY, batch=2))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (record, *_) = await node.store.list_records(base.RecordQuery())
    assert (record.type, record.reason) == ("audit.purge", "sessions 2")


async def test_a_purge_that_is_cancelled_within_a_deletion_records_that_one_too(
    node: Node, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await visits(node, clock, 5)
    commit, entered = node.store.commit, asyncio.Event()

    async def slow(*writes: base.Write) -> base.Committed:
        entered.set()
        return await commit(*writes)

    monkeypatch.setattr(node.store, "commit", slow)
    task = asyncio.create_task(purge(node).run(BY, batch=2))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (record, *_) = await node.store.list_records(base.RecordQuery())
    assert (record.type, record.reason) == ("audit.purge", "sessions 2")


async def test_races_are_lost_now_and_then_but_not_for_ever(
    node: Node, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await visits(node, clock, 5)
    commit, lost = node.store.commit, 0

    async def loses(*writes: base.Write) -> base.Committed:
        nonlocal lost
        if lost < most:
            lost += 1
            raise LostRace("some of this is gone already")
        return await commit(*writes)

    monkeypatch.setattr(node.store, "commit", loses)
    most = 1000
    with pytest.raises(Conflict, match="other purges"):
        await purge(node).run(BY, batch=2)
    most = lost + 3
    report = await purge(node).run(BY, batch=2)
    assert report.deleted["sessions"] == 5
