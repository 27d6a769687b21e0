"""Signing in, staying in, and signing out."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from lastcall.errors import (
    Conflict,
    CsrfFailed,
    FieldError,
    InvalidCredentials,
    InvalidRequest,
    InvalidToken,
    RateLimited,
    SessionEnded,
    TokenMissing,
)
from lastcall.http import browser, wire
from lastcall.http.bodies import Unprinted
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE, SESSION, bearer
from lastcall.identity.names import NAME_LENGTH, check_name
from lastcall.sessions.model import Client
from lastcall.sessions.service import Caller

Password = Annotated[str, Meta(max_length=1024)]


class SignIn(Unprinted, Struct, forbid_unknown_fields=True):
    """What signs in. `browser` gets its tokens as cookies; on a shared device these end with it."""

    email: Annotated[str, Meta(max_length=320)]
    password: Password
    client: Literal["native", "browser"] = "native"
    name: Annotated[str, Meta(max_length=NAME_LENGTH)] | None = None
    shared_device: bool = False


class Refresh(Unprinted, Struct, forbid_unknown_fields=True):
    """The refresh token; left out where it is in the cookie."""

    refresh_token: Annotated[str, Meta(max_length=4096)] | UnsetType = UNSET


class Proof(Unprinted, Struct, forbid_unknown_fields=True):
    """A fresh proof of who the caller is."""

    password: Password


async def sign_in(call: Call[None, SignIn, None]) -> Response:
    """Begin a session for who knows the password."""
    body, identity = call.body, call.node.identity
    name = check_name(body.name, "name") if body.name is not None else None
    client = Client(body.client, name, shared_device=body.shared_device)
    if body.client == "native":
        tokens = await identity.sign_in(body.email, body.password, client, call.seen())
        return browser.say(call, tokens, in_cookies=False)
    device = browser.device_of(call)
    tokens = await identity.sign_in(body.email, body.password, client, call.seen(device))
    response = browser.say(call, tokens, in_cookies=True)
    return await browser.settle(call, response, tokens, device)


async def refresh(call: Call[None, Refresh, None]) -> Response:
    """Give the refresh token's successor, as it was asked for."""
    shown = call.body.refresh_token
    cookie = call.cookies.read(call.request, "refresh") if call.by_cookie else None
    if shown is not UNSET and cookie is not None:
        text = "give the refresh token in the body or in the cookie, not in both"
        raise InvalidRequest(FieldError("refresh_token", "repeated", text), readable=False)
    token = cookie if shown is UNSET else shown
    if token is None:
        raise TokenMissing("this needs a refresh token")
    tokens = await call.node.sessions.refresh(token, call.ip)
    return browser.give(call, tokens, in_cookies=shown is UNSET)


async def reauthenticate(call: Call[Caller, Proof, None]) -> Response:
    """Take a fresh proof for the same session; the older tokens refuse."""
    tokens = await call.node.identity.reauthenticate(
        call.caller, call.body.password, call.origin(call.caller)
    )
    return browser.give(call, tokens, in_cookies=call.by_cookie)


async def sign_out(call: Call[None, None, None]) -> Response:
    """End the caller's session, if there is one; it may have ended already."""
    response = Response(status_code=204)
    token = bearer(call.request)
    if token is not None:
        sessions = call.node.sessions
        access = await call.node.signing.open(token, sessions.issuer, sessions.audience)
        await sessions.endings.sign_out(access.session_id, browser.visitor(call))
        return response
    await browser.end_session(call)
    return browser.clear(call, response)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="POST",
        path=f"{API}/refresh",
        caller=ANYONE,
        handler=refresh,
        summary="Rotate the refresh token",
        body=Refresh,
        answer=wire.Tokens,
        problems=(TokenMissing, InvalidToken, SessionEnded, Conflict, RateLimited),
    ),
    Endpoint(
        method="POST",
        path=f"{API}/sign-in",
        caller=ANYONE,
        handler=sign_in,
        summary="Sign in with a password",
        body=SignIn,
        answer=wire.Tokens,
        problems=(InvalidCredentials, Conflict, CsrfFailed, RateLimited),
        own_site=True,
    ),
    Endpoint(
        method="POST",
        path=f"{API}/reauthenticate",
        caller=SESSION,
        handler=reauthenticate,
        summary="Give a fresh proof for the same session",
        body=Proof,
        answer=wire.Tokens,
        problems=(InvalidCredentials, Conflict, RateLimited),
    ),
    Endpoint(
        method="POST",
        path=f"{API}/sign-out",
        caller=ANYONE,
        handler=sign_out,
        summary="End the caller's own session",
        status=204,
        problems=(InvalidToken,),
        reads_body=False,
    ),
]
