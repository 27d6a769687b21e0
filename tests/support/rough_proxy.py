"""A way to a server on which things go wrong: it is cut, stalls, gets slow, or loses one direction.

TCP keeps its order and its bytes, or ends: what is lost here is lost for good, and the connection
ends some time later, as behind a router that was switched off.
"""

import asyncio
import contextlib
import socket
from typing import Literal

Direction = Literal["up", "down"]
PIECE = 64
"""Bytes at a time of a slow direction."""


class RoughProxy:
    """Passes connections on to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._target = port
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
        self.port = 0

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop, and end what is open."""
        self.cut()
        if self._server is not None:
            self._server.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in [*self._writers]:
            raw: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()

    def stall(self, direction: Direction) -> None:
        """Hold back what goes in a direction."""
        self._open[direction].clear()

    def lose(self, direction: Direction) -> None:
        """Lose what goes in a direction; `heal` cuts what has lost something."""
        self._losing.add(direction)

    def slow(self, direction: Direction) -> None:
        """Let a few bytes through at a time."""
        self._slow.add(direction)

    def heal(self) -> None:
        """Let all through again."""
        if self._losing:
            self.cut()
        self._losing.clear()
        self._slow.clear()
        for gate in self._open.values():
            gate.set()

    async def _serve(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        try:
            far, to_far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            to_near.transport.abort()
            return
        self._writers |= {to_near, to_far}
        passing = [
            asyncio.create_task(self._pass(near, to_far, "up")),
            asyncio.create_task(self._pass(far, to_near, "down")),
        ]
        self._tasks.update(passing)
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in passing:
                task.cancel()
            await asyncio.gather(*passing, return_exceptions=True)
            self._tasks.difference_update(passing)
            self._writers -= {to_near, to_far}
            for writer in (to_near, to_far):
                writer.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, direction: Direction
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await self._open[direction].wait()
                if direction in self._losing:
                    continue
                while direction in self._slow and data:
                    target.write(data[:PIECE])
                    data = data[PIECE:]
                    await asyncio.sleep(0.05)
                target.write(data)
                await target.drain()
