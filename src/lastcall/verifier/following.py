"""Follows the log: one thread, one connection at a time, to whichever of the servers answers, two
while it goes over from one to another.

It alone changes what is known. What it decides is `leases.verifier`'s; here are the connection, the
clock, and the pauses between attempts.
"""

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from lastcall import process
from lastcall.clock import Entropy
from lastcall.leases.messages import (
    Checks,
    FromNode,
    FromVerifier,
    ProtocolError,
    Recall,
    Renew,
    Resume,
    Welcome,
    read_from_node,
    write,
)
from lastcall.leases.verifier import VerifierSide
from lastcall.remote.addresses import Address
from lastcall.remote.asking import refusal
from lastcall.verifier.checking import Counts
from lastcall.verifier.line import Line

log = logging.getLogger("lastcall.verifier")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds, the most that the first and any later pause between two attempts may take; each is any
part of that by chance, so that verifiers that lost one server do not come back as one."""
SILENT: Final = 10.0
"""Seconds of silence after which a connection is given up; a third of the lease, once it is known.
"""
LEAST_SILENT: Final = 2.0
REVOKED: Final = 4002
"""The WebSocket close code of a node that says: the key was revoked (docs/instant-logout)."""

GREETING_SECONDS: Final = 2.0
"""How long another server may take to greet a verifier that is asked to go over to it."""


class _Left(Exception):
    """The node is going, or silent: another one is to be followed."""


class Following:
    """Keeps one verifier's side up to date, on a thread of its own, until it is stopped."""

    def __init__(
        self,
        side: VerifierSide,
        addresses: Sequence[Address],
        key: str,
        ssl_context: Callable[[], ssl.SSLContext],
        counts: Counts,
        clock: Callable[[], float],
        entropy: Entropy,
    ) -> None:
        self.side = side
        self.connected = False
        self.problem: str | None = None
        """Why there is no connection, for people."""
        self.changed = threading.Condition()
        """Notified when there is a lease, or none to come."""
        self._addresses = addresses
        self._key = key
        self._ssl_context = ssl_context
        self._counts = counts
        self._told = Checks()
        self._clock = clock
        self._entropy = entropy
        self._lines: set[Line] = set()
        """The connections that are open: one, or two while it goes over to another server."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._failures = 0
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._main, name="lastcall-verifier", daemon=True)

    def start(self) -> None:
        """Begin to follow; more than once is as once."""
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()

    def stop(self, seconds: float) -> None:
        """Give the lease back, say so, and end; waits for that, but no longer than so. The caller
        has seen to it that no check uses the lease any more (rule 11)."""
        self._stopping = True
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(task.cancel)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        with self.changed:
            self.changed.notify_all()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connections, without a word on them."""
        for line in tuple(self._lines):
            with contextlib.suppress(OSError):
                line.plain.close()

    # On its thread.

    def _main(self) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                asyncio.run(self._run())
        except BaseException:
            log.exception("this verifier follows no more; its lease will run out")
        finally:
            self.connected = False

    async def _run(self) -> None:
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        addresses = cycle(self._addresses)
        successor: Line | None = None
        try:
            while not self._stopping:
                address = successor.address if successor else next(addresses)
                try:
                    successor = await self._follow(successor or await self._open(address))
                    continue
                except _Left as left:
                    self._trouble(address, str(left))
                except InvalidStatus as error:
                    self._trouble(address, refusal(error.response.status_code, "verify"))
                except (OSError, WebSocketException, ProtocolError, ValueError) as error:
                    self._trouble(address, type(error).__name__)
                except Exception:
                    # Whatever it was, a verifier that stops following is of no use to anybody.
                    log.exception("following %s failed; it is tried again", address)
                    self._trouble(address, "an unexpected error")
                successor = None
                await asyncio.sleep(self._pause())
        finally:
            for line in tuple(self._lines):
                await self._close(line)

    async def _open(self, address: Address) -> Line:
        line = await Line.open(address, self._key, self._ssl_context)
        self._lines.add(line)
        return line

    async def _close(self, line: Line) -> None:
        await line.close()
        self._lines.discard(line)

    async def _follow(self, line: Line) -> Line:
        """Follow a server until it asks to go over to another one, whose line this gives."""
        try:
            return await self._talk(line)
        finally:
            self.connected = False
            self.side.closed()
            await self._close(line)

    async def _elsewhere(self) -> Line | None:
        """Find another server than the one that is followed; None where there is none now."""
        here = self.side.welcome
        for address in self._addresses:
            line: Line | None = None
            try:
                line = await self._open(address)
                async with asyncio.timeout(GREETING_SECONDS):
                    greeting = read_from_node(await line.connection.recv())
            except (OSError, TimeoutError, WebSocketException, ProtocolError, ValueError):
                greeting = None
            if line is None:
                continue
            if isinstance(greeting, Welcome) and here is not None and greeting.node != here.node:
                line.greeting = greeting
                return line
            await self._close(line)
        return None

    async def _talk(self, line: Line) -> Line:
        side, connection = self.side, line.connection
        heard = self._clock()
        try:
            await self._say(connection, side.opened())
            if line.greeting is not None:  # it came while the other one was followed
                await self._say(connection, self._hear(line.greeting, heard))
            while True:
                now = self._clock()
                await self._say(connection, side.tick(now))
                message = await self._next(connection, heard)
                if message is None:
                    continue
                heard = self._clock()
                if isinstance(message, Recall):
                    # Where there is nobody else, the lease is of more use here than there.
                    if (successor := await self._elsewhere()) is not None:
                        with contextlib.suppress(ConnectionClosed):  # it was gone before
                            await self._say(connection, self._hear(message, self._clock()))
                        return successor
                    continue
                await self._say(connection, self._hear(message, heard))
                if not self.connected:
                    self._arrived(line.address)
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == REVOKED:
                side.give_back()  # who took the key wants nothing accepted by it
                raise _Left("the key was revoked") from None
            raise _Left("the connection was closed") from None
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await self._say(connection, side.give_back())
            raise

    async def _next(self, connection: ClientConnection, heard: float) -> FromNode | None:
        """Wait for a message; None where there is something to say meanwhile."""
        until = min(self.side.due(), heard + self._silent())
        try:
            async with asyncio.timeout(max(0.0, until - self._clock())):
                return read_from_node(await connection.recv())
        except TimeoutError:
            if self._clock() >= heard + self._silent():
                raise _Left("the server is silent") from None
            return None

    def _hear(self, message: FromNode, now: float) -> list[FromVerifier]:
        side = self.side
        welcome, leased = side.welcome, side.leased(now)
        answers = side.receive(message, now)
        if side.welcome != welcome and side.view is not None:
            side.view.moved()  # what tokens must say may be another: all are looked at anew
        if side.leased(now) and (not leased or self._failures):
            self._failures = 0
            with self.changed:
                self.changed.notify_all()
        return answers

    async def _say(self, connection: ClientConnection, messages: Iterable[FromVerifier]) -> None:
        for message in messages:
            match message:
                case Resume():
                    said: FromVerifier = msgspec.structs.replace(message, agent=process.agent())
                    await connection.send(write(said).decode())
                case Renew():
                    sum_, checks = self._checks()
                    said = msgspec.structs.replace(message, checks=checks)
                    await connection.send(write(said).decode())
                    self._told = sum_
                case _:
                    await connection.send(write(message).decode())

    def _checks(self) -> tuple[Checks, Checks | None]:
        """Count what was decided: since the start, and since it was last told."""
        now = Checks(**{name: getattr(self._counts, name) for name in Checks.__struct_fields__})
        new = {
            name: getattr(now, name) - getattr(self._told, name)
            for name in Checks.__struct_fields__
        }
        return now, Checks(**new) if any(new.values()) else None

    def _silent(self) -> float:
        welcome = self.side.welcome
        return SILENT if welcome is None else max(LEAST_SILENT, welcome.lease / 3)

    def _pause(self) -> float:
        most: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        self._failures += 1
        share: float = int.from_bytes(self._entropy(4), "big") / 2**32
        return most * share

    def _arrived(self, address: Address) -> None:
        self.connected = True
        self.problem = None
        log.info("following %s", address)

    def _trouble(self, address: Address, problem: str) -> None:
        text = f"{address}: {problem}"
        if text != self.problem and not self._stopping:
            log.warning("not following %s", text)
        self.problem = text
