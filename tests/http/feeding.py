"""A server that listens on loopback, on a clock that only tests move, and what follows its feed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import uvicorn

from lastcall.cli.worker import FeedProtocol
from lastcall.http.app import App
from lastcall.leases.messages import LONGEST
from lastcall.leases.verifier import VerifierSide
from tests.http.serving import Served
from tests.support.following import Follower, following


@dataclass(frozen=True)
class Fed:
    """A server that listens on loopback, on a clock that only the test moves."""

    served: Served
    port: int
    key: str

    def follow(
        self, side: VerifierSide | None = None, key: str | None = None
    ) -> AbstractAsyncContextManager[Follower]:
        """A verifier that follows it."""
        return following(self.port, key or self.key, side, self.served.clock)

    async def events(self) -> int:
        """Give the log's end."""
        return (await self.served.node.store.log_end()).position.seq


@asynccontextmanager
async def listening(app: App, max_size: int = LONGEST) -> AsyncIterator[int]:
    """Run uvicorn on an application, as `lastcall serve` has it; give its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, loop="none", lifespan="off", log_config=None, proxy_headers=False,
        ws=FeedProtocol, ws_max_size=max_size, ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        app.hang_up()
        server.should_exit = True
        await running
