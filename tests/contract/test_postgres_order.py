"""On PostgreSQL: the order of events is that of commits, and an end comes before or after each act,
also where transactions are held open at the worst points (instant-logout, rules 1 to 3)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lastcall.errors import LostRace
from lastcall.sessions.model import Session
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.contract.test_following import places
from tests.contract.test_log import append
from tests.contract.writes import BOB, SEEN, begin, end, end_user, read
from tests.support.backends import Backend, ask
from tests.support.fakes import START
from tests.support.held import blocked, outcome, raw, stopped
from tests.support.values import POLICY, a_session, hashed, rotated

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)


# The order of events


async def test_who_has_seen_an_event_never_meets_an_earlier_one_later(
    store: Store, other: Store, backend: Backend
) -> None:
    """While a transaction that has taken its place is held open, nobody gets a later one."""
    session = await begin(store)
    async with raw(backend.url) as held:
        await held.execute("BEGIN; SELECT 1 FROM sessions FOR UPDATE")
        first = asyncio.create_task(store.commit(append("first"), end(session)))
        await blocked(backend.url)
        later = [asyncio.create_task(other.commit(append(str(n)))) for n in range(5)]
        await blocked(backend.url, 2)
        assert places(await other.read_log(0)) == [1]
        await held.execute("ROLLBACK")
    assert [event.position.seq for event in (await first).events] == [2, 3]
    assert sorted([(await one).position.seq for one in later]) == [4, 5, 6, 7, 8]
    assert places(await other.read_log(1)) == [2, 3, 4, 5, 6, 7, 8]


async def test_endings_that_come_at_once_share_a_transaction(
    store: Store, backend: Backend
) -> None:
    sessions = [await begin(store, f"n{number}") for number in range(100)]
    await asyncio.gather(*(store.commit(end(session)) for session in sessions))
    transactions = {row["by"] for row in ask(backend, "SELECT xmin::text AS by FROM events")}
    assert len(await _events(store)) == 101
    assert len(transactions) <= 4


async def _events(store: Store) -> tuple[Any, ...]:
    return (await store.read_log(0)).events


# An end that is held open

LOCK = """
BEGIN;
SELECT 1 FROM log FOR UPDATE;
SELECT 1 FROM users WHERE id = 'u_ada' FOR UPDATE;
"""
APPEND = """
UPDATE log SET seq = seq + 1;
INSERT INTO events (seq, epoch, timeline_number, timeline_name, kind, at, account_id, user_id,
    reason, actor_kind, ended)
    SELECT seq, epoch, timeline_number, timeline_name, 'user_ended', 1, 'a_acme', 'u_ada',
    'revoked', 'system', 0 FROM log;
"""
WRITE = "UPDATE users SET ended_seq = (SELECT seq FROM log) WHERE id = 'u_ada';"
STAGES = {
    "locked": (LOCK, APPEND + WRITE),
    "appended": (LOCK + APPEND, WRITE),
    "written": (LOCK + APPEND + WRITE, ""),
}
"""How far somebody is who ends all of Ada's sessions, and what they have still to do."""

Act = Callable[[Store, Session], Any]


async def a_sign_in(store: Store, session: Session) -> base.Committed:
    return await store.commit(base.Begin(a_session("new", begun=session.begun), SEEN, START))


async def a_rotation(store: Store, session: Session) -> base.Committed:
    return await store.commit(base.Rotate(rotated(session)))


async def a_refresh(store: Store, session: Session) -> base.Refreshed | None:
    return await store.refresh(
        base.Refresh(
            session.id, 1, session.lineage.secret_hash, hashed("2"), b"x", session.ip, START, POLICY
        )
    )


async def an_act(store: Store, session: Session) -> base.Committed:
    return await store.commit(base.SetName(BOB.id, "by Ada"), actor=session.id)


async def an_end_of_another(store: Store, session: Session) -> base.Committed:
    return await store.commit(append("another's"), actor=session.id)


