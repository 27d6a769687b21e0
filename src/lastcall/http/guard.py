"""Who may call: what an endpoint declares, and how a caller proves it.

An endpoint can't be declared without one of these, and its handler is given what the proof yields
and nothing more: without asking for a session none is within reach.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from starlette.requests import HTTPConnection, Request

from lastcall import credentials
from lastcall.errors import (
    Error,
    Forbidden,
    InvalidToken,
    ReauthenticationRequired,
    SessionEnded,
    TokenMissing,
)
from lastcall.http.site import site_of
from lastcall.identity.model import Scope, ServiceKey
from lastcall.identity.roles import require_admin, require_owner
from lastcall.sessions.service import Caller

P_co = TypeVar("P_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Who(Generic[P_co]):
    """Who may call an endpoint. `schemes` are the alternatives in the OpenAPI document."""

    admit: Callable[[Request], Awaitable[P_co]]
    schemes: tuple[str, ...]
    refuses: tuple[type[Error], ...] = ()
    """What it refuses beyond what its schemes do."""
    words: str = ""
    """Who they are, for the OpenAPI document, which has no other place for roles and scopes."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody at a page that needs no session: who they are, or how their session ended."""

    caller: Caller | None = None
    ended: SessionEnded | None = None


def bearer(request: HTTPConnection) -> str | None:
    """Give what the Authorization header shows; None where there is no such header.

    Raises InvalidRequest, TokenMissing.
    """
    return credentials.bearer(request.headers.getlist("authorization"))


def by_cookie(request: Request) -> bool:
    """Tell whether cookies may speak: next to an Authorization header they are ignored."""
    return "authorization" not in request.headers


async def require_session(request: Request) -> Caller:
    """Give the live session that calls, by bearer token or by cookie.

    Raises TokenMissing, InvalidToken, SessionEnded, InvalidRequest.
    """
    site = site_of(request)
    token = bearer(request) or site.cookies.read(request, "access")
    if token is None:
        raise TokenMissing
    await site.node.leases.require_reads()
    return await site.node.sessions.authenticate(token)


async def look_for_session(request: Request) -> Visitor:
    """Give the session that calls, or how it ended, or nothing of either. Only a genuine token is
    told how its session ended."""
    site = site_of(request)
    try:
        return Visitor(caller=await require_session(request))
    except SessionEnded as ended:
        return Visitor(ended=ended)
    except (TokenMissing, InvalidToken):
        pass
    if not by_cookie(request):
        return Visitor()
    try:
        refresh = site.cookies.read(request, "refresh")
    except InvalidToken:
        return Visitor()
    return Visitor(ended=await site.node.sessions.recognise_ended(refresh) if refresh else None)


async def require_service(request: HTTPConnection, scope: Scope) -> ServiceKey:
    """Give the service key that calls. Cookies never prove a service.

    Raises TokenMissing, InvalidToken, Forbidden, InvalidRequest.
    """
    token = bearer(request)
    if token is None:
        raise TokenMissing("this needs a service key")
    node = site_of(request).node
    await node.leases.require_reads()
    try:
        return await node.services.authenticate(token, scope)
    except TokenMissing as error:
        raise InvalidToken from error


async def _anyone(_request: Request) -> None:
    return None


ANYONE: Final = Who(_anyone, (), words="anybody")
"""Whoever comes. The handler learns nothing of a session."""
VISITOR: Final = Who(look_for_session, (), words="anybody")
"""Whoever comes, and their session if there is one."""
SESSION: Final = Who(require_session, ("bearer", "cookie"), words="anybody signed in")
"""A live session."""


def _session_of(require: Callable[[str], None], words: str, *, fresh: bool = False) -> Who[Caller]:
    """A live session whose role holds. The role is looked at before anything else that may stand
    against the call (http-api, Administration)."""

    async def admit(request: Request) -> Caller:
        caller = await require_session(request)
        require(caller.role)
        if fresh:
            site_of(request).node.sessions.require_fresh(caller)
        return caller

    proof = (ReauthenticationRequired,) if fresh else ()
    said = f"{words}, with a fresh proof" if fresh else words
    return Who(admit, ("bearer", "cookie"), (Forbidden, *proof), said)


FRESH_SESSION: Final = _session_of(lambda _role: None, "anybody signed in", fresh=True)
"""A live session of anybody, proved a moment ago."""
ADMIN: Final = _session_of(require_admin, "an admin or owner")
"""A live session of an admin or an owner."""
FRESH_ADMIN: Final = _session_of(require_admin, "an admin or owner", fresh=True)
"""The same, proved a moment ago: for what changes something or takes it away."""
OWNER: Final = _session_of(require_owner, "an owner")
"""A live session of an owner."""
FRESH_OWNER: Final = _session_of(require_owner, "an owner", fresh=True)
"""The same, proved a moment ago."""


def service(scope: Scope) -> Who[ServiceKey]:
    """A service whose key has the scope."""

    async def admit(request: Request) -> ServiceKey:
        return await require_service(request, scope)

    return Who(admit, ("service",), words=_with(scope))


def perhaps_service(scope: Scope) -> Who[ServiceKey | None]:
    """Whoever comes; who shows something in the Authorization header, a service whose key has the
    scope. Cookies count for nothing."""

    async def admit(request: Request) -> ServiceKey | None:
        return None if by_cookie(request) else await require_service(request, scope)

    words = f"anybody; who shows a key: {_with(scope)}"
    return Who(admit, (), (TokenMissing, InvalidToken, Forbidden), words)


def or_service(who: Who[Caller], scope: Scope) -> Who[Caller | ServiceKey]:
    """These, or a service whose key has the scope."""

    async def admit(request: Request) -> Caller | ServiceKey:
        token = bearer(request)
        if token is not None and token.startswith("lck_"):
            return await require_service(request, scope)
        return await who.admit(request)

    words = f"{who.words}; {_with(scope)}"
    return Who(admit, (*who.schemes, "service"), who.refuses, words)


def _with(scope: Scope) -> str:
    return f"a service whose key has the scope `{scope}`"
