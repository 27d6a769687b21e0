"""Asks a server whether a token is good (RFC 7662), where no lease lets this process tell.

An answer serves the check that asked and is never kept (rule 16). Whatever is not a clear answer is
none: the next server is asked, and past the last one the token is not accepted.
"""

import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from lastcall.access import MAX_LENGTH
from lastcall.errors import InvalidToken, SessionEnded, Unavailable
from lastcall.remote.addresses import Address
from lastcall.remote.asking import Asking, NoAnswer, refusal
from lastcall.verifier.session import Session

MOST: Final = 32
"""How many checks may be asking at once; the others are refused."""
SECONDS: Final = 5.0
"""How long a check asks, all servers together."""
EACH: Final = 2.5
"""How long it waits for one of them, also where there is no other."""
_FORM: Final = "application/x-www-form-urlencoded"


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
    external_id: str | None = None
    code: str | None = None
    reason: str | None = None


_read: msgspec.json.Decoder[_Answer] = msgspec.json.Decoder(_Answer)


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
        self._asking = Asking(key, ssl_context, clock)
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
            except NoAnswer as error:
                problem = f"{address}: {error}"
            else:
                return _judge(answer, expected())
        raise Unavailable(f"no lease, and no answer from introspection ({problem})")

    def _ask_one(self, address: Address, token: str, until: float) -> _Answer:
        body = urlencode({"token": token}).encode("ascii")
        reply = self._asking.ask(address, "POST", "/oauth/introspect", _FORM, body, until)
        if reply.status != 200:
            raise NoAnswer(refusal(reply.status, "verify"))
        if reply.media_type != "application/json":
            raise NoAnswer("not JSON")
        try:
            return _read.decode(reply.body)
        except (ValueError, RecursionError) as error:
            raise NoAnswer(type(error).__name__) from error


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
    try:
        return _session(answer)
    except (ValueError, OverflowError, OSError):  # times that no clock has
        raise Unavailable("introspection gave no session") from None


def _session(answer: _Answer) -> Session:
    """Give the session of a token that is good."""
    issued, expires, proved = (
        datetime.fromtimestamp(at, UTC) for at in (answer.iat, answer.exp, answer.auth_time)
    )
    return Session(
        answer.sid,
        answer.sub,
        answer.account,
        answer.roles,
        answer.amr,
        issued,
        expires,
        proved,
        answer.external_id,
    )
