"""What OAuth asks of a token: whether it is good (RFC 7662), and that it be no more (RFC 7009)."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from lastcall.access import claims_of
from lastcall.errors import InvalidToken, RateLimited, SessionEnded
from lastcall.http import browser
from lastcall.http.bodies import Unprinted
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import perhaps_service, service
from lastcall.identity.model import ServiceKey

INTROSPECT: Final = "/oauth/introspect"
REVOKE: Final = "/oauth/revoke"


class ShownToken(Unprinted, Struct):
    """A token, and of which kind it may be: a hint that nothing depends on, since tokens show it.
    Other parameters are ignored (RFC 6749, section 3.1)."""

    token: Annotated[str, Meta(min_length=1)]
    token_type_hint: str | UnsetType = UNSET


class Introspection(Struct, frozen=True, kw_only=True):
    """Whether an access token is good now: then what it carries, else why it isn't, where that is
    the caller's to know (RFC 7662, section 2.2). Times are in seconds since 1970."""

    active: bool
    iss: str | UnsetType = UNSET
    sub: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    sid: str | UnsetType = UNSET
    aud: str | UnsetType = UNSET
    iat: int | UnsetType = UNSET
    exp: int | UnsetType = UNSET
    jti: str | UnsetType = UNSET
    auth_time: int | UnsetType = UNSET
    amr: tuple[str, ...] | UnsetType = UNSET
    account: str | UnsetType = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET
    pos: Annotated[tuple[str | int, ...], Meta(min_length=3, max_length=3)] | UnsetType = UNSET
    """Epoch, timeline and number. A tuple of these types would make no schema of OpenAPI 3.1."""
    external_id: str | UnsetType = UNSET
    token_type: Literal["Bearer"] | UnsetType = UNSET
    code: Literal["token_expired", "session_ended"] | UnsetType = UNSET
    reason: str | UnsetType = UNSET


async def introspect(call: Call[ServiceKey, ShownToken, None]) -> Response:
    """Say whether an access token of the service's account is good.

    The answer is for the one check that asked (instant-logout, rule 16). A refresh token is never
    active: it is shown to this server alone, and who is shown one elsewhere must not accept it.
    """
    await call.node.leases.require()
    try:
        caller = await call.node.sessions.authenticate(call.body.token, call.caller.account_id)
    except (InvalidToken, SessionEnded) as refused:
        return reply(_inactive(refused))
    good = {"active": True, **claims_of(caller.access), "token_type": "Bearer"}
    return reply(msgspec.convert(good, Introspection))


def _inactive(refused: InvalidToken | SessionEnded) -> Introspection:
    """Say why a genuine token is not good; of any other, nothing."""
    match refused:
        case SessionEnded():
            reason = refused.reason or UNSET
            return Introspection(active=False, code="session_ended", reason=reason)
        case InvalidToken(code="token_expired"):
            return Introspection(active=False, code="token_expired")
        case _:
            return Introspection(active=False)


async def revoke(call: Call[ServiceKey | None, ShownToken, None]) -> Response:
    """End the session of a token: holding it is what authorises. What is no token of ours, or no
    more, is answered alike, since it can't be used (RFC 7009, section 2.2)."""
    await call.node.sessions.revoke(call.body.token, call.caller, browser.visitor(call))
    return Response()


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="POST",
        path=INTROSPECT,
        caller=service("verify"),
        handler=introspect,
        summary="Say whether an access token is good (RFC 7662)",
        body=ShownToken,
        answer=Introspection,
        oauth=True,
    ),
    Endpoint(
        method="POST",
        path=REVOKE,
        caller=perhaps_service("sessions"),
        handler=revoke,
        summary="End the session of a token (RFC 7009); a service may show its key as well",
        body=ShownToken,
        problems=(RateLimited,),
        oauth=True,
    ),
]
