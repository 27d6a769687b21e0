"""Follows the log: one thread, one connection at a time, to whichever of the servers answers.

It alone changes what is known. What it decides is `leases.verifier`'s; here are the connection, the
clock, and the pauses between attempts.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from lastcall import process
from lastcall.clock import Entropy
from lastcall.leases.messages import (
    LONGEST,
    SUBPROTOCOL,
    Checks,
    FromVerifier,
    Goodbye,
    ProtocolError,
    Renew,
    Resume,
    read_from_node,
    write,
)
from lastcall.leases.verifier import VerifierSide
from lastcall.verifier.addresses import Address
from lastcall.verifier.checking import Counts

log = logging.getLogger("lastcall.verifier")

CONNECT_SECONDS: Final = 5.0
"""How long an attempt to connect may take."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds, the most that the first and any later pause between two attempts may take; each is any
part of that by chance, so that verifiers that lost one server do not come back as one."""
SILENT: Final = 10.0
"""Seconds of silence after which a connection is given up; a third of the lease, once it is known.
"""
LEAST_SILENT: Final = 2.0
REVOKED: Final = 4002
"""The WebSocket close code of a node that says: the key was revoked (docs/instant-logout)."""

# The library's own logger would write the headers, and with them the key. This one no application
# reaches: whoever configures logging enables all loggers that have a name.
_quiet: Final = logging.Logger("lastcall.verifier.quiet")  # noqa: LOG001
_quiet.disabled = True


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
        self._socket: socket.socket | None = None
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
        """In a forked child: let go of the parent's connection, without a word on it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()

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
        for address in cycle(self._addresses):
            if self._stopping:
                return
            try:
                await self._follow(address)
            except _Left as left:
                self._trouble(address, str(left))
            except InvalidStatus as error:
                self._trouble(address, f"the server answered {error.response.status_code}")
            except (OSError, WebSocketException, ProtocolError, ValueError) as error:
                # ValueError: a redirect, which is not followed; the key is for this server.
                self._trouble(address, type(error).__name__)
            except Exception:
                # Whatever it was, a verifier that stops following is of no use to anybody.
                log.exception("following %s failed; it is tried again", address)
                self._trouble(address, "an unexpected error")
            await asyncio.sleep(self._pause())

    async def _follow(self, address: Address) -> None:
        # This thread does nothing else meanwhile: it may wait here, and needs no other thread.
        plain = socket.create_connection((address.host, address.port), CONNECT_SECONDS)  # noqa: ASYNC251, RUF100
        self._socket = plain
        try:
            plain.setblocking(False)
            connection = await self._shake_hands(address, plain)
            try:
                await self._talk(connection, address)
            finally:
                self.connected = False
                self.side.closed()
                with contextlib.suppress(Exception):
                    await connection.close()
        finally:
            self._socket = None
            plain.close()

    async def _shake_hands(self, address: Address, plain: socket.socket) -> ClientConnection:
        connection = await connect(
            f"{'wss' if address.secure else 'ws'}://{address.netloc}{address.path}/feed",
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers={"Authorization": f"Bearer {self._key}"},
            user_agent_header=None,
            compression=None,
            proxy=None,
            open_timeout=CONNECT_SECONDS,
            close_timeout=1,
            ping_interval=None,  # silence is noticed here
            max_size=LONGEST,
            logger=_quiet,
            sock=plain,
            ssl=self._ssl_context() if address.secure else None,
        )
        if connection.subprotocol != SUBPROTOCOL:
            await connection.close()
            raise ProtocolError("the server speaks another protocol")
        return connection

    async def _talk(self, connection: ClientConnection, address: Address) -> None:
        side = self.side
        heard = self._clock()
        try:
            await self._say(connection, side.opened())
            while True:
                now = self._clock()
                await self._say(connection, side.tick(now))
                until = min(side.due(), heard + self._silent())
                try:
                    async with asyncio.timeout(max(0.0, until - self._clock())):
                        data = await connection.recv()
                except TimeoutError:
                    if self._clock() >= heard + self._silent():
                        raise _Left("the server is silent") from None
                    continue
                heard = self._clock()
                answers = self._hear(data, heard)
                await self._say(connection, answers)
                if any(isinstance(answer, Goodbye) for answer in answers):
                    raise _Left("the server is going")
                if not self.connected:
                    self._arrived(address)
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code == REVOKED:
                side.give_back()  # who took the key wants nothing accepted by it
                raise _Left("the key was revoked") from None
            raise _Left("the connection was closed") from None
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await self._say(connection, side.give_back())
            raise

    def _hear(self, data: str | bytes, now: float) -> list[FromVerifier]:
        side = self.side
        welcome, leased = side.welcome, side.leased(now)
        answers = side.receive(read_from_node(data), now)
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
