"""What PostgreSQL may do to a store: end its connections, its statements, its transactions. Nothing
is changed, or it is said that this is unknown; and no answer goes to somebody else."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from lastcall.audit import Origin, Record, Target
from lastcall.device.model import Device, Place
from lastcall.errors import LostRace, Unavailable
from lastcall.events import Actor
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.stores import base
from lastcall.stores.base import RecordQuery, Store
from lastcall.stores.postgres import hosts
from tests.contract.test_log import append
from tests.contract.test_refreshing import shows
from tests.contract.writes import ADA, BOB, begin, end_user
from tests.support.backends import Backend, run
from tests.support.fakes import START
from tests.support.held import blocked, outcome, raw
from tests.support.statements import Execute, connecting
from tests.support.values import a_user, an_account, everybody

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'lastcall'"
END_IDLE = f"SELECT count(pg_terminate_backend(pid, 10000)) {OURS}"
END_BLOCKED = f"SELECT count(pg_terminate_backend(pid)) {OURS} AND wait_event_type = 'Lock'"
WAITS_AT_COMMIT = (
    "CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END'",
    "CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION waits()",
)
"""Has each commit of an event wait for who holds the lock 1, at its very end."""


# Connections


async def test_connections_that_were_ended_while_idle_are_replaced_unnoticed(
    store: Store, backend: Backend
) -> None:
    session = await begin(store)
    async with raw(backend.url) as admin:
        for _ in range(3):
            await store.log_end()
            await store.list_users(everybody(ADA.account_id))
            await store.commit(append())
            await store.ping()
            await store.commit(base.CountUnknownSignIn())
            assert await admin.fetchval(END_IDLE) >= 2
            assert await store.find_session(session.id) is not None
            committed = await store.commit(append())
            await store.commit(base.CountUnknownSignIn())
            assert (await store.log_end()).position == committed.position
    assert await store.count_unknown_sign_ins() == 6


async def test_a_connection_that_ends_before_the_commit_is_no_reason_to_fail(
    store: Store, backend: Backend
) -> None:
    """Nothing was changed, and so it is done once more."""
    await store.commit(append())
    async with raw(backend.url) as held, raw(backend.url) as admin:
        await held.execute("BEGIN; SELECT 1 FROM log FOR UPDATE")
        committing = asyncio.create_task(outcome(store.commit(append())))
        await blocked(backend.url)
        assert await admin.fetchval(END_BLOCKED) == 1
        await blocked(backend.url)
        await held.execute("ROLLBACK")
        assert isinstance(await committing, base.Committed)
    assert (await store.log_end()).position.seq == 3


async def test_a_connection_that_ends_during_the_commit_leaves_the_outcome_unknown(
    store: Store, backend: Backend
) -> None:
    run(backend, *WAITS_AT_COMMIT)
    async with raw(backend.url) as held, raw(backend.url) as admin:
        await held.execute("SELECT pg_advisory_lock(1)")
        committing = [asyncio.create_task(outcome(store.commit(append()))) for _ in range(5)]
        await blocked(backend.url)
        assert await admin.fetchval(END_BLOCKED) == 1
        came = await asyncio.gather(*committing)
    for one in came:
        assert isinstance(one, Unavailable)
        assert "unknown" in str(one)
    end = (await store.log_end()).position.seq
    assert (await store.commit(append())).position.seq == end + 1


async def test_what_was_committed_before_a_connection_ended_is_not_done_again(
    store: Store, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of those that share a transaction loses a race, so that each gets its own; the connection
    ends between two of these."""
    commits = 0

    async def end_after_the_third(connection: Any, name: str, execute: Execute) -> Any:  # noqa: ANN401
        nonlocal commits
        done = await execute()
        if name == "COMMIT":
            commits += 1
            if commits == 3:
                connection.terminate()
        return done

    monkeypatch.setattr(asyncpg, "connect", connecting(end_after_the_third))
    opened = backend.open()
    commits = 0
    await opened.commit(append("first"))
    async with raw(backend.url) as held:
        await held.execute("BEGIN; SELECT 1 FROM log FOR UPDATE")
        waits = asyncio.create_task(opened.commit(append("second")))
        await blocked(backend.url)
        all_end = asyncio.create_task(opened.commit(end_user()))
        loses = asyncio.create_task(
            outcome(opened.commit(append("nobody's"), actor=SessionId("s_nobody")))
        )
        late = asyncio.create_task(opened.commit(append("last")))
        await asyncio.sleep(0)  # they are waiting for the lane now
        await held.execute("ROLLBACK")
        places = [(await one).position.seq for one in (waits, all_end, late)]
    assert isinstance(await loses, LostRace)
    assert commits > 3
    assert places == [3, 4, 5]
    assert (await store.log_end()).position.seq == 5
    await opened.close()


# Statements and transactions


