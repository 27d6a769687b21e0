"""Signing in and out."""

from urllib.parse import urlencode

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import (
    Conflict,
    InvalidCredentials,
    InvalidRequest,
    RateLimited,
    Refused,
    SessionEnded,
)
from lastcall.http import browser
from lastcall.http.bodies import Unprinted
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE, VISITOR, Visitor
from lastcall.local import local_path
from lastcall.problems import headers_of, status_of
from lastcall.sessions.model import Client
from lastcall.web import words
from lastcall.web.rendering import HOME, redirect, render
from lastcall.web.times import wait
from lastcall.web.translation import gettext as _


class Back(Struct):
    """Where the person came from; and whether they sign in here, also where an application signs
    its users in."""

    next: str = ""
    here: bool = False


class Form(Unprinted, Struct):
    """Who signs in, and where they go then. On a shared device the cookies end with the browser."""

    email: str = ""
    password: str = ""
    next: str = ""
    shared_device: bool = False


def way_back(call: browser.AnyCall, text: str) -> str:
    """Give where to go on: a path of this origin, whatever was asked for."""
    return local_path(text, call.base + HOME)


def application_sign_in(
    call: browser.AnyCall, back: str, ended: SessionEnded | None = None
) -> Response | None:
    """Send a browser to where an application signs its users in, and tell it where they want to go
    and why their session ended; None where none does."""
    path = call.node.settings.sign_in_url
    if path is None:
        return None
    said = {"next": back, **({"reason": ended.reason} if ended and ended.reason else {})}
    return redirect(f"{path}?{urlencode(said)}")


async def show(call: Call[Visitor, None, Back]) -> Response:
    """Ask who it is; tell who was signed out why. Who is signed in is sent on."""
    back = way_back(call, call.query.next)
    if call.caller.caller is not None:
        return redirect(back)
    ended = call.caller.ended
    elsewhere = application_sign_in(call, back, ended)
    if elsewhere is not None and not call.query.here:
        return elsewhere
    return render(
        call.request,
        "sign_in.html",
        ended=words.ended(ended, call.node.sessions.policy) if ended else None,
        error="",
        next=back,
        email="",
    )


async def sign_in(call: Call[None, Form, None]) -> Response:
    """Begin a session in this browser for who knows the password."""
    form, back = call.body, way_back(call, call.body.next)
    device = browser.device_of(call)
    client = Client("browser", shared_device=form.shared_device)
    try:
        tokens = await call.node.identity.sign_in(
            form.email, form.password, client, call.seen(device)
        )
    except InvalidRequest:
        refusal: Refused = InvalidCredentials()
    except (InvalidCredentials, RateLimited, Conflict) as error:
        refusal = error
    else:
        return await browser.settle(call, redirect(back), tokens, device)
    page = render(
        call.request,
        "sign_in.html",
        status_of(refusal),
        ended=None,
        error=_said(refusal),
        next=back,
        email=form.email,
    )
    page.headers.update(headers_of(refusal))
    return page


def _said(refusal: Refused) -> str:
    match refusal:
        case RateLimited():
            return _(
                "Too many attempts. Try again in %(wait)s, "
                "or use a browser in which you have signed in before."
            ) % {"wait": wait(refusal.retry_after)}
        case Conflict():
            return _("Something changed while you were signing in. Sign in again.")
        case _:
            # For a wrong password, an unknown address, a suspended user alike (ASVS 6.3.8).
            return _("The email or the password is wrong.")


async def sign_out(call: browser.AnyCall) -> Response:
    """End the browser's session, if it has one."""
    await browser.end_session(call)
    return browser.clear(call, redirect(call.base + "/sign-in"))


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path="/sign-in",
        caller=VISITOR,
        handler=show,
        summary="Ask who it is",
        query=Back,
        page=True,
    ),
    Endpoint(
        method="POST",
        path="/sign-in",
        caller=ANYONE,
        handler=sign_in,
        summary="Begin a browser's session",
        body=Form,
        page=True,
    ),
    Endpoint(
        method="POST",
        path="/sign-out",
        caller=ANYONE,
        handler=sign_out,
        summary="End the browser's session",
        page=True,
        reads_body=False,
    ),
]
