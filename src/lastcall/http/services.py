"""What an application's back end starts: sessions of users whom it signs in by itself."""

from ipaddress import ip_address
from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from lastcall.errors import Conflict, FieldError, Forbidden, InvalidRequest
from lastcall.http import browser, wire
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


class SeenClient(Struct, forbid_unknown_fields=True):
    """What the application saw of its client; of the headers, the client hints are kept."""

    ip: str | None
    user_agent: str | None
    headers: dict[str, str] = {}


class Start(Struct, forbid_unknown_fields=True):
    """A session to begin."""

    user: ExternalUser
    client: SeenClient
    amr: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[!-~]{1,32}$(?!\n)")], ...], Meta(max_length=16)
    ] = ()
    client_type: ClientType = "service"


async def start_session(call: Call[ServiceKey, Start, None]) -> Response:
    """Begin a session for a user whom the application has signed in."""
    body = call.body
    client = Client(body.client_type, service_key=call.caller.id)
    tokens = await call.node.services.begin_session(
        call.caller,
        _exactly(body.user.external_id, "user.external_id"),
        _exactly(body.user.email, "user.email") if body.user.email else None,
        check_name(body.user.name, "user.name") if body.user.name else None,
        body.amr,
        client,
        _seen(body.client),
    )
    active = await call.node.sessions.count(tokens.user.id)
    whose = wire.user(tokens.user, active, tokens.session.last_active_at)
    return browser.say(call, tokens, in_cookies=False, whose=whose)


def _seen(client: SeenClient) -> SignIn:
    ip = client.ip or None
    if ip is not None:
        try:
            ip = str(ip_address(ip))
        except ValueError as error:
            text = "this is not an IP address"
            raise InvalidRequest(FieldError("client.ip", "invalid", text)) from error
    headers = {name.lower(): value for name, value in client.headers.items()}
    return seen_client({**headers, "user-agent": client.user_agent or ""}, ip)


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
