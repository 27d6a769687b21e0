"""An HTTP client for load: kept connections, one request under way on each, little work of its own.

Answers are handled where they arrive, without a task or a future for each, since a client that is
slower than the server would measure itself.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import cast

from uvicorn import Config

from benchmarks.measure import Turn

_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Refused(Exception):
    """The server answered other than with success, or closed the connection."""


@dataclass(frozen=True, slots=True)
class User:
    """What one connection sends. `ask` gives the next request, or None where there is no more;
    `hear` takes the body of each answer."""

    ask: Callable[[], bytes | None]
    hear: Callable[[bytes], object] = len


def request(
    method: str, path: str, body: bytes = b"", token: str | None = None, cookie: str | None = None
) -> bytes:
    """Write a request, with a body of JSON."""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n"
    if cookie is not None:
        head += f"cookie: {cookie}\r\n"
    if token is not None:
        head += f"authorization: Bearer {token}\r\n"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode("ascii") + b"\r\n" + body


def always(message: bytes) -> User:
    """Send the same request again and again."""
    return User(lambda: message)


class _Connection(asyncio.Protocol):
    def __init__(self, user: User, latencies: list[float]) -> None:
        self._user = user
        self._latencies = latencies
        self._transport: asyncio.Transport | None = None
        self._waiting = b""
        self._sent = self._until = 0.0
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def start(self, until: float) -> None:
        """Send the first request; after `until`, no further one."""
        self._until = until
        self._send(perf_counter())

    def data_received(self, data: bytes) -> None:
        data = self._waiting + data if self._waiting else data
        end = data.find(_END)
        if end < 0 or len(data) < end + len(_END) + _length(data, end):
            self._waiting = data
            return
        self._waiting = b""
        now = perf_counter()
        body = data[end + len(_END) :]
        if data[9:10] != b"2":
            self._fail(f"{data[9:12].decode()}: {body.decode(errors='replace')}")
            return
        self._latencies.append(now - self._sent)
        self._user.hear(body)
        if now >= self._until:
            self._finish()
        else:
            self._send(now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the server closed the connection ({exc})")
        self._closed.set_result(None)

    async def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
            await self._closed

    def _send(self, now: float) -> None:
        message = self._user.ask()
        if message is None or self._transport is None:
            self._finish()
            return
        self._sent = now
        self._transport.write(message)

    def _finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def _fail(self, text: str) -> None:
        if not self.over.done():
            self.over.set_exception(Refused(text))


def _length(data: bytes, end: int) -> int:
    """Give the length of the body that a head announces; `end` is where the head ends."""
    at = data.find(_LENGTH, 0, end)
    return int(data[at + len(_LENGTH) : data.index(b"\r\n", at)]) if at > 0 else 0


async def load(port: int, users: Iterable[User], seconds: float) -> Turn:
    """Let the users send, each on its own connection, for about so long.

    Raises Refused where an answer is not a success.
    """
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    connections = []
    for user in users:
        make = partial(_Connection, user, latencies)
        connections.append((await loop.create_connection(make, "127.0.0.1", port))[1])
    started = perf_counter()
    for connection in connections:
        connection.start(started + seconds)
    try:
        await asyncio.gather(*(connection.over for connection in connections))
        if not latencies:
            raise Refused("there was nothing to ask for in this turn")
        return Turn(perf_counter() - started, latencies)
    finally:
        for connection in connections:
            await connection.close()


@dataclass(frozen=True, slots=True)
class OverHttp:
    """Requests to a server on loopback. `users` gives those of the next turn."""

    name: str
    port: int
    users: Callable[[], Iterable[User]]

    async def run(self, seconds: float) -> Turn:
        """Work for about so long."""
        return await load(self.port, self.users(), seconds)


@contextmanager
def loop() -> Iterator[asyncio.Runner]:
    """Run on the loop that uvicorn would choose."""
    with asyncio.Runner(loop_factory=Config(lambda: None).get_loop_factory()) as runner:
        yield runner
