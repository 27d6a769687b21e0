"""What a serving process runs: the application, behind limits that its HTTP parser lacks.

Named by its path where a worker process is started, so everything here can be imported.
"""

import asyncio
import logging
import multiprocessing
import os
import re
import signal
import threading
from typing import TYPE_CHECKING, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.types import ASGIApp
    from uvicorn._types import ASGISendEvent

    ExcInfo = (
        tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    )

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of a request's line and headers, give or take one piece."""
PIECE: Final = 8 * 1024
"""Bytes that the parser is given at once: one read may hold four times the limit."""
HEAD_SECONDS: Final = 10.0
"""How long a connection may take to send a request's line and headers."""
LINGER_SECONDS: Final = 0.3
"""How long a connection may be idle once the server takes no others: on a busy machine a request
comes some time after its connection."""


def app() -> "ASGIApp":
    """Make the application, in the process that serves it."""
    from lastcall.server import app_from_environment

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return app_from_environment()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """End where the supervisor was killed: nobody would stop this process, or free its port."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


class Gathered:
    """A transport that sends in one piece what is written within one turn of the event loop: an
    answer's head and its body, for which the system and the client would else be called twice."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send it with the end of this turn."""
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self._send()
        self._transport.close()

    def let_go(self) -> asyncio.Transport:
        """Send what waits; give the transport, which gathers nothing."""
        self._send()
        return self._transport

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def _send(self) -> None:
        data = b"".join(self._waiting)
        self._waiting.clear()
        if data and not self._transport.is_closing():  # else whoever asked has gone meanwhile
            self._transport.write(data)


class LimitedProtocol(HttpToolsProtocol):
    """HTTP/1.1, with bounds on the size of a request's head and on the time that it takes."""

    _head = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", Gathered(transport, self.loop))
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, piece by piece, until the head is too long."""
        for start in range(0, len(data), PIECE):
            if self.transport.is_closing():
                return
            if self._head > HEAD_LIMIT:
                self._refuse(b"431 Request Header Fields Too Large")
                return
            piece = data[start : start + PIECE]
            if self._timer is not None:
                self._head += len(piece)
            super().data_received(piece)

    def on_message_begin(self) -> None:
        """Start on a head; the first one of a connection is timed from its opening."""
        super().on_message_begin()
        if self._timer is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that follows the body speaks for nothing that was checked before."""
        if self._timer is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Finish a head. A server that is being stopped answers on a connection once more."""
        self._stop_timer()
        super().on_headers_complete()
        if getattr(self.app, "draining", False) and not self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Let what is under way finish, and the streams of open pages end. What is on its way on a
        connection that looks idle is taken."""
        from lastcall.http.app import App

        if isinstance(self.app, App):
            self.app.hang_up()
        self.loop.call_later(LINGER_SECONDS, super().shutdown)

    def _expect_head(self) -> None:
        self._head = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self._refuse, b"408 Request Timeout")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()


class FeedProtocol(WebSocketsSansIOProtocol):
    """WebSocket, where a handshake that is refused with a proper answer is no error of the server:
    uvicorn would log one each time, for any stranger. A verifier has a moment to go over to another
    server before its connection ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over. Each message is one piece, and that nobody reads them has to
        show with the first that is too many, not with the turn."""
        super().connection_made(
            transport.let_go() if isinstance(transport, Gathered) else transport
        )

    def shutdown(self) -> None:
        """End it, once its verifier had the time to go."""
        from lastcall.http.app import App

        if isinstance(self.app, App) and self.app.hang_up():
            self.loop.call_later(HANDOVER_SECONDS, self._end)
        else:
            self._end()

    def _end(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    async def send(self, message: "ASGISendEvent") -> None:
        """Say something; a refusal's last piece completes the handshake."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True


HANDOVER_SECONDS: Final = 2.0
"""How long a verifier may take to find another server when this one stops."""
_TOKEN: Final = re.compile(r"(lc[rk]_|eyJ)[A-Za-z0-9_.-]+")
"""A refresh token, a service key or a JWT."""


class WithoutWords(logging.Formatter):
    """Keeps the words of errors out of the log, whoever logs them: the server, the event loop. They
    may hold a value that was worked on (ASVS 16.2.5)."""

    def formatException(self, ei: "ExcInfo") -> str:  # noqa: N802  its name in `logging`
        """Tell what and where an error was."""
        from lastcall.http.problems import outline

        return outline(ei[1]) if ei[1] is not None else ""


class WithoutQuery(logging.Filter):
    """Keeps secrets out of the access log: links that work once carry theirs in the query, and
    somebody may put a token where an id belongs (ASVS 16.2.5)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the query off the path, and tokens out of it."""
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            shown = _TOKEN.sub(r"\1...", str(path).partition("?")[0])
            record.args = (client, method, shown, version, status)
        return True
