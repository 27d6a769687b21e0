"""The page that asks who it is again, before what needs a fresh proof."""

from typing import Any

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import InvalidCredentials, InvalidRequest, RateLimited, Refused
from lastcall.http.bodies import Unprinted
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import SESSION
from lastcall.problems import headers_of, status_of
from lastcall.sessions.service import Caller
from lastcall.web import words
from lastcall.web.frame import me
from lastcall.web.person import PERSON, going_on
from lastcall.web.rendering import HOME, redirect, render
from lastcall.web.sign_in import Back, application_sign_in, way_back
from lastcall.web.times import span


class Proof(Unprinted, Struct):
    """The password once more, and where to go then."""

    password: str = ""
    next: str = ""


async def show(call: Call[Caller, None, Back]) -> Response:
    """Ask for the password; for a session that an application began, it has the proof."""
    elsewhere = None
    if call.caller.session.client.service_key is not None:
        elsewhere = application_sign_in(call, way_back(call, call.query.next))
    return elsewhere or _ask(call, call.query.next)


async def prove(call: Call[Caller, Proof, None]) -> Response:
    """Take the proof and go on with new tokens."""
    try:
        tokens = await call.node.identity.reauthenticate(
            call.caller, call.body.password, call.origin(call.caller)
        )
    except InvalidRequest:
        refusal: Refused = InvalidCredentials()
    except (InvalidCredentials, RateLimited) as error:
        refusal = error
    else:
        response = redirect(way_back(call, call.body.next))
        call.cookies.set_tokens(response, tokens)
        return response
    return _ask(call, call.body.next, refusal)


def _ask(call: Call[Caller, Any, Any], back: str, refusal: Refused | None = None) -> Response:
    error = words.password_refused(refusal) if refusal else ""
    page = render(
        call.request,
        "reauthenticate.html",
        status_of(refusal) if refusal else 200,
        me=me(call.caller),
        proof_age=span(call.node.sessions.policy.step_up),
        next=way_back(call, back),
        error=error,
    )
    page.headers.update(headers_of(refusal) if refusal else {})
    return page


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path="/reauthenticate",
        caller=SESSION,
        handler=show,
        summary="Ask for a fresh proof",
        query=Back,
        page=True,
    ),
    Endpoint(
        method="POST",
        path="/reauthenticate",
        caller=PERSON,
        handler=going_on(prove, lambda _: HOME),
        summary="Give a fresh proof",
        body=Proof,
        page=True,
    ),
]