TOKENS: list[Act] = [a_rotation, a_refresh]
"""They may still be given one: it is from before the end, and so worth nothing."""
ACTS: list[Act] = [*TOKENS, a_sign_in, an_act, an_end_of_another]


@pytest.mark.parametrize("ends", [True, False], ids=["ends", "gives up"])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("act", ACTS)
async def test_who_acts_while_all_is_being_ended_acted_before_or_loses(
    store: Store, backend: Backend, act: Act, stage: str, ends: bool
) -> None:
    """Nobody acts after the end, and counts as alive (rules 2 and 3)."""
    await store.commit(base.AddUser(BOB, None))
    session = await begin(store)
    done, rest = STAGES[stage]
    async with raw(backend.url) as held:
        await held.execute(done)
        acting = asyncio.create_task(outcome(act(store, session)))
        await stopped(backend.url, acting)
        await held.execute(rest + ("COMMIT" if ends else "ROLLBACK"))
        came = await acting
    if not ends:
        assert came is not None
        assert not isinstance(came, Exception), came
        return
    if act not in TOKENS:
        assert isinstance(came, LostRace)
    elif came is not None:
        assert came.position.seq < 2, "a token from after the end"
    for one in ("one", "new"):
        found = await store.find_session(a_session(one).id)
        assert found is None or found.session.ending is not None


@pytest.mark.parametrize("act", TOKENS)
async def test_who_waited_for_a_session_while_all_was_ended_has_a_token_from_before(
    store: Store, other: Store, backend: Backend, act: Act
) -> None:
    """The statement that waits looks at the session anew, but not at its user (rule 2)."""
    session = await begin(store)
    async with raw(backend.url) as held:
        await held.execute("BEGIN; SELECT 1 FROM sessions FOR NO KEY UPDATE")
        acting = asyncio.create_task(outcome(act(store, session)))
        await blocked(backend.url)
        ended = await other.commit(end_user())
        await held.execute("ROLLBACK")
        came = await acting
    if came is not None and not isinstance(came, LostRace):
        assert came.position.seq < ended.position.seq
    assert (await read(store, session)).ending is not None


async def test_an_end_waits_for_what_a_session_does_before_it(
    store: Store, other: Store, backend: Backend
) -> None:
    """What was checked holds until it is committed: the act is before the end, or not at all."""
    await store.commit(base.AddUser(BOB, None))
    for name in ("alone", "with its user"):
        session = await begin(store, name)
        ending = end(session) if name == "alone" else end_user()
        async with raw(backend.url) as held:
            await held.execute("BEGIN; SELECT 1 FROM users WHERE id = 'u_bob' FOR UPDATE")
            acting = asyncio.create_task(an_act(store, session))
            await blocked(backend.url)
            ended = asyncio.create_task(other.commit(ending))
            await stopped_at(backend.url, 2, ended)
            assert not ended.done()
            await held.execute("ROLLBACK")
        assert (await acting).position.seq < (await ended).position.seq
        assert (await read(store, session)).ending is not None


async def stopped_at(url: str, count: int, task: "asyncio.Future[Any]") -> None:
    waiting = asyncio.ensure_future(blocked(url, count))
    await asyncio.wait((waiting, task), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def test_a_session_that_is_being_ended_is_not_spared(store: Store, backend: Backend) -> None:
    """Rule 3: an end that spares it waits for what becomes of it."""
    session, bystander = await begin(store), await begin(store, "two")
    async with raw(backend.url) as held:
        await held.execute("BEGIN; SELECT 1 FROM sessions WHERE id = 's_c1_one' FOR UPDATE")
        ending = asyncio.create_task(outcome(store.commit(end_user(spared=session))))
        await stopped(backend.url, ending)
        await held.execute("UPDATE sessions SET ended_seq = 1 WHERE id = 's_c1_one'; COMMIT")
        assert isinstance(await ending, LostRace)
    assert (await read(store, bystander)).ending is None
