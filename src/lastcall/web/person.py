"""Who sends a form: somebody with a live session, whose access token may have run out meanwhile."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from lastcall.errors import Error, InvalidToken, ReauthenticationRequired, TokenMissing
from lastcall.http.address import client_address
from lastcall.http.browser import AnyCall
from lastcall.http.endpoint import Call
from lastcall.http.guard import Who, by_cookie, require_session
from lastcall.http.site import site_of
from lastcall.identity.roles import require_admin
from lastcall.problems import headers_of, problem_of
from lastcall.sessions.minting import Tokens
from lastcall.sessions.service import Caller
from lastcall.web.refusals import error_page
from lastcall.web.rendering import redirect

B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Person:
    """A live session, and the tokens with which it goes on where its own had run out."""

    caller: Caller
    renewed: Tokens | None = None


async def _admit(request: Request) -> Person:
    try:
        return Person(await require_session(request))
    except (TokenMissing, InvalidToken):
        site = site_of(request)
        token = site.cookies.read(request, "refresh") if by_cookie(request) else None
        if token is None:
            raise
    # A form can't be sent to /renew and back: it would arrive empty.
    sessions = site.node.sessions
    ip = client_address(request, site.node.settings.trusted_proxies)
    renewed = await sessions.refresh(token, ip)
    return Person(await sessions.authenticate(renewed.access_token), renewed)


PERSON: Final = Who(_admit, ("cookie",))
"""A live session, for forms."""


def going_on(
    handler: Callable[[Call[Caller, B, None]], Awaitable[Response]],
    again: Callable[[AnyCall], str],
) -> Callable[[Call[Person, B, None]], Awaitable[Response]]:
    """Handle a person's form. Whatever comes of it, the browser gets its new tokens: the used one
    shown once more would look like a theft. `again` names the page that asks anew after a
    proof."""

    async def handle(call: Call[Person, B, None]) -> Response:
        person: Person = call.caller
        try:
            response = await handler(Call(call.request, person.caller, call.body, call.query))
        except ReauthenticationRequired:
            response = redirect(prove(call, again(call)))
        except Error as error:
            if person.renewed is None:
                raise
            response = error_page(call.request, problem_of(error))
            response.headers.update(headers_of(error))
        if person.renewed is not None and "set-cookie" not in response.headers:
            call.cookies.set_tokens(response, person.renewed)
        return response

    return handle


def administering(
    handler: Callable[[Call[Caller, B, None]], Awaitable[Response]],
    again: Callable[[AnyCall], str],
) -> Callable[[Call[Person, B, None]], Awaitable[Response]]:
    """Handle a form of an admin's: the role first, then the fresh proof (http-api)."""

    async def handle(call: Call[Caller, B, None]) -> Response:
        require_admin(call.caller.role)
        call.node.sessions.require_fresh(call.caller)
        return await handler(call)

    return going_on(handle, again)


def prove(call: AnyCall, back: str) -> str:
    """Give the address that asks for a fresh proof and leads back to a page."""
    return f"{call.base}/reauthenticate?next={quote(call.base + back)}"
