"""What an application's back end starts: sessions of users whom it signs in by itself."""

import contextlib
from ipaddress import ip_address
from typing import Annotated

from msgspec import UNSET, Meta, Struct
from starlette.responses import Response

from lastcall.errors import Conflict, FieldError, Forbidden, InvalidRequest, Unavailable
from lastcall.http import browser, wire
from lastcall.http.bodies import Unprinted
from lastcall.http.cookies import device_in, new_device
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint, seen_client
from lastcall.http.guard import service
from lastcall.identity.emails import MAX_LENGTH
from lastcall.identity.model import ServiceKey
from lastcall.identity.names import NAME_LENGTH, check_name
from lastcall.sessions.model import Client, ClientType, SignIn


class ExternalUser(Struct, forbid_unknown_fields=True):
    """Whom the application has signed in. Its own id alone identifies; the e-mail address is shown
    and links to nobody."""

    external_id: Annotated[str, Meta(min_length=1, max_length=200)]
    email: Annotated[str, Meta(max_length=MAX_LENGTH)] | None = None
    name: Annotated[str, Meta(max_length=NAME_LENGTH)] | None = None


class SeenClient(Unprinted, Struct, forbid_unknown_fields=True):
    """What the application saw of its client. Of the headers, the client hints are kept; `device`
    is the device cookie's value, by which the browser is recognised; `refresh_token` that of the
    session which it held until now, and which ends."""

    ip: str | None
    user_agent: str | None
    headers: dict[str, str] = {}
    device: str | None = None
    refresh_token: str | None = None


class Start(Struct, forbid_unknown_fields=True):
    """A session to begin. With `cookies` it is a browser's: the answer holds the cookies to set
    there, in the place of the tokens; on a shared device they end with the browser."""

    user: ExternalUser
    client: SeenClient
    amr: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[!-~]{1,32}$(?!\n)")], ...], Meta(max_length=16)
    ] = ()
    client_type: ClientType = "service"
    cookies: bool = False
    shared_device: bool = False


async def start_session(call: Call[ServiceKey, Start, None]) -> Response:
    """Begin a session for a user whom the application has signed in."""
    body, node = call.body, call.node
    device = _device(call)
    seen = _seen(body.client, device)
    tokens = await node.services.begin_session(
        call.caller,
        _exactly(body.user.external_id, "user.external_id"),
        _exactly(body.user.email, "user.email") if body.user.email else None,
        check_name(body.user.name, "user.name") if body.user.name else None,
        body.amr,
        Client(
            "browser" if body.cookies else body.client_type,
            shared_device=body.shared_device,
            service_key=call.caller.id,
        ),
        seen,
    )
    await browser.end_replaced(call, body.client.refresh_token, seen)
    active = None
    with contextlib.suppress(Unavailable):  # the session has begun, and that is what is answered
        active = await node.sessions.count(tokens.user.id)
    whose = wire.user(tokens.user, active, tokens.session.last_active_at)
    cookies = browser.handed_over(call, tokens, device) if device is not None else UNSET
    return browser.say(call, tokens, in_cookies=body.cookies, whose=whose, cookies=cookies)


def _device(call: Call[ServiceKey, Start, None]) -> bytes | None:
    """Give the id by which the browser is recognised at its next sign-in; None for other clients,
    which are not."""
    if not call.body.cookies:
        return None
    known = device_in(call.body.client.device or "", call.node.secrets.device)
    return known or new_device(call.node.entropy)


def _seen(client: SeenClient, device: bytes | None) -> SignIn:
    ip = client.ip or None
    if ip is not None:
        try:
            ip = str(ip_address(ip))
        except ValueError as error:
            text = "this is not an IP address"
            raise InvalidRequest(FieldError("client.ip", "invalid", text)) from error
    headers = {name.lower(): value for name, value in client.headers.items()}
    return seen_client({**headers, "user-agent": client.user_agent or ""}, ip, device)


def _exactly(text: str, field: str) -> str:
    """Give a text that is compared or shown as it came. Raises InvalidRequest for one with
    characters that nobody sees."""
    if not text.isprintable() or text != text.strip():
        message = "no control characters, and no spaces at either end"
        raise InvalidRequest(FieldError(field, "not_text", message))
    return text


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="POST",
        path=f"{API}/sessions",
        caller=service("sessions"),
        handler=start_session,
        summary="Begin a session for a user whom an application has signed in",
        body=Start,
        answer=wire.Tokens,
        problems=(Forbidden, Conflict),
    ),
]
