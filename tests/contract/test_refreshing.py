"""A refresh in one statement: it does what `rules.refresh` decides, or nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lastcall.errors import Error
from lastcall.events import SYSTEM
from lastcall.ids import KeyId
from lastcall.sessions import rules
from lastcall.sessions.model import Client, Lineage, Session, SignIn
from lastcall.sessions.policy import Policy
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.support.backends import PostgresBackend, SqliteBackend
from tests.support.fakes import START
from tests.support.values import POLICY, a_session, a_user, an_account, hashed

SEEN = SignIn(None, {}, None)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
SHORT = Policy(refresh_lifetime=12 * HOUR, absolute_lifetime=5 * 24 * HOUR)
"""A policy that was tightened since the sessions began."""


@pytest.fixture
async def store(database: str, tmp_path: Path) -> AsyncIterator[Store]:
    """A store with an account and its users Ada and Bob."""
    opened = PostgresBackend(database, tmp_path).open()
    await opened.commit(
        base.AddAccount(an_account()),
        base.AddUser(a_user(), "hash of Ada's password"),
        base.AddUser(a_user("bob"), "hash of Bob's password"),
    )
    yield opened
    await opened.close()


async def begin(store: Store, name: str, **changes: Any) -> Session:  # noqa: ANN401
    position = (await store.log_end()).position
    session = a_session(name, begun=position, **changes)
    await store.commit(base.Begin(session, SEEN, None))
    return session


def shows(session: Session, **changes: object) -> base.Refresh:
    """Show a session's current token from its own address."""
    shown = base.Refresh(
        session.id,
        session.lineage.generation,
        session.lineage.secret_hash,
        hashed(f"successor of {session.id} {session.lineage.generation}"),
        b"sealed",
        session.ip,
        START + HOUR,
        POLICY,
    )
    return replace(shown, **changes)  # type: ignore[arg-type]


async def found(store: Store, session: Session) -> base.Found:
    one = await store.find_session(session.id)
    assert one is not None
    return one


def by_the_rules(before: base.Found, shown: base.Refresh) -> Session | None:
    """What the session is after this by `rules.refresh`; None where that is no mere rotation."""
    session = before.session
    try:
        token = rules.Shown(shown.generation, shown.secret_hash)
        decision = rules.refresh(session, token, shown.policy, shown.now)
    except Error:
        return None
    moved = shown.ip not in (None, session.ip) and session.client.service_key is None
    if not isinstance(decision, rules.Rotate) or moved or before.user.status != "active":
        return None
    return replace(
        session,
        last_active_at=decision.last_active_at,
        idle_expires_at=decision.idle_expires_at,
        absolute_expires_at=decision.absolute_expires_at,
        lineage=rules.rotated(
            session.lineage, shown.successor_hash, shown.sealed_successor, shown.now
        ),
    )


async def test_it_does_what_the_rules_decide_or_nothing(store: Store) -> None:
    """Around every limit, under another policy than that of the beginning, for each kind of
    token that may be shown, and for sessions that have ended in each way."""
    chance = random.Random(7)
    sessions = []
    for number in range(40):
        limits = {
            "idle_expires_at": START + chance.choice((HOUR, 2 * HOUR, 24 * HOUR)),
            "absolute_expires_at": START + chance.choice((HOUR, 3 * HOUR, 720 * HOUR)),
            "last_active_at": START + chance.choice((-13 * HOUR, 0 * HOUR, 3 * HOUR)),
            "auth_time": START - chance.choice((0 * HOUR, 119 * HOUR, 400 * HOUR)),
            "client": Client("browser", service_key=chance.choice((None, None, KeyId("k_one")))),
            "ip": chance.choice((None, "192.0.2.1")),
            "lineage": Lineage(5, hashed("5"), START, hashed("4"), b"sealed before", 3),
        }
        owner = a_user(chance.choice(("ada", "ada", "bob")))
        sessions.append(await begin(store, f"{number}", user=owner, **limits))
    for one in sessions[:4]:
        await store.commit(
            base.EndSession(one.id, one.user_id, one.account_id, "revoked", SYSTEM, START)
        )
    spared = next(one.id for one in sessions[4:] if one.user_id == "u_bob")
    bob = a_user("bob")
    await store.commit(
        base.EndUser(bob.id, bob.account_id, spared, "terminated_by_admin", SYSTEM, START, POLICY)
    )
    done = 0
    for _ in range(500):
        session = (await found(store, chance.choice(sessions))).session
        edges = (session.idle_expires_at, session.absolute_expires_at, START + HOUR)
        generation = session.lineage.generation - chance.choice((*[0] * 9, 1, 2, -1))
        secrets = (session.lineage.secret_hash, session.lineage.previous_hash, hashed("other"))
        shown = shows(
            session,
            generation=generation,
            secret_hash=chance.choice((*[secrets[0]] * 6, *secrets)),
            successor_hash=hashed(f"{chance.random()}"),
            ip=chance.choice((None, *[session.ip] * 6, "198.51.100.7")),
            now=chance.choice(edges) + chance.choice((-TICK, 0 * TICK, TICK, *[-HOUR] * 3)),
            policy=chance.choice((POLICY, SHORT)),
        )
        before = await found(store, session)
        expected = by_the_rules(before, shown)
        refreshed = await store.refresh(shown)
        after = await found(store, session)
        if expected is None:
            assert refreshed is None
            assert after == before
        else:
            done += 1
            assert refreshed == base.Refreshed(expected, before.user, before.log.position)
            assert after == replace(before, session=expected)
    assert 40 < done < 460  # both happen


async def test_many_at_once_each_get_their_own(store: Store) -> None:
    """Also of several that show the same token: one rotates, the others are told to look."""
    sessions = [await begin(store, f"{number}") for number in range(60)]
    shown = [
        shows(one, successor_hash=hashed(f"{one.id} {turn}"))
        for one in sessions
        for turn in range(3)
    ]
    done = await asyncio.gather(*(store.refresh(one) for one in shown))
    for place, session in enumerate(sessions):
        mine = [one for one in done[3 * place : 3 * place + 3] if one is not None]
        assert [one.session.id for one in mine] == [session.id]
        now = (await found(store, session)).session
        assert now == mine[0].session
        assert now.lineage.generation == 2


async def test_a_suspended_user_s_session_is_looked_at(store: Store) -> None:
    session = await begin(store, "one")
    await store.commit(base.SetStatus(session.user_id, "suspended"))
    assert await store.refresh(shows(session)) is None


async def test_its_position_is_that_of_the_log_as_it_saw_it(store: Store) -> None:
    session = await begin(store, "one")
    other = await begin(store, "other")
    ended = await store.commit(
        base.EndSession(other.id, other.user_id, other.account_id, "revoked", SYSTEM, START)
    )
    refreshed = await store.refresh(shows(session))
    assert refreshed is not None
    assert refreshed.position == ended.position


async def test_sqlite_reads_first(tmp_path: Path) -> None:
    opened = SqliteBackend(tmp_path).open()
    assert not opened.refreshes
    assert await opened.refresh(shows(a_session())) is None
    await opened.close()
