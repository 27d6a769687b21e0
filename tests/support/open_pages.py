"""Open pages of people on one node, and the follower that tells them, turn by turn."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from lastcall import live
from lastcall.events import Actor
from lastcall.identity.administration import Admin
from lastcall.identity.model import User
from lastcall.ids import AccountId
from lastcall.live import Beat, Live, Message, OpenPage
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from tests.support.fakes import FakeClock
from tests.support.nodes import calls

OPERATOR = Actor("admin", None, "the command line")


class Turns:
    """The follower's pauses, which the test ends."""

    def __init__(self) -> None:
        self._go: asyncio.Queue[None] = asyncio.Queue()
        self._rests = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        assert seconds == live.FOLLOW_SECONDS
        self._rests.set()
        await self._go.get()

    async def one(self) -> None:
        """Let the follower look at the log once, and come to rest."""
        async with asyncio.timeout(10):
            await self._rests.wait()
            self._rests.clear()
            self._go.put_nowait(None)
            await self._rests.wait()

    async def last(self) -> None:
        """Let the follower look at the log once more, after which it pauses no more."""
        await self._rests.wait()
        self._rests.clear()
        self._go.put_nowait(None)
        await asyncio.sleep(0.05)
        assert not self._rests.is_set()


class Store:
    """A node's store, which fails when it is told to."""

    def __init__(self, store: base.Store) -> None:
        self._store = store
        self.fails: dict[str, Exception] = {}
        self.asked = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if error := self.fails.get(name):
            raise error
        self.asked += name == "changes"
        return getattr(self._store, name)


class Watched:
    """One stream, and what it tells."""

    def __init__(self, messages: AsyncGenerator[Message, None]) -> None:
        self.messages = messages
        self._next: asyncio.Task[Message] | None = None

    async def told(self) -> Message:
        """Wait for what it tells next."""
        task = self._ask()
        async with asyncio.timeout(10):
            message = await task
        self._next = None
        return message

    async def nothing(self) -> None:
        """Require that it has nothing to tell."""
        task = self._ask()
        await asyncio.sleep(0.01)
        assert not task.done(), task.result()

    def _ask(self) -> asyncio.Task[Message]:
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self.messages))
        return self._next

    async def leave(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self.messages.aclose()


class Scene:
    """A node, its follower, and the owner Ada and the member Bob with an open page each."""

    def __init__(self, node: Node, clock: FakeClock, ada: Tokens, bob: User) -> None:
        self.node, self.clock, self.ada, self.bob = node, clock, ada, bob
        self.turns = Turns()
        self.store = Store(node.store)
        self.marks: dict[str, str] = {}
        """What the services of accounts are at; those of any other one are at nothing."""
        self.looked: list[frozenset[str]] = []
        self.live = Live(self.store, node.settings.policy, clock, self.look, self.turns.pause)
        self.by = Admin(bob.account_id, "owner", OPERATOR)

    async def look(self, accounts: frozenset[AccountId]) -> dict[AccountId, str]:
        self.looked.append(accounts)
        return {account: self.marks.get(account, "nothing") for account in accounts}

    async def watch(
        self,
        tokens: Tokens,
        after: int | None = None,
        services: str | None = None,
        **more: Any,  # noqa: ANN401
    ) -> Watched:
        """Open a page's stream; its first message comes at once."""
        caller = await calls(self.node, tokens)
        page = OpenPage(caller.session, caller.user, caller.recorded, **more)
        watched = Watched(self.live.stream(page, after, services))
        assert await watched.told() == Beat()
        return watched

    async def number(self) -> int:
        """Give the number of the newest record."""
        return (await self.node.store.changes(None)).number
