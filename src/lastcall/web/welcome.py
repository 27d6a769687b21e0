"""The pages behind links that work once: setting up, and accepting an invitation."""

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import InvalidRequest, NotFound
from lastcall.http import browser
from lastcall.http.bodies import Unprinted
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE
from lastcall.sessions.model import Client
from lastcall.web import words
from lastcall.web.rendering import HOME, redirect, render


class Link(Unprinted, Struct):
    """What the link carries. Pages go on with it in a form, so that it leaves the address."""

    token: str = ""


class SetUp(Unprinted, Struct):
    """The first organisation and its owner."""

    token: str = ""
    organisation: str = ""
    name: str = ""
    email: str = ""
    password: str = ""


class Acceptance(Unprinted, Struct):
    """The password that somebody invited has chosen."""

    token: str = ""
    password: str = ""


async def show_set_up(call: Call[None, None, Link]) -> Response:
    """Ask for the organisation and its owner."""
    try:
        await call.node.links.require_setup(call.query.token, call.ip)
    except NotFound:
        return _dead(call)
    return _set_up(call, SetUp(call.query.token))


async def set_up(call: Call[None, SetUp, None]) -> Response:
    """Make the organisation and its owner, and begin their session."""
    form = call.body
    device = browser.device_of(call)
    try:
        tokens = await call.node.links.set_up(
            form.token,
            form.organisation,
            form.name or None,
            form.email,
            form.password,
            Client("browser"),
            call.seen(device),
        )
    except NotFound:
        return _dead(call)
    except InvalidRequest as error:
        return _set_up(call, form, error)
    return await browser.settle(call, redirect(call.base + HOME), tokens, device)


async def show_invitation(call: Call[None, None, Link]) -> Response:
    """Ask somebody invited for a password."""
    return await _invitation(call, call.query.token)


async def accept(call: Call[None, Acceptance, None]) -> Response:
    """Take the password of somebody invited, and begin their session."""
    form = call.body
    device = browser.device_of(call)
    try:
        tokens = await call.node.links.accept(
            form.token, form.password, Client("browser"), call.seen(device)
        )
    except NotFound:
        return _dead(call)
    except InvalidRequest as error:
        return await _invitation(call, form.token, error)
    return await browser.settle(call, redirect(call.base + HOME), tokens, device)


def _set_up(call: browser.AnyCall, form: SetUp, error: InvalidRequest | None = None) -> Response:
    policy = call.node.sessions.policy
    return render(
        call.request,
        "setup.html",
        422 if error else 200,
        token=form.token,
        organisation=form.organisation,
        name=form.name,
        email=form.email,
        errors=words.field_errors(error, policy) if error else {},
        password_min_length=policy.password_min_length,
    )


async def _invitation(
    call: browser.AnyCall, token: str, error: InvalidRequest | None = None
) -> Response:
    policy = call.node.sessions.policy
    try:
        welcome = await call.node.links.welcome(token, call.ip)
    except NotFound:
        return _dead(call)
    return render(
        call.request,
        "invitation.html",
        422 if error else 200,
        token=token,
        email=welcome.user.email or "",
        organisation=welcome.account.name,
        errors=words.field_errors(error, policy) if error else {},
        password_min_length=policy.password_min_length,
    )


def _dead(call: browser.AnyCall) -> Response:
    return render(call.request, "link_invalid.html", 404)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path="/setup",
        caller=ANYONE,
        handler=show_set_up,
        summary="Ask for the first organisation",
        query=Link,
        page=True,
    ),
    Endpoint(
        method="POST",
        path="/setup",
        caller=ANYONE,
        handler=set_up,
        summary="Make the first organisation",
        body=SetUp,
        page=True,
    ),
    Endpoint(
        method="GET",
        path="/invitation",
        caller=ANYONE,
        handler=show_invitation,
        summary="Ask somebody invited for a password",
        query=Link,
        page=True,
    ),
    Endpoint(
        method="POST",
        path="/invitation",
        caller=ANYONE,
        handler=accept,
        summary="Accept an invitation",
        body=Acceptance,
        page=True,
    ),
]
