"""`lastcall.Sessions`: what an application does that signs its users in by itself."""

import re
import ssl
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from lastcall.clock import lease_clock
from lastcall.errors import (
    Conflict,
    Error,
    FieldError,
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    SettingsError,
    Unavailable,
)
from lastcall.remote.addresses import Address
from lastcall.remote.asking import Reply, check_key, refusal
from lastcall.remote.model import Client, Cookie, Started, Termination
from lastcall.remote.transport import Network, Transport

SECONDS: Final = 10.0
"""How long one server is waited for, beside what it waits for itself."""
WAIT: Final = 1
"""For how many seconds a termination waits to be confirmed."""
_API: Final = "/api/v1"
_SESSIONS: Final = f"{_API}/sessions"
T = TypeVar("T")
_NO_TEXT: Final = FieldError("user", "not_text", "ids and names are text of whole characters")
_ID: Final = re.compile(r"[a-z0-9_]{1,80}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}")


class SessionsOver:
    """Starts sessions for users whom an application signs in by itself, and ends them. Any number
    of threads may use it.

    All raise Unavailable where no server answers; Forbidden for a key without the scope `sessions`;
    SettingsError for a key that is not in force.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def start(
        self,
        external_id: str,
        *,
        client: Client,
        email: str | None = None,
        name: str | None = None,
        amr: tuple[str, ...] = (),
        shared_device: bool = False,
    ) -> Started:
        """Begin a session for a user of the application, whom its own id alone identifies; address
        and name are shown to people and link to nobody. `amr` says how they proved who they are
        (RFC 8176). On a shared device the cookies end with the browser.

        Raises Forbidden for a suspended user, InvalidRequest, Conflict.
        """
        body = _start(external_id, client, email, name, amr, shared_device=shared_device)
        return _started(self._transport.send("POST", _SESSIONS, body, SECONDS))

    async def astart(
        self,
        external_id: str,
        *,
        client: Client,
        email: str | None = None,
        name: str | None = None,
        amr: tuple[str, ...] = (),
        shared_device: bool = False,
    ) -> Started:
        """Do the same, and never block the loop."""
        body = _start(external_id, client, email, name, amr, shared_device=shared_device)
        return _started(await self._transport.asend("POST", _SESSIONS, body, SECONDS))

    def end(self, session_id: str, *, wait: int = WAIT) -> Termination:
        """End a session; of one that has ended already, tell of that. `wait` is for how many
        seconds the confirmation is waited for. Raises NotFound."""
        way, most = _session(session_id, wait), SECONDS + wait
        return _terminated(self._transport.send("DELETE", way, b"", most))

    async def aend(self, session_id: str, *, wait: int = WAIT) -> Termination:
        """Do the same, and never block the loop."""
        way, most = _session(session_id, wait), SECONDS + wait
        return _terminated(await self._transport.asend("DELETE", way, b"", most))

    def logout(self, external_id: str, *, wait: int = WAIT) -> Termination:
        """End all sessions of a user of the application. Raises NotFound for one who never had a
        session."""
        user = _user(self._transport.send("GET", _whose(external_id), b"", SECONDS))
        way, most = _logout(user, wait), SECONDS + wait
        return _terminated(self._transport.send("POST", way, b"", most))

    async def alogout(self, external_id: str, *, wait: int = WAIT) -> Termination:
        """Do the same, and never block the loop."""
        user = _user(await self._transport.asend("GET", _whose(external_id), b"", SECONDS))
        way, most = _logout(user, wait), SECONDS + wait
        return _terminated(await self._transport.asend("POST", way, b"", most))


class Sessions(SessionsOver):
    """Does so at a server that it asks over HTTP; it holds no connection."""

    def __init__(
        self,
        *addresses: str,
        key: str,
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        """`addresses` are those of servers, `https://` or, on this machine, `http://`; `key` is a
        service key with the scope `sessions`. TLS is verified as the system does, unless
        `ssl_context` says otherwise. Raises SettingsError."""
        if not addresses:
            raise SettingsError("this needs the address of a server")
        check_key(key, "sessions")
        servers = [Address.parse(text) for text in addresses]
        super().__init__(Network(servers, key, ssl_context, clock))


# What is asked.


def _start(
    external_id: str,
    client: Client,
    email: str | None,
    name: str | None,
    amr: tuple[str, ...],
    *,
    shared_device: bool,
) -> bytes:
    browser = client.type == "browser"
    user = {"external_id": external_id, "email": email, "name": name}
    seen = {
        "ip": client.ip,
        "user_agent": client.user_agent,
        "headers": dict(client.headers),
        "device": client.device,
        "refresh_token": client.refresh_token,
    }
    asked = {
        "user": {field: value for field, value in user.items() if value is not None},
        "client": seen,
        "amr": amr,
        "client_type": client.type,
        "cookies": browser,
        "shared_device": shared_device,
    }
    try:
        return msgspec.json.encode(asked)
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidRequest(_NO_TEXT) from error


def _session(session_id: str, wait: int) -> str:
    if not _ID.fullmatch(session_id):
        raise NotFound  # no session's id: nothing that goes into an address
    return f"{_SESSIONS}/{session_id}?wait={wait:d}"


def _whose(external_id: str) -> str:
    try:
        return f"{_API}/users?external_id={quote(external_id, safe='')}"
    except UnicodeEncodeError as error:  # half of a character
        raise InvalidRequest(_NO_TEXT) from error


def _logout(user_id: str, wait: int) -> str:
    return f"{_API}/users/{user_id}/logout?wait={wait:d}"


# What is answered.


class _Id(msgspec.Struct):
    id: str


class _Tokens(msgspec.Struct):
    expires_in: int
    refresh_expires_in: int
    session: _Id
    user: _Id
    cookies: tuple[Cookie, ...] = ()
    access_token: str | None = None
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return "_Tokens(...)"


class _Users(msgspec.Struct):
    users: tuple[_Id, ...]


class _Problem(msgspec.Struct):
    code: str = ""
    detail: str | None = None
    errors: tuple[FieldError, ...] = ()


def _read(reply: Reply, kind: type[T]) -> T:
    """Read an answer. Raises what it refuses, Unavailable for what is none."""
    try:
        if reply.status == 200:
            return msgspec.json.decode(reply.body, type=kind)
        problem = msgspec.json.decode(reply.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable(f"the server's answer can't be read (status {reply.status})") from error
    raise _refusal(problem, reply)


def _refusal(problem: _Problem, reply: Reply) -> Error:
    wait = reply.retry_after or ""
    again = int(wait) if _SECONDS.fullmatch(wait) else 1
    match problem.code:
        case "invalid_request":
            return InvalidRequest(*problem.errors)
        case "token_missing" | "token_invalid":
            return SettingsError(refusal(401, "sessions"))
        case "forbidden":
            return Forbidden(problem.detail)
        case "not_found":
            return NotFound(problem.detail)
        case "conflict":
            return Conflict(problem.detail)
        case "rate_limited":
            return RateLimited(again)
        case _:
            return Unavailable(problem.detail or f"the server answered {reply.status}", again)


def _started(reply: Reply) -> Started:
    found = _read(reply, _Tokens)
    return Started(
        session_id=found.session.id,
        user_id=found.user.id,
        expires_in=found.expires_in,
        refresh_expires_in=found.refresh_expires_in,
        cookies=found.cookies,
        access_token=found.access_token,
        refresh_token=found.refresh_token,
    )


def _terminated(reply: Reply) -> Termination:
    return _read(reply, Termination)


def _user(reply: Reply) -> str:
    users = _read(reply, _Users).users
    if not users:
        raise NotFound("nobody with this external id has had a session")
    return users[0].id
