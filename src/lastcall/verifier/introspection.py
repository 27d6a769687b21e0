"""Asks a server whether a token is good (RFC 7662), where no lease lets this process tell.

An answer serves the check that asked and is never kept (rule 16). Whatever is not a clear answer is
none: the next server is asked, and past the last one the token is not accepted.
"""

import io
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from typing import Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from lastcall.access import MAX_LENGTH
from lastcall.errors import InvalidToken, SessionEnded, Unavailable
from lastcall.verifier.addresses import Address
from lastcall.verifier.session import Session

MOST: Final = 32
"""How many checks may be asking at once; the others are refused."""
SECONDS: Final = 5.0
"""How long a check asks, all servers together."""
EACH: Final = 2.5
"""How long it waits for one of several."""
LARGEST: Final = 64 * 1024
"""Bytes of the longest answer that is read."""


class Expected(NamedTuple):
    """Whom tokens must be from and for, and whose; None where that is not known yet: the server
    knows, and has looked."""

    issuer: str | None
    audience: str | None
    account: str | None


class _Answer(msgspec.Struct):
    active: bool
    iss: str = ""
    sub: str = ""
    sid: str = ""
    aud: str = ""
    iat: int = 0
    exp: int = 0
    auth_time: int = 0
    amr: tuple[str, ...] = ()
    account: str = ""
    roles: tuple[str, ...] = ()
    code: str | None = None
    reason: str | None = None


_read: msgspec.json.Decoder[_Answer] = msgspec.json.Decoder(_Answer)


class _NoAnswer(Exception):
    """One server has not said anything that counts; `args` says why, for people."""


class Introspection:
    """Asks the servers in turn, with one key."""

    def __init__(
        self,
        addresses: Sequence[Address],
        key: str,
        ssl_context: Callable[[], ssl.SSLContext],
        clock: Callable[[], float],
    ) -> None:
        self._addresses = addresses
        self._key = key
        self._ssl_context = ssl_context
        self._clock = clock
        self._free = threading.BoundedSemaphore(MOST)
        self._executor: ThreadPoolExecutor | None = None

    def ask(self, token: str, expected: Callable[[], Expected]) -> Session:
        """Ask about a token. Raises InvalidToken, SessionEnded, Unavailable."""
        self._take()
        try:
            return self._ask(token, expected)
        finally:
            self._free.release()

    def submit(self, token: str, expected: Callable[[], Expected]) -> "Future[Session]":
        """Do the same on a thread of its own. Raises Unavailable."""
        self._take()
        try:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(MOST, "lastcall-introspection")
            asked = self._executor.submit(self._ask, token, expected)
        except BaseException:
            self._free.release()
            raise
        asked.add_done_callback(lambda _asked: self._free.release())
        return asked

    def close(self) -> None:
        """Let go of the threads, once they have done what they do."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)

    def _take(self) -> None:
        if not self._free.acquire(blocking=False):
            raise Unavailable("too many checks are asking the server already")

    def _ask(self, token: str, expected: Callable[[], Expected]) -> Session:
        if len(token) > MAX_LENGTH:
            raise InvalidToken
        until = self._clock() + SECONDS
        problem = "no server was asked"
        for address in self._addresses:
            left = until - self._clock()
            if left <= 0:
                break
            try:
                answer = self._ask_one(address, token, self._clock() + min(left, EACH))
            except _NoAnswer as error:
                problem = f"{address}: {error}"
            except (OSError, HTTPException, ValueError) as error:
                problem = f"{address}: {type(error).__name__}"
            else:
                return _judge(answer, expected())
        raise Unavailable(f"no lease, and no answer from introspection ({problem})")

    def _ask_one(self, address: Address, token: str, until: float) -> _Answer:
        body = urlencode({"token": token}).encode("ascii")
        head = (
            f"POST {address.path}/oauth/introspect HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {self._key}\r\nAccept: application/json\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        with self._open(address, until) as connection:
            connection.sendall(head.encode("ascii") + body)
            raw = self._read_all(connection, until)
        response = HTTPResponse(_Read(raw), method="POST")  # type: ignore[arg-type]
        response.begin()
        # A redirect is no answer: the key is for this server.
        if response.status != 200:
            raise _NoAnswer(f"status {response.status}")
        if response.headers.get_content_type() != "application/json":
            raise _NoAnswer("not JSON")
        return _read.decode(response.read())

    def _open(self, address: Address, until: float) -> socket.socket:
        connection = socket.create_connection(
            (address.host, address.port), max(0.001, until - self._clock())
        )
        if not address.secure:
            return connection
        try:
            connection.settimeout(max(0.001, until - self._clock()))
            return self._ssl_context().wrap_socket(connection, server_hostname=address.host)
        except BaseException:
            connection.close()
            raise

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
        raise _NoAnswer("too long an answer")


class _Read:
    """What was read, as the parser of the standard library takes it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def _judge(answer: _Answer, expected: Expected) -> Session:
    if not answer.active:
        match answer.code:
            case "session_ended":
                raise SessionEnded(answer.reason)
            case "token_expired":
                raise InvalidToken("token_expired")
            case _:
                raise InvalidToken
    if not (answer.sid and answer.sub and answer.account):
        raise Unavailable("introspection gave no session")
    given = (answer.iss, answer.aud, answer.account)
    if any(one not in (None, other) for one, other in zip(expected, given, strict=True)):
        raise InvalidToken
    return _session(answer)


def _session(answer: _Answer) -> Session:
    """Give the session of a token that is good."""
    issued, expires, proved = (
        datetime.fromtimestamp(at, UTC) for at in (answer.iat, answer.exp, answer.auth_time)
    )
    return Session(
        answer.sid, answer.sub, answer.account, answer.roles, answer.amr, issued, expires, proved
    )
