"""A verifier on a real connection: `VerifierSide`, and nothing of the library that applications
use."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from lastcall.clock import Clock, SystemClock
from lastcall.leases.messages import (
    LONGEST,
    SUBPROTOCOL,
    Ack,
    FromNode,
    FromVerifier,
    read_from_node,
    write,
)
from lastcall.leases.verifier import VerifierSide

PATIENCE = 20
"""Seconds after which a test gives up; none is decided by it."""
_numbers = count(1)


def new_name() -> str:
    """Name a verifier."""
    return f"test-verifier-{next(_numbers):04}"


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that other tasks or processes bring about."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  nothing announces it
            await asyncio.sleep(0.005)


class Follower:
    """Follows a feed: what it is told goes into `side`, and what that says is sent."""

    def __init__(self, socket: ClientConnection, side: VerifierSide, clock: Clock) -> None:
        self.socket = socket
        self.side = side
        self.told: list[FromNode] = []
        self.deaf = False
        """Acknowledges nothing any more."""
        self._clock = clock

    async def say(self, *messages: FromVerifier) -> None:
        """Send these."""
        for message in messages:
            if not (self.deaf and isinstance(message, Ack)):
                await self.socket.send(write(message).decode())

    async def hear(self) -> FromNode:
        """Take the next message in and answer it."""
        async with asyncio.timeout(PATIENCE):
            data = await self.socket.recv()
        message = read_from_node(data)
        self.told.append(message)
        await self.say(*self.side.receive(message, self._clock.lease()))
        return message

    async def until(self, holds: Callable[[FromNode], bool]) -> FromNode:
        """Go on until a message is of this kind; give it."""
        while True:
            message = await self.hear()
            if holds(message):
                return message

    async def until_at(self, seq: int) -> None:
        """Go on until all up to a place is known."""
        while self.side.view is None or self.side.view.seq < seq:
            await self.hear()

    async def lease(self) -> None:
        """Ask for a lease, and get it."""
        before = self.side.view.leased_until if self.side.view else 0.0
        while not (asked := self.side.tick(self._clock.lease())):
            await self.hear()
        await self.say(*asked)
        while self.side.view is None or self.side.view.leased_until <= before:
            await self.hear()

    async def closed(self) -> tuple[int, str]:
        """Read on until the node closes; give why."""
        with suppress(ConnectionClosed):
            while True:
                async with asyncio.timeout(PATIENCE):
                    await self.socket.recv()
        return self.socket.close_code or 0, self.socket.close_reason or ""


@asynccontextmanager
async def connected(port: int, key: str | None, **options: Any) -> AsyncIterator[ClientConnection]:  # noqa: ANN401  those of `connect`
    """A connection to a server's feed on loopback, on which nothing has been said yet."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    options = {
        "subprotocols": [Subprotocol(SUBPROTOCOL)], "max_size": LONGEST, "compression": None,
        "proxy": None, "additional_headers": headers, **options,
    }  # fmt: skip
    url = options.pop("url", f"ws://127.0.0.1:{port}/feed")
    async with connect(url, **options) as socket:
        yield socket


@asynccontextmanager
async def following(
    port: int,
    key: str,
    side: VerifierSide | None = None,
    clock: Clock | None = None,
    **options: Any,  # noqa: ANN401  those of `connect`
) -> AsyncIterator[Follower]:
    """A verifier that follows; it knows where the log is, and has no lease yet."""
    side = side or VerifierSide(new_name())
    async with connected(port, key, **options) as socket:
        follower = Follower(socket, side, clock or SystemClock())
        await follower.say(*side.opened())
        await follower.hear()
        await follower.hear()
        while side.view is None:
            await follower.hear()
        try:
            yield follower
        finally:
            side.closed()


async def refused(
    port: int,
    key: str | None,
    *,
    path: str = "/feed",
    origin: str | None = None,
    speaks: str | None = SUBPROTOCOL,
) -> httpx.Response:
    """Give what the handshake is answered with, which is no upgrade."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": speaks,
        "Authorization": f"Bearer {key}" if key else None,
        "Origin": origin,
    }
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        return await client.get(path, headers={k: v for k, v in headers.items() if v})
