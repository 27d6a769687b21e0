"""One request to a server, with a service key, and no longer than there is time.

The standard library's client limits single reads, not a request; so the parsing is its own, of what
was read here. A redirect is an answer like any other: the key is for this server alone.
"""

import io
import socket
import ssl
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from typing import Any, Final, NamedTuple

from lastcall.errors import SettingsError
from lastcall.remote.addresses import Address

LARGEST: Final = 64 * 1024
"""Bytes of the longest answer that is read."""


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    media_type: str
    body: bytes
    retry_after: str | None = None


class NoAnswer(Exception):
    """A server has not said anything that counts; `args` says why, for people. It is not known
    whether it has done what it was asked."""


class NotAsked(NoAnswer):
    """The server could not be reached: it was asked nothing."""


class Asking:
    """Asks servers with one key."""

    def __init__(
        self, key: str, ssl_context: Callable[[], ssl.SSLContext], clock: Callable[[], float]
    ) -> None:
        self._key = key
        self._ssl_context = ssl_context
        self._clock = clock

    def ask(
        self,
        address: Address,
        method: str,
        path: str,
        media_type: str,
        body: bytes,
        until: float,
    ) -> Reply:
        """Ask one server, until so far on the clock. Raises NoAnswer."""
        head = (
            f"{method} {address.path}{path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {self._key}\r\nAccept: application/json\r\n"
            f"Content-Type: {media_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            connection = self._open(address, until)
        except OSError as error:
            raise NotAsked(type(error).__name__) from error
        try:
            with connection:
                connection.sendall(head.encode("ascii") + body)
                raw = self._read_all(connection, until)
            response = HTTPResponse(_Read(raw), method=method)  # type: ignore[arg-type]
            response.begin()
            kind, again = response.headers.get_content_type(), response.headers.get("Retry-After")
            return Reply(response.status, kind, response.read(), again)
        except (OSError, HTTPException, ValueError) as error:
            raise NoAnswer(type(error).__name__) from error

    def _open(self, address: Address, until: float) -> socket.socket:
        connection = self._connect(address, until)
        if not address.secure:
            return connection
        try:
            connection.settimeout(max(0.001, until - self._clock()))
            return self._ssl_context().wrap_socket(connection, server_hostname=address.host)
        except BaseException:
            connection.close()
            raise

    def _connect(self, address: Address, until: float) -> socket.socket:
        """Connect to the first address of the host that answers; each has its share of the time."""
        found: list[Any] = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        problem = OSError("the host has no address")
        for left, (*_, where) in zip(range(len(found), 0, -1), found, strict=True):
            share = (until - self._clock()) / left
            try:
                return socket.create_connection(where[:2], max(0.001, share))
            except OSError as error:
                problem = error
        raise problem

    def _read_all(self, connection: socket.socket, until: float) -> bytes:
        """Read until the server closes the connection, and no longer than there is time."""
        raw = bytearray()
        while len(raw) <= LARGEST:
            left = until - self._clock()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            piece = connection.recv(LARGEST)
            if not piece:
                return bytes(raw)
            raw += piece
        raise NoAnswer("too long an answer")


def check_key(key: str, scope: str) -> None:
    """Raise SettingsError unless a text can be a service key."""
    if not (key.startswith("lck_") and key.isascii() and key.isprintable() and " " not in key):
        raise SettingsError(f"this needs a service key; see: {_how(scope)}")


def refusal(status: int, scope: str) -> str:
    """Say what a status that is no answer means, and what to do about it, for people."""
    match status:
        case 401:
            return f"the service key is not in force; see: {_how(scope)}"
        case 403:
            return f"the server answered 403: the key may lack the scope {scope}"
        case _:
            return f"the server answered {status}"


def _how(scope: str) -> str:
    return f"lastcall key create NAME --scope {scope}"


def trust_of(ssl_context: ssl.SSLContext | None) -> Callable[[], ssl.SSLContext]:
    """Give what gives the TLS context: the one given, else the system's, made when it is needed."""
    made = [] if ssl_context is None else [ssl_context]

    def trust() -> ssl.SSLContext:
        if not made:
            made.append(ssl.create_default_context())
        return made[0]

    return trust


class _Read:
    """What was read, as the parser of the standard library takes it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)
