"""A WebSocket client for load (RFC 6455): text messages, little work of its own.

Messages are handled where they arrive. It masks with zeroes, which is allowed and hides nothing
from anybody: what it sends is measured on loopback.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from benchmarks.client import Refused

_TEXT, _CLOSE, _PING = 0x81, 0x88, 0x89
_MASKED = 0x80
_NO_MASK = b"\0\0\0\0"


class WebSocket(asyncio.Protocol):
    """One connection; `hear` takes each text message."""

    def __init__(self, request: bytes) -> None:
        self.hear: Callable[[bytes], object] = len
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._waiting = b""
        self._open = asyncio.get_running_loop().create_future()
        self.failure: str | None = None

    @classmethod
    async def connect(
        cls, port: int, path: str, headers: dict[str, str], hear: Callable[[bytes], object]
    ) -> "WebSocket":
        """Open a connection on loopback. Raises Refused."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = (
            f"GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\nupgrade: websocket\r\n"
            "connection: upgrade\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: bGFzdGNhbGwgYmVuY2htYQ==\r\n{lines}\r\n"
        )
        loop = asyncio.get_running_loop()
        _, one = await loop.create_connection(lambda: cls(request.encode()), "127.0.0.1", port)
        one.hear = hear
        await one._open  # noqa: SLF001  its own
        return one

    def send(self, data: bytes) -> None:
        """Send a text message."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_frame(_TEXT, data))

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the WebSocket."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take each whole frame."""
        data = self._waiting + data if self._waiting else data
        if not self._open.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._waiting = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._open.set_exception(Refused(head.partition(b"\r\n")[0].decode()))
                return
            self._open.set_result(None)
        at = 0
        while (found_frame := _read(data, at)) is not None:
            kind, payload, at = found_frame
            if kind == _TEXT:
                self.hear(payload)
            elif kind == _PING and self._transport is not None:
                self._transport.write(_frame(0x8A, payload))
            elif kind == _CLOSE:
                self.failure = f"closed: {payload[2:].decode(errors='replace')}"
        self._waiting = data[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to who waits for the connection."""
        if not self._open.done():
            self._open.set_exception(Refused(f"the server closed the connection ({exc})"))


def _frame(kind: int, data: bytes) -> bytes:
    length = len(data)
    if length < 126:
        head = bytes((kind, _MASKED | length))
    elif length < 1 << 16:
        head = bytes((kind, _MASKED | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((kind, _MASKED | 127)) + length.to_bytes(8, "big")
    return head + _NO_MASK + data


def _read(data: bytes, at: int) -> tuple[int, bytes, int] | None:
    """Read a frame that a server sent, whole and unmasked; None where more must come."""
    if len(data) < at + 2:
        return None
    kind, length = data[at], data[at + 1]
    at += 2
    if length >= 126:
        size = 2 if length == 126 else 8
        if len(data) < at + size:
            return None
        length = int.from_bytes(data[at : at + size], "big")
        at += size
    end = at + length
    return (kind, data[at:end], end) if len(data) >= end else None
