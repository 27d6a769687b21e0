"""Whichever statement of a commit fails on PostgreSQL, and however: all of it is there or nothing,
whoever asked is told which, and the store goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from lastcall.audit import Record, Target
from lastcall.errors import LostRace, Unavailable
from lastcall.ids import SessionId
from lastcall.limits import Limit, Slot
from lastcall.sessions.model import Session
from lastcall.stores import base, schema
from lastcall.stores.base import Store
from lastcall.stores.postgres import lane
from lastcall.stores.postgres import store as postgres_store
from tests.contract.writes import ADA, BOB, LATER, SEEN, end, end_user
from tests.support.backends import Born, PostgresBackend
from tests.support.fakes import START
from tests.support.held import outcome, raw
from tests.support.statements import Execute, connecting
from tests.support.values import ADMIN, POLICY, a_session, an_account, hashed, rotated

HELD = " UNION ALL ".join(
    f"SELECT '{name}', (to_jsonb(t) - 'number')::text FROM \"{name}\" t"  # noqa: S608  its own
    for name in schema.metadata.tables
)
"""Every row of every table, but for the numbers of records, of which some may be left out."""
RECORD = base.AddRecord(
    Record("user.logout", START, ADA.account_id, ADA.id, ADMIN, Target("user", ADA.id, "Ada"))
)
SLOTS = (
    Slot(Limit("three", 3, timedelta(seconds=30)), 7),
    Slot(Limit("ten", 10, timedelta(days=9)), 8),
)

LONG_AFTER = START + timedelta(days=400)

Act = Callable[[Store], Awaitable[Any]]


@dataclass
class Trip:
    """Has the statement that is the `at`-th fail in some way, once."""

    fault: "Fault | None" = None
    at: int = 0
    passed: int = 0
    hit: str = ""
    """The words of the statement that failed."""
    limits: list[asyncio.Timeout] = field(default_factory=list)
    """Those under which the store has worked; the last one is the one that runs."""
    silent: list[Any] = field(default_factory=list)
    """The connections on which no answer ever comes."""

    def arm(self, fault: "Fault", at: int) -> None:
        """Fail from here."""
        self.fault, self.at, self.passed, self.hit = fault, at, 0, ""

    async def __call__(self, connection: Any, name: str, execute: Execute) -> Any:  # noqa: ANN401
        if connection in self.silent:
            await asyncio.Event().wait()
        if name == "ROLLBACK" or self.fault is None:
            return await execute()
        self.passed += 1
        if self.passed != self.at:
            return await execute()
        self.hit = name
        return await self.fault(self, connection, execute)

    async def hang(self, connection: Any) -> None:  # noqa: ANN401
        """Wait for what never comes, until the store's patience is at its end."""
        self.silent.append(connection)
        self.limits[-1].reschedule(asyncio.get_running_loop().time())
        await asyncio.Event().wait()


Fault = Callable[[Trip, Any, Execute], Awaitable[Any]]


def refused(code: str) -> Fault:
    """Have the server fail, so that its transaction is broken as well."""

    async def fail(_trip: Trip, connection: Any, _execute: Execute) -> None:  # noqa: ANN401
        raising = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
        await asyncpg.Connection.execute(connection, raising)

    return fail


async def closed_before(_trip: Trip, connection: Any, execute: Execute) -> Any:  # noqa: ANN401
    """Lose the connection before the statement is sent."""
    connection.terminate()
    return await execute()


async def closed_after(_trip: Trip, connection: Any, execute: Execute) -> Any:  # noqa: ANN401
    """Lose the statement's answer."""
    await execute()
    connection.terminate()
    raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


async def hangs_before(trip: Trip, connection: Any, _execute: Execute) -> None:  # noqa: ANN401
    """Never send the statement."""
    await trip.hang(connection)


async def hangs_after(trip: Trip, connection: Any, execute: Execute) -> None:  # noqa: ANN401
    """Never hear the statement's answer."""
    await execute()
    await trip.hang(connection)


REFUSALS = {"disk full": refused("53100"), "too long": refused("57014")}
ROLLED_BACK = {"serialization": refused("40001"), "deadlock": refused("40P01")}
LOSSES = {
    "closed before": closed_before,
    "closed after": closed_after,
    "hangs before": hangs_before,
    "hangs after": hangs_after,
}
FAULTS = {**REFUSALS, **ROLLED_BACK, **LOSSES}


def commits(*writes: base.Write, actor: SessionId | None = None) -> tuple[Act, Act]:
    """Give what commits these, and what is refused on the same connection."""

    async def refuse(store: Store) -> None:
        with pytest.raises(LostRace):
            await store.commit(*writes, actor=SessionId("s_c1_nobody"))

    return lambda store: store.commit(*writes, actor=actor), refuse


def refreshes(session: Session) -> tuple[Act, Act]:
    """Give the same of a refresh."""

    def show(secret: bytes) -> base.Refresh:
        made = rotated(session)
        return base.Refresh(
            session_id=session.id,
            generation=session.lineage.generation,
            secret_hash=secret,
            successor_hash=made.lineage.secret_hash,
            sealed_successor=b"sealed",
            ip=None,
            now=LATER,
            policy=POLICY,
        )

    async def act(store: Store) -> base.Refreshed:
        done = await store.refresh(show(session.lineage.secret_hash))
        assert done is not None
        return done

    async def refuse(store: Store) -> None:
        assert await store.refresh(show(hashed("other"))) is None

    return act, refuse