async def test_who_waits_too_long_for_a_lock_is_told_so_and_nothing_is_changed(
    store: Store, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for setting, said in (("lock_timeout", "busy"), ("statement_timeout", "too long")):
        monkeypatch.setitem(hosts.SETTINGS, setting, "50ms")
        opened = backend.open()
        async with raw(backend.url) as held:
            await held.execute("BEGIN; SELECT 1 FROM log FOR UPDATE")
            with pytest.raises(Unavailable, match=said) as caught:
                await opened.commit(base.AddAccount(an_account("undone")), append())
            assert "unknown" not in str(caught.value)
        await opened.commit(append())
        await opened.close()
        monkeypatch.undo()
    assert len(await store.list_accounts()) == 1
    assert (await store.log_end()).position.seq == 3


async def test_a_database_that_takes_no_writes_is_not_ready(store: Store, backend: Backend) -> None:
    """As a service makes one whose disk is nearly full."""
    await store.ping()
    name = backend.url.rpartition("/")[2]
    run(backend, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    opened = backend.open()
    for act in (opened.ping(), opened.commit(base.CountUnknownSignIn())):
        with pytest.raises(Unavailable, match="read only"):
            await act
    await opened.close()


async def test_a_deadlock_is_tried_again(store: Store, backend: Backend) -> None:
    """The server undoes one of those who wait for each other; that is nobody's fault."""
    name = backend.url.rpartition("/")[2]
    await store.commit(base.AddUser(BOB, None))
    run(backend, f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '300ms'")
    opened = backend.open()
    async with raw(backend.url) as held:
        await held.execute("SET deadlock_timeout = '1min'")
        await held.execute("BEGIN; UPDATE users SET name = 'held' WHERE id = 'u_bob'")
        committing = asyncio.create_task(
            outcome(opened.commit(base.SetName(ADA.id, "new"), base.SetName(BOB.id, "new")))
        )
        await blocked(backend.url)
        await held.execute("UPDATE users SET name = 'held' WHERE id = 'u_ada'; COMMIT")
        assert isinstance(await committing, base.Committed)
    for user in (ADA, BOB):
        found = await opened.find_user(user.id)
        assert found is not None
        assert found.name == "new"
    await opened.close()


async def test_a_text_that_holds_what_the_database_can_not_keep_is_kept_without_it(
    store: Store,
) -> None:
    """PostgreSQL's texts hold no NUL; whoever sends one is not to be told of an outage."""
    name = "a\0b"
    kept = "a\ufffdb"
    place = Place(name, None, "x", "GB")
    origin = Origin(SessionId("s_x"), Device("desktop", name, "1", name, "1"), place, None)
    actor = Actor("admin", "u_x", name)
    record = Record(
        "user.logout", START, ADA.account_id, ADA.id, actor, Target("user", "u_y", name), origin
    )
    await store.commit(base.AddAccount(an_account(name)), base.AddRecord(record))
    await store.commit(base.AddUser(replace(BOB, name=name), None))
    ended = base.EndSession(SessionId("s_x"), BOB.id, ADA.account_id, "revoked", actor, START)
    await store.commit(ended)
    event = await store.find_event(2)
    assert event is not None
    assert event.actor.name == kept
    assert kept in {account.name for account in await store.list_accounts()}
    found = await store.find_user(BOB.id)
    assert found is not None
    assert found.name == kept
    (read,) = await store.list_records(RecordQuery())
    assert (read.actor.name, read.target and read.target.name) == (kept, kept)
    assert await store.find_external_user(AccountId("a_acme"), name) is None
    assert await store.find_user(UserId(name)) is None


async def test_a_connection_has_its_own_settings_whatever_the_database_s_are(
    store: Store, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And asks for none as it begins: PgBouncer refuses those that it doesn't know."""
    name = backend.url.rpartition("/")[2]
    other = {"synchronous_commit": "off", "default_transaction_isolation": "serializable"}
    run(backend, *(f"ALTER DATABASE \"{name}\" SET {one} = '{other[one]}'" for one in other))
    connect, asked = asyncpg.connect, []

    async def noted(*address: Any, **options: Any) -> Any:  # noqa: ANN401
        asked.append(options.get("server_settings"))
        return await connect(*address, **options)

    monkeypatch.setattr(asyncpg, "connect", noted)
    link = await hosts.connect(backend.url)
    for setting, value in hosts.SETTINGS.items():
        assert await link.fetchval(f"SHOW {setting}") == value
    await link.close()
    assert asked == [{"application_name": "lastcall"}]


async def test_what_a_server_tells_of_itself_is_no_warning(store: Store, backend: Backend) -> None:
    """A database that is told to explain itself to its clients says something at each commit."""
    name = backend.url.rpartition("/")[2]
    run(backend, f'ALTER DATABASE "{name}" SET client_min_messages = debug5')
    session = await begin(store)
    opened = backend.open()
    await opened.commit(base.CountUnknownSignIn())
    await opened.commit(append())
    assert await opened.refresh(shows(session)) is not None
    await opened.close()


# Callers


async def test_no_caller_is_given_another_s_answer_whoever_goes_away(store: Store) -> None:
    """Of 200 readers over few connections, some leave at any moment."""
    chance = random.Random(7)
    users = [a_user(f"n{number}") for number in range(200)]
    await store.commit(*(base.AddUser(user, None) for user in users))
    for _ in range(5):
        readers = [asyncio.create_task(store.find_user(user.id)) for user in users]
        for _ in range(100):
            chance.choice(readers).cancel()
            await asyncio.sleep(chance.choice((0, 0, 0.0005)))
        answers = await asyncio.gather(*readers, return_exceptions=True)
        left = 0
        for user, answer in zip(users, answers, strict=True):
            if isinstance(answer, asyncio.CancelledError):
                left += 1
                continue
            assert not isinstance(answer, BaseException), answer
            assert answer is not None
            assert answer.id == user.id
        assert 0 < left < len(users)
    assert [(await store.find_user(user.id)) == user for user in users] == [True] * len(users)


async def test_a_store_is_used_on_one_event_loop_and_on_another_once_that_is_gone(
    store: Store, backend: Backend
) -> None:
    """Connections live on a loop. Nobody waits for answers that come to another one."""
    await store.log_end()

    async def use() -> int:
        return (await asyncio.wait_for(opened.commit(append()), 10)).position.seq

    opened = backend.open()
    assert await asyncio.to_thread(asyncio.run, use()) == 2
    assert await asyncio.to_thread(asyncio.run, use()) == 3
    assert await use() == 4
    with pytest.raises(Unavailable, match="event loop"):
        await asyncio.to_thread(asyncio.run, use())
    await opened.close()
