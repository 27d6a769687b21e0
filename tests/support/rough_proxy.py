"""A way to a server on which things go wrong: it is cut, refuses, stalls, gets slow, or loses one
direction.

TCP keeps its order and its bytes, or ends: what is lost here is lost for good, and the connection
ends some time later, as behind a router that was switched off.
"""

import asyncio
import contextlib
import socket
import ssl
from typing import Literal

Direction = Literal["up", "down"]
PIECE = 64
"""Bytes at a time of a slow direction."""
ACCEPTED = 5
"""After how many turns of the event loop what it has just accepted is known here."""


class RoughProxy:
    """Passes connections on to a port of this machine, from an address of it, perhaps by TLS."""

    def __init__(
        self, port: int, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self._target = port
        self._host = host
        self._tls = tls
        # Bound and never listening: the port stays this proxy's while it refuses.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind((host, 0))
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._open: dict[Direction, asyncio.Event] = {
            "up": asyncio.Event(),
            "down": asyncio.Event(),
        }
        self._losing: set[Direction] = set()
        self._slow: set[Direction] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        for gate in self._open.values():
            gate.set()
        self.port: int = self._reserved.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(
            self._serve, self._host, self.port, reuse_port=True, ssl=self._tls
        )

    async def close(self) -> None:
        """Stop, and end what is open."""
        self.refuse()
        self._reserved.close()
        for _ in range(ACCEPTED):
            await asyncio.sleep(0)
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in [*self._writers]:
            raw: socket.socket | None = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                if raw is not None:  # by TLS, and closed already
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()

    def refuse(self) -> None:
        """Reset every connection, and refuse others."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def stall(self, direction: Direction) -> None:
        """Hold back what goes in a direction."""
        self._open[direction].clear()

    def release(self, direction: Direction) -> None:
        """Let through what is held back in a direction."""
        self._open[direction].set()

    def freeze(self) -> None:
        """Hold back for good what goes either way on the connections that there are, which stay
        open; those that come are good."""
        for gate in self._open.values():
            gate.clear()
        self._open = {"up": asyncio.Event(), "down": asyncio.Event()}
        for gate in self._open.values():
            gate.set()

    def lose(self, direction: Direction) -> None:
        """Lose what goes in a direction; `heal` cuts what has lost something."""
        self._losing.add(direction)

    def slow(self, direction: Direction) -> None:
        """Let a few bytes through at a time."""
        self._slow.add(direction)

    async def heal(self) -> None:
        """Let all through again."""
        if self._server is None:
            await self.start()
        if self._losing:
            self.cut()
        self._losing.clear()
        self._slow.clear()
        for gate in self._open.values():
            gate.set()

    async def _serve(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._pass_on(near, to_near))
        self._tasks.add(task)
        await asyncio.wait([task])
        self._tasks.discard(task)
        to_near.transport.abort()

    async def _pass_on(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        try:
            far, to_far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            return
        if self._server is None:  # it came just before
            to_far.transport.abort()
            return
        self._writers |= {to_near, to_far}
        gates = self._open
        passing = [
            asyncio.create_task(self._pass(near, to_far, "up", gates["up"])),
            asyncio.create_task(self._pass(far, to_near, "down", gates["down"])),
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            self._writers -= {to_near, to_far}
            to_far.transport.abort()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        direction: Direction,
        gate: asyncio.Event,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await gate.wait()
                if direction in self._losing:
                    continue
                while direction in self._slow and data:
                    target.write(data[:PIECE])
                    data = data[PIECE:]
                    await asyncio.sleep(0.05)
                target.write(data)
                await target.drain()
