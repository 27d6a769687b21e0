"""Works in the process that serves, for an application that has the server mounted.

The check is the library's own (`verifier.checking`), over what this node knows. Where the node has
no lease it renews first, by a write (rule 16); nothing goes over a network.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope

from lastcall.errors import SettingsError, Unavailable
from lastcall.ids import AccountId
from lastcall.leases.view import View
from lastcall.node import Node
from lastcall.remote.asking import Reply
from lastcall.verifier.checking import CACHED, Checker, Meant
from lastcall.verifier.forks import new_mark
from lastcall.verifier.session import Session

T = TypeVar("T")

SECONDS: Final = 5.0
"""How long a check waits for a node that must renew its lease first."""
_SILENT: Final = "the server of this process does not answer"


class Serving:
    """The node of this process, once it is open, and the loop that it runs in."""

    def __init__(self, open_node: Callable[[], Awaitable[Node]], public_url: str) -> None:
        self._open = open_node
        self.public_url = public_url
        self.mark = new_mark()
        self.node: Node | None = None
        self.loop: asyncio.AbstractEventLoop | None = None

    def opened(self, node: Node | None) -> None:
        """Say that the node was opened in this loop; None: it is closed."""
        if node is not None and not self.mark[0]:  # made before a fork, opened after
            self.mark = new_mark()
        self.node = node
        self.loop = asyncio.get_running_loop() if node is not None else None

    async def require(self) -> Node:
        """Give the node, opened if it isn't. Raises what opening raises."""
        return self.node or await self._open()

    def wait_for(self, ask: Callable[[], Coroutine[None, None, T]], seconds: float) -> T:
        """Have the loop do something, from another thread. Raises Unavailable."""
        self.require_own_process()
        loop = self.loop
        if loop is None or not loop.is_running():
            raise Unavailable("the server of this process does not run yet, or no more")
        if asyncio._get_running_loop() is loop:  # noqa: SLF001  it raises nothing where none runs
            raise Unavailable("this waits for the server's own loop: await it there (averify, …)")
        asked = asyncio.run_coroutine_threadsafe(ask(), loop)
        try:
            return asked.result(seconds)
        except (TimeoutError, CancelledError):
            asked.cancel()
            raise Unavailable(_SILENT) from None

    async def wait_aside(self, ask: Callable[[], Coroutine[None, None, T]], seconds: float) -> T:
        """Do the same from a coroutine, of this loop or of another. Raises Unavailable."""
        self.require_own_process()
        loop = self.loop
        if loop is None or loop is asyncio.get_running_loop():
            return await ask()
        asked = asyncio.run_coroutine_threadsafe(ask(), loop)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asked), seconds)
        except TimeoutError:
            raise Unavailable(_SILENT) from None

    def require_own_process(self) -> None:
        """Raise Unavailable in a child of the process that serves."""
        if not self.mark[0]:
            raise Unavailable("this process was forked from the one that serves")

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
        self._mark = serving.mark
        self._serving = serving
        self._account = account

    @property
    def public_url(self) -> str:
        """Where browsers find the server's pages; known before the node is open."""
        return self._serving.public_url

    def wait_ready(self, timeout: float = SECONDS) -> None:
        """Wait until the node has a lease, so many seconds at most; not from its own loop, which
        would wait for itself. Raises Unavailable."""
        self._serving.wait_for(self._ready, timeout)

    def _begin_anew(self) -> None:
        """This is a child: it knows what a node of its own knows, if it has one (rule 12)."""
        super()._begin_anew()
        if self._serving.mark[0]:
            self._knows = self._serving
            self._mark = self._serving.mark  # last: who finds it true finds the other

    def _connected(self) -> bool:
        return bool(self._mark[0]) and self._serving.node is not None

    def _meant(self) -> Meant | None:
        node = self._serving.node
        if node is None:
            return None
        return Meant(node.sessions.issuer, node.sessions.audience, self._account)

    def _ask(self, token: str) -> Session:
        return self._serving.wait_for(lambda: self._decide(token), SECONDS)

    async def _ask_aside(self, token: str) -> Session:
        return await self._serving.wait_aside(lambda: self._decide(token), SECONDS)

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


class Within:
    """Brings a service's requests to the server of this process, with no network: they are checked,
    done and answered like any other."""

    def __init__(self, app: ASGIApp, serving: Serving, account: str | None) -> None:
        """`account` is the name of the one whose users they are; None: the only one."""
        self._app = app
        self._serving = serving
        self._account = account
        self._key: tuple[Node, str] | None = None
        parts = urlsplit(serving.public_url)
        self._base = parts.path.rstrip("/")
        self._host = parts.netloc

    def send(self, method: str, path: str, body: bytes, seconds: float) -> Reply:
        """Send JSON and wait for the answer, so many seconds at most. Raises Unavailable."""
        return self._serving.wait_for(lambda: self._ask(method, path, body), seconds)

    async def asend(self, method: str, path: str, body: bytes, seconds: float) -> Reply:
        """Do the same, and never block the loop. Raises Unavailable."""
        return await self._serving.wait_aside(lambda: self._ask(method, path, body), seconds)

    async def _ask(self, method: str, path: str, body: bytes) -> Reply:
        key = await self._own_key()
        given = {
            "host": self._host,
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        way, _, query = path.partition("?")
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": self._base + unquote(way),
            "root_path": self._base,
            "query_string": query.encode("ascii"),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
        }
        said: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            said.append(message)

        try:
            await self._app(scope, receive, send)
        except Exception as error:
            raise Unavailable("the server of this process failed; its log says why") from error
        start = Headers(raw=said[0]["headers"])
        kind = start.get("content-type", "").partition(";")[0]
        found = b"".join(message.get("body", b"") for message in said[1:])
        return Reply(said[0]["status"], kind, found, start.get("retry-after"))

    async def _own_key(self) -> str:
        node = await self._serving.require()
        if self._key is None or self._key[0] is not node:
            self._key = node, node.services.own_key(await self._account_of(node))
        return self._key[1]

    async def _account_of(self, node: Node) -> AccountId:
        if self._account is not None:
            return (await node.identity.ensure_account(self._account)).id
        accounts = await node.store.list_accounts()
        if len(accounts) != 1:
            found = ", ".join(account.name for account in accounts) or "none yet"
            text = f"say whose users these are: sessions(account=NAME); there is: {found}"
            raise SettingsError(text)
        return accounts[0].id