@dataclass(frozen=True)
class World:
    """A database before a commit: Ada with two sessions and one that has ended, and Bob."""

    born: Born
    one: Session
    two: Session
    gone: Session
    new: Session


OPERATIONS: dict[str, Callable[[World], tuple[Act, Act]]] = {
    "begin": lambda world: commits(base.Begin(world.new, SEEN, START), RECORD),
    "refresh": lambda world: refreshes(world.one),
    "move": lambda world: commits(base.Rotate(rotated(world.one)), RECORD),
    "end": lambda world: commits(end(world.two), RECORD, actor=world.one.id),
    "end all": lambda _: commits(end_user(), RECORD),
    "password": lambda world: commits(
        base.SetPassword(ADA.id, "new", LATER, START),
        base.MarkStale(world.one.id, ADA.account_id, ADA.id, LATER),
        end_user(world.one),
        RECORD,
        actor=world.one.id,
    ),
    "attempt": lambda _: commits(base.Take(SLOTS, START)),
    "remove": lambda _: commits(base.RemoveUser(BOB.id), end_user(user=BOB), RECORD),
    "drop": lambda world: commits(base.Drop("sessions", (world.gone.id,), LONG_AFTER)),
}

OFTEN = ("begin", "refresh", "end", "attempt")
"""One of each kind of connection, and what must not be done twice."""


@pytest.fixture(scope="module")
def world(born_database: Born) -> Iterator[World]:
    """The database that each test has a copy of."""

    async def fill(backend: PostgresBackend) -> World:
        store = backend.open()
        await store.commit(
            base.AddAccount(an_account()), base.AddUser(ADA, "hash"), base.AddUser(BOB, None)
        )
        begun = (await store.log_end()).position
        one, two, gone, new = (a_session(name, begun=begun) for name in ("1", "2", "gone", "new"))
        await store.commit(*(base.Begin(each, SEEN, START) for each in (one, two, gone)))
        await store.commit(end(gone))
        await store.close()
        name = backend.url.rpartition("/")[2]
        return World(Born(born_database.server, name, backend.folder), one, two, gone, new)

    with born_database.copy() as backend:
        yield asyncio.run(fill(backend))


async def content(url: str) -> list[tuple[str, str]]:
    """Read everything."""
    async with raw(url) as db:
        return sorted(tuple(row) for row in await db.fetch(HELD))


@pytest.fixture
def trip(monkeypatch: pytest.MonkeyPatch) -> Trip:
    """What each connection from here on comes by."""
    made, limit = Trip(), asyncio.timeout

    def noted(delay: float | None) -> asyncio.Timeout:
        timeout = limit(delay)
        if delay in (lane.SECONDS, postgres_store.PROMPT_SECONDS):
            made.limits.append(timeout)
        return timeout

    monkeypatch.setattr(asyncio, "timeout", noted)
    monkeypatch.setattr(asyncpg, "connect", connecting(made))
    return made


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "operation",
    [
        *OFTEN,
        *(pytest.param(one, marks=pytest.mark.soak) for one in OPERATIONS if one not in OFTEN),
    ],
)
async def test_whichever_statement_fails_all_is_done_or_nothing_and_it_is_said_which(
    world: World, trip: Trip, operation: str, fault: str
) -> None:
    """What the server has rolled back for others' sake, and what was lost before the commit, is
    done all the same; only what was lost with the commit is unknown."""
    act, refuse = OPERATIONS[operation](world)
    before, done = await undisturbed(world, act)
    hits: list[str] = []
    while "" not in hits:
        with world.born.copy() as backend:
            store = backend.open()
            await refuse(store)  # a connection that is new would not be replaced
            found = before
            while found != done:
                trip.arm(FAULTS[fault], len(hits) + 1)
                came = await outcome(act(store))
                trip.fault = None
                found = await content(backend.url)
                assert found in (before, done), trip.hit
                hits.append(trip.hit)
                decides = trip.hit == (
                    "UPDATE sessions SET" if operation == "refresh" else "COMMIT"
                )
                expect(fault, trip.hit, came, decides=decides, is_done=found == done)
            await refuse(store)
            await store.commit(base.CountUnknownSignIn())
            await store.close()
    assert len(hits) > (1 if operation == "refresh" else 4)


def expect(fault: str, hit: str, came: object, *, decides: bool, is_done: bool) -> None:
    """Expect that what is told of a commit is what happened."""
    if not hit or fault in ROLLED_BACK or (fault in LOSSES and not decides):
        assert isinstance(came, base.Committed | base.Refreshed), (hit, came)
        assert is_done, hit
        return
    assert isinstance(came, Unavailable), (hit, came)
    assert ("unknown" in str(came)) == (fault in LOSSES), (hit, came)
    assert is_done == fault.endswith("after"), hit


async def undisturbed(world: World, act: Act) -> tuple[object, object]:
    """Give what is there before a commit, and after."""
    with world.born.copy() as backend:
        before = await content(backend.url)
        store = backend.open()
        await act(store)
        await store.close()
        return before, await content(backend.url)
