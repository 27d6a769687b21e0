"""The whole server in a thread, on loopback, with a clock that tests move."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from lastcall.clock import SystemClock
from lastcall.http.app import App
from lastcall.http.endpoint import AnyEndpoint
from lastcall.identity.model import User
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.server import ENDPOINTS, create_app
from lastcall.sessions.policy import Policy
from lastcall.settings import Settings

T = TypeVar("T")

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"


class MovableClock(SystemClock):
    """The machine's clock, moved on by what a test lets pass."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """Give the moved time."""
        return super().now() + self._ahead

    def advance(self, **by: float) -> None:
        """Let time pass: hours=1, minutes=11."""
        self._ahead += timedelta(**by)


@dataclass
class Running:
    """A server that answers. Addresses in `X-Forwarded-For` are believed: tests come from afar."""

    url: str
    app: App
    node: Node
    clock: MovableClock
    loop: asyncio.AbstractEventLoop
    folder: Path

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something with the node, in the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=30)

    def add_owner(self) -> User:
        """Make the account and its owner, Ada."""
        return self.run(self._add_owner())

    async def _add_owner(self) -> User:
        account = await self.node.identity.add_account("Acme")
        return await self.node.identity.add_user(
            account.id, EMAIL, name="Ada Lovelace", password=PASSWORD
        )


@contextmanager
def serving(
    folder: Path,
    *more: AnyEndpoint,
    fill: Callable[[Settings], Awaitable[None]] | None = None,
    policy: Policy | None = None,
    path: str = "",
    passwords: Passwords | None = None,
    origin: str = "http://localhost",
    city_db: Path | None = None,
    lease: timedelta = timedelta(seconds=30),
    inside: Callable[[App], Any] = lambda app: app,
    **options: Any,  # noqa: ANN401  uvicorn's own
) -> Iterator[Running]:
    """Serve a folder's database until the block ends: with more endpoints, filled before, by
    another policy, under a path, with passwords of a real cost, at another name, with data of
    cities, with another lease, or inside of another application, if need be."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"{origin}:{listener.getsockname()[1]}{path}"
        clock = MovableClock()
        settings = Settings(
            database_url=f"sqlite:///{folder / 'lastcall.db'}",
            public_url=url,
            policy=policy or Policy(),
            trusted_proxies=(ip_network("127.0.0.1"),),
            city_db=city_db,
            lease=lease,
        )
        app = create_app(
            settings,
            clock=clock,
            passwords=passwords or Passwords(CHEAP, threads=2),
            endpoints=[*ENDPOINTS, *more],
        )
        config = uvicorn.Config(
            inside(app), log_config=None, access_log=False, proxy_headers=False, **options
        )
        server = uvicorn.Server(config)
        started: list[asyncio.AbstractEventLoop] = []
        ready = threading.Event()

        async def main() -> None:
            started.append(asyncio.get_running_loop())
            if fill is not None:
                await fill(settings)
            await app.open()
            ready.set()
            await server.serve(sockets=[listener])

        thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
        thread.start()
        assert ready.wait(timeout=60)
        loop = started[0]
        node = asyncio.run_coroutine_threadsafe(app.open(), loop).result(timeout=30).node
        try:
            yield Running(url, app, node, clock, loop, folder)
        finally:
            server.should_exit = True
            thread.join(timeout=30)
