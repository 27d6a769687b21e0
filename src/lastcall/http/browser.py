"""A browser's session: it begins, goes on and ends in cookies. Used by the API and by the pages."""

import contextlib
import logging
from typing import Any

from msgspec import UNSET, UnsetType
from starlette.responses import Response

from lastcall.audit import Origin
from lastcall.errors import Error, InvalidToken
from lastcall.http import wire
from lastcall.http.cookies import Cookie, Name, new_device
from lastcall.http.endpoint import Call, reply
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import SignIn

log = logging.getLogger("lastcall.http")

AnyCall = Call[Any, Any, Any]


def device_of(call: AnyCall) -> bytes:
    """Give the id by which the browser is recognised at its next sign-in; a new one for a browser
    that has none."""
    device = call.cookies.device(call.request, call.node.secrets.device)
    return device or new_device(call.node.entropy)


async def settle(call: AnyCall, response: Response, tokens: Tokens, device: bytes) -> Response:
    """Put a session that has just begun into the browser, in the place of the one that it held,
    which ends (ASVS 7.2.4)."""
    await end_replaced(call, _cookie(call, "refresh") if call.by_cookie else None, call.seen())
    call.cookies.set(response, *_cookies(call, tokens, device))
    return response


async def end_replaced(call: AnyCall, refresh: str | None, seen: SignIn) -> None:
    """End the session that a browser held until now, by its refresh token."""
    if refresh is None:
        return
    try:
        origin = call.node.sessions.origin_of(seen)
        await call.node.sessions.endings.sign_out_refresh(refresh, origin)
    except Error as error:
        # The new session stands; the old one is in its user's list and runs out by itself.
        log.warning("the session that was replaced at a sign-in goes on: %s", error.code)


def handed_over(call: AnyCall, tokens: Tokens, device: bytes) -> tuple[wire.Cookie, ...]:
    """Write the cookies of a session that has just begun, for a service that sets them in a browser
    by itself."""
    secure = call.cookies.secure
    return tuple(
        wire.Cookie(name=one.name, value=one.value, max_age=one.age, secure=secure)
        for one in _cookies(call, tokens, device)
    )


def _cookies(call: AnyCall, tokens: Tokens, device: bytes) -> tuple[Cookie, ...]:
    key = call.node.secrets.device
    return (*call.cookies.of_tokens(tokens), call.cookies.of_device(device, key))


async def end_session(call: AnyCall) -> None:
    """End the session of the cookies, by either of them; nothing where none is genuine."""
    sessions, origin = call.node.sessions, visitor(call)
    access = _cookie(call, "access")
    if access is not None:
        with contextlib.suppress(InvalidToken):
            opened = await call.node.signing.open(access, sessions.issuer, sessions.audience)
            await sessions.endings.sign_out(opened.session_id, origin)
    refresh = _cookie(call, "refresh")
    if refresh is not None:
        await sessions.endings.sign_out_refresh(refresh, origin)


def visitor(call: AnyCall) -> Origin:
    """Tell from where somebody does something for whom no session speaks yet."""
    return call.node.sessions.origin_of(call.seen())


def clear(call: AnyCall, response: Response) -> Response:
    """Make the browser forget its session: both cookies and, where this origin is lastcall's own,
    what its pages have stored (ASVS 14.3.1). An application's storage is not lastcall's to erase.
    """
    call.cookies.expire_tokens(response)
    if not call.base:
        # `"storage"` also ends a device-bound session in the browser; `"cookies"` does not.
        response.headers["clear-site-data"] = '"storage"'
    return response


def say(
    call: AnyCall,
    tokens: Tokens,
    *,
    in_cookies: bool,
    whose: wire.User | UnsetType = UNSET,
    others: wire.Termination | UnsetType | None = UNSET,
    cookies: tuple[wire.Cookie, ...] | UnsetType = UNSET,
) -> Response:
    """Answer tokens in the body, or what is said of them there when they go as cookies."""
    policy = call.node.sessions.policy
    return reply(
        wire.tokens(
            tokens, policy, in_cookies=in_cookies, whose=whose, others=others, cookies=cookies
        )
    )


def give(
    call: AnyCall,
    tokens: Tokens,
    others: wire.Termination | UnsetType | None = UNSET,
    *,
    in_cookies: bool,
) -> Response:
    """Answer tokens as they were asked for: in the body or as cookies, never in both."""
    response = say(call, tokens, in_cookies=in_cookies, others=others)
    if in_cookies:
        call.cookies.set_tokens(response, tokens)
    return response


def _cookie(call: AnyCall, name: Name) -> str | None:
    try:
        return call.cookies.read(call.request, name)
    except InvalidToken:
        return None
