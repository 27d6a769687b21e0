"""Another process of the same server, which others get ahead of."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.sessions.service import Sessions
from lastcall.stores import base
from lastcall.stores.sqlite import SqliteStore
from lastcall.throttle import Throttle
from tests.support.nodes import DATABASE


class RacingStore(SqliteStore):
    """The store, where another process gets in just before this one's next commit."""

    racer: Any = None

    async def commit(self, *writes: base.Write, actor: Any = None) -> base.Committed:  # noqa: ANN401
        if self.racer is not None:
            racer, self.racer = self.racer, None
            await racer()
        return await super().commit(*writes, actor=actor)


class Rival:
    """A process of the same server whose next commit comes second."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.store = RacingStore(folder / DATABASE)
        mine = node.sessions
        self.sessions = Sessions(
            store=self.store,
            secrets=node.secrets,
            signing=node.signing,
            locator=node.locator,
            policy=mine.policy,
            issuer=mine.issuer,
            audience=mine.audience,
            cell="c1",
            throttle=Throttle(self.store, node.secrets.throttle, node.clock),
            clock=node.clock,
            entropy=node.entropy,
        )


class PausedPasswords(Passwords):
    """Passwords that, once armed, have done their work and stop before they tell."""

    def __init__(self) -> None:
        super().__init__(CHEAP, threads=2)
        self.armed = False
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def verify(self, stored: str | None, password: str) -> str | None:
        result = await super().verify(stored, password)
        await self._pause()
        return result

    async def hash(self, password: str) -> str:
        result = await super().hash(password)
        await self._pause()
        return result

    async def _pause(self) -> None:
        if self.armed:
            self.armed = False
            self.reached.set()
            await self.go.wait()


async def during(
    paused: PausedPasswords, work: Awaitable[object], meanwhile: Callable[[], Awaitable[object]]
) -> object:
    """Do something while some work stands between its hashing and its commit; give what the work
    gave or raised."""
    paused.armed = True
    task = asyncio.ensure_future(work)
    await asyncio.wait_for(paused.reached.wait(), 10)
    await meanwhile()
    paused.go.set()
    return (await asyncio.gather(task, return_exceptions=True))[0]
