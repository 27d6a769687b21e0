"""What the benchmark of size asks of a database full of people, as `tools.crowd` fills one."""

import json
import random
from collections import deque
from contextlib import suppress
from itertools import cycle
from typing import Final

import asyncpg

from benchmarks.client import User, request
from benchmarks.over_http import API
from lastcall.audit import Record
from lastcall.clock import SystemClock
from lastcall.digests import digest
from lastcall.errors import LostRace
from lastcall.events import SYSTEM
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.secretfile import Secrets
from lastcall.sessions.policy import Policy
from lastcall.stores import base, rows
from lastcall.tokens import RefreshToken, write_refresh
from tools.crowd import ACCOUNT, Crowd, secret, session_id, user_id

HOME: Final = AccountId(ACCOUNT)
POLICY: Final = Policy()
SAMPLE: Final = 200_000
"""Of how many sessions, all over the table, those are that are asked for."""
REGULARS: Final = 300
"""How many of them are there again and again."""
SHOWN: Final = 20_000
"""How many of them refresh over HTTP."""
_UNUSED: Final = """
SELECT id FROM sessions WHERE id = ANY($1) AND generation = 1 AND ended_seq IS NULL
"""


class Crowded:
    """A database full of people, and what is asked of it. Each operation that changes something has
    a quarter of the users to itself."""

    def __init__(self, store: base.Store, crowd: Crowd) -> None:
        self._store = store
        self._crowd = crowd
        self._chance = random.Random()
        self._oldest = crowd.sessions * 9 // 10  # from here on, they are there to be deleted
        others = range(crowd.of_one + 1, self._oldest)
        numbers = self._chance.sample(others, min(SAMPLE, len(others)))
        parts = [[one for one in numbers if self._user(one) % 4 == part] for part in range(4)]
        self._kept = cycle(parts[0])
        self._regular = cycle(parts[0][:REGULARS])
        self._ending = iter(parts[1])
        self._leaving = cycle(parts[2])
        self._showing = parts[3][:SHOWN]
        self._tokens: deque[str] = deque()
        self._dropped = self._oldest + self._chance.randrange(crowd.sessions // 50)
        self._generations: dict[int, int] = {}

    def _user(self, session: int) -> int:
        return 2 + session % (self._crowd.users - 1)  # as `tools.crowd` gives them out

    async def refresh(self) -> None:
        """Refresh a session: the next one that is as it was filled in, or as this left it."""
        while not await self._refresh(next(self._kept)):
            pass

    async def _refresh(self, number: int) -> bool:
        generation = self._generations.get(number, 1)
        shown, successor = (
            digest(secret(number) if one == 1 else f"{number} {one}".encode())
            for one in (generation, generation + 1)
        )
        named = SessionId(session_id(number))
        now = SystemClock().now()
        done = await self._store.refresh(
            base.Refresh(named, generation, shown, successor, bytes(60), "192.0.2.1", now, POLICY)
        )
        self._generations[number] = generation + 1
        return done is not None

    async def list_sessions(self, *, regular: bool = False) -> None:
        """List somebody's sessions: of anybody, or of one of few who are listed again and again, so
        that what is asked for was in use a moment ago."""
        user = UserId(user_id(self._user(next(self._regular if regular else self._kept))))
        query = base.SessionQuery(user, "active", POLICY, SystemClock().now())
        if not await self._store.list_sessions(query):
            raise LookupError(user)

    async def end(self) -> None:
        """End a session."""
        number = next(self._ending)
        user, now = UserId(user_id(self._user(number))), SystemClock().now()
        ended = SessionId(session_id(number))
        with suppress(LostRace):  # a run before has ended it
            await self._store.commit(
                base.EndSession(ended, user, HOME, "revoked", SYSTEM, now),
                base.AddRecord(Record("session.sign_out", now, HOME, user, SYSTEM)),
            )

    async def mint(self, raw: "asyncpg.Connection[asyncpg.Record]", secrets: Secrets) -> None:
        """Mint the first refresh tokens of sessions, of those that no run before has refreshed."""
        numbers = {session_id(number): number for number in self._showing}
        for row in await raw.fetch(_UNUSED, list(numbers)):
            first = RefreshToken(row["id"], 1, secret(numbers[row["id"]]))
            self._tokens.append(write_refresh(first, secrets))

    def refreshing(self) -> User:
        """Refresh over HTTP: each time the session whose turn is longest ago."""

        def ask() -> bytes:
            body = json.dumps({"refresh_token": self._tokens.popleft()}).encode()
            return request("POST", f"{API}/refresh", body)

        return User(ask, lambda body: self._tokens.append(json.loads(body)["refresh_token"]))

    def listing(self, key: str) -> User:
        """List somebody's sessions over HTTP, as a service."""

        def ask() -> bytes:
            user = user_id(self._user(next(self._kept)))
            return request("GET", f"{API}/users/{user}/sessions", token=key)

        return User(ask)

    def ending(self, key: str) -> User:
        """End a session over HTTP, as a service."""

        def ask() -> bytes:
            ended = session_id(next(self._ending))
            return request("DELETE", f"{API}/sessions/{ended}", token=key)

        return User(ask)

    async def log_out(self, user: UserId | None = None) -> None:
        """Log somebody out."""
        user = user or UserId(user_id(self._user(next(self._leaving))))
        now = SystemClock().now()
        await self._store.commit(
            base.EndUser(user, HOME, None, "terminated_by_admin", SYSTEM, now, POLICY),
            base.AddRecord(Record("user.logout", now, HOME, user, SYSTEM)),
        )

    async def search(self, text: str | None = None) -> None:
        """Search users, for one of them unless it is said for what."""
        wanted = text or f"user{1 + self._chance.randrange(self._crowd.users)}@"
        await self._store.list_users(base.UserQuery(HOME, POLICY, SystemClock().now(), text=wanted))

    async def read_records(self, *, deep: bool = False, of_user: bool = False) -> None:
        """Read a page of the audit log, from its end or from anywhere, of all or of somebody."""
        before = 1 + self._chance.randrange(self._crowd.sessions) if deep else None
        user = UserId(user_id(self._user(next(self._kept)))) if of_user else None
        await self._store.list_records(base.RecordQuery(HOME, user, before=before))

    async def look_to_purge(self) -> None:
        """Read a piece of the sessions, anywhere, as a purge does."""
        after = session_id(1 + self._chance.randrange(self._crowd.sessions - 500))
        await self._store.over(base.PurgeQuery("sessions", SystemClock().now(), after))

    async def delete(self) -> None:
        """Delete the next five sessions, as if they had been over for long."""
        self._dropped += 5
        keys = tuple(session_id(self._dropped - one) for one in range(5))
        over = rows.moment(self._crowd.at + 400 * 86_400 * 10**6)
        with suppress(LostRace):  # a run before has deleted one of them
            await self._store.commit(base.Drop("sessions", keys, over))
