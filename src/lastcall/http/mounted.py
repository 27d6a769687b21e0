"""Verifies in the process that serves: what an application asks that has the server mounted.

The check is the library's own (`verifier.checking`), over what this node knows. Where the node has
no lease it renews first, by a write (rule 16); nothing goes over a network.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Final, TypeVar

from lastcall.errors import Unavailable
from lastcall.ids import AccountId
from lastcall.leases.view import View
from lastcall.node import Node
from lastcall.verifier.checking import CACHED, Checker, Meant
from lastcall.verifier.session import Session

T = TypeVar("T")

SECONDS: Final = 5.0
"""How long a check waits for a node that must renew its lease first."""


class Serving:
    """The node of this process, once it is open, and the loop that it runs in."""

    def __init__(self, open_node: Callable[[], Awaitable[Node]]) -> None:
        self._open = open_node
        self.node: Node | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def opened(self, node: Node | None) -> None:
        """Say that the node was opened in this loop; None: it is closed."""
        self.node = node
        self.loop = asyncio.get_running_loop() if node is not None else None

    async def require(self) -> Node:
        """Give the node, opened if it isn't. Raises what opening raises."""
        return self.node or await self._open()

    @property
    def view(self) -> View | None:
        """What the node knows; None where it has not begun."""
        node = self.node
        return None if node is None else node.leases.view


class NodeVerifier(Checker):
    """Checks access tokens through the node of this process: all accounts' or one's."""

    def __init__(
        self,
        serving: Serving,
        account: AccountId | None,
        clock: Callable[[], float],
        cached: int = CACHED,
    ) -> None:
        super().__init__(serving, clock, cached)
        self._serving = serving
        self._account = account

    def wait_ready(self, timeout: float = SECONDS) -> None:
        """Wait until the node has a lease, so many seconds at most; not from its own loop, which
        would wait for itself. Raises Unavailable."""
        self._elsewhere(self._ready, timeout)

    def _connected(self) -> bool:
        return bool(self._mark[0]) and self._serving.node is not None

    def _meant(self) -> Meant | None:
        node = self._serving.node
        if node is None:
            return None
        return Meant(node.sessions.issuer, node.sessions.audience, self._account)

    def _ask(self, token: str) -> Session:
        return self._elsewhere(lambda: self._decide(token), SECONDS)

    async def _ask_aside(self, token: str) -> Session:
        loop = self._serving.loop
        self._require_own_process()
        if loop is None or loop is asyncio.get_running_loop():
            return await self._decide(token)
        asked = asyncio.run_coroutine_threadsafe(self._decide(token), loop)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asked), SECONDS)
        except TimeoutError:
            raise Unavailable("the server of this process does not answer") from None

    # In the node's loop.

    async def _ready(self) -> None:
        node = await self._serving.require()
        await node.leases.require()

    async def _decide(self, token: str) -> Session:
        """Look at the database, under a lease (rule 16), as introspection does."""
        node = await self._serving.require()
        await node.leases.require()
        caller = await node.sessions.authenticate(token, self._account)
        return Session.of(caller.access)

    # From another thread.

    def _elsewhere(self, ask: Callable[[], Coroutine[None, None, T]], seconds: float) -> T:
        self._require_own_process()
        loop = self._serving.loop
        if loop is None or not loop.is_running():
            raise Unavailable("the server of this process does not run yet, or no more")
        if asyncio._get_running_loop() is loop:  # noqa: SLF001  it raises nothing where none runs
            raise Unavailable("without a lease this waits for the node: await averify here")
        asked = asyncio.run_coroutine_threadsafe(ask(), loop)
        try:
            return asked.result(seconds)
        except (TimeoutError, CancelledError):
            asked.cancel()
            raise Unavailable("the server of this process does not answer") from None

    def _require_own_process(self) -> None:
        if not self._mark[0]:
            raise Unavailable("this process was forked from the one that serves")
