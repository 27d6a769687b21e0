"""What a call to the server is declared as: one table of who, what comes in and what goes out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lastcall.audit import Origin
from lastcall.credentials import SAFE
from lastcall.device.agent import HINT_LIMIT, USER_AGENT_LIMIT
from lastcall.device.model import HINT_HEADERS
from lastcall.errors import Error
from lastcall.http.address import client_address
from lastcall.http.bodies import Empty, read_form, read_json, read_query
from lastcall.http.cookies import Cookies, device_hash
from lastcall.http.csrf import require_own_site
from lastcall.http.guard import Who, by_cookie
from lastcall.http.site import Site, base_path, site_of
from lastcall.node import Node
from lastcall.sessions.model import SignIn
from lastcall.sessions.service import Caller

P = TypeVar("P")
B = TypeVar("B")
Q = TypeVar("Q")

Method = Literal["GET", "POST", "PATCH", "DELETE"]

API: Final = "/api/v1"
_encoder: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Call(Generic[P, B, Q]):
    """One request, as its handler sees it: checked, decoded, and its caller proved."""

    request: Request = field(repr=False)
    caller: P
    """What the endpoint's declaration of who may call yields."""
    body: B = field(repr=False)
    query: Q = field(repr=False)

    @property
    def site(self) -> Site:
        """The server that the request came to."""
        return site_of(self.request)

    @property
    def node(self) -> Node:
        """The operations."""
        return self.site.node

    @property
    def cookies(self) -> Cookies:
        """The cookies of this server."""
        return self.site.cookies

    @property
    def by_cookie(self) -> bool:
        """Whether cookies speak for the caller, rather than an Authorization header."""
        return by_cookie(self.request)

    @property
    def base(self) -> str:
        """The path under which the server stands, without a slash at its end."""
        return base_path(self.request)

    @property
    def ip(self) -> str | None:
        """The client's address."""
        return client_address(self.request, self.node.settings.trusted_proxies)

    def origin(self, caller: Caller) -> Origin:
        """Tell from where the caller does something, for the audit log."""
        return self.node.sessions.origin(caller, self.ip)

    def path(self, name: str) -> str:
        """Give a part of the path."""
        return str(self.request.path_params[name])

    def seen(self, device: bytes | None = None) -> SignIn:
        """Give what the client sent of itself; `device` is the id in its device cookie."""
        return seen_client(self.request.headers, self.ip, device)


Handler = Callable[[Call[P, B, Q]], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Endpoint(Generic[P, B, Q]):
    """One method of one path. `caller` has no default: a call that doesn't say who may make it
    can't be declared."""

    method: Method
    path: str
    caller: Who[P]
    handler: Handler[P, B, Q]
    summary: str
    body: type[B] | None = None
    """The form of the body; without one, a body that holds anything is refused."""
    query: type[Q] | None = None
    answer: type[msgspec.Struct] | None = None
    status: int = 200
    problems: tuple[type[Error], ...] = ()
    """What it refuses beyond what follows from the rest."""
    oauth: bool = False
    """One of OAuth's: its body is a form, and its refusals have OAuth's words beside ours."""
    page: bool = False
    """For a browser's window: bodies are forms, refusals are pages."""
    back: str = "/settings/sessions"
    """The page to show again when a page's form can't be taken now."""
    own_site: bool = False
    """Refused from other sites even without cookies, as signing in and out. Always so for pages."""
    reads_body: bool = True
    """False: whatever comes as a body is not looked at."""

    async def serve(self, request: Request) -> Response:
        """Check where the request comes from, who calls and what it says; then do it."""
        if self.method not in SAFE:
            self._require_own_site(request)
        # A page's form first: who sends it may be given new tokens, which a refusal would lose.
        form = await self._body(request) if self.page else None
        caller = await self.caller.admit(request)
        query = read_query(request, self.query) if self.query else None
        body = form if self.page else await self._body(request)
        # What isn't declared is None in the handler's types as well.
        return await self.handler(Call(request, caller, body, query))  # type: ignore[arg-type]

    def _require_own_site(self, request: Request) -> None:
        always = self.own_site or self.page
        if not always and not by_cookie(request):
            return
        site = site_of(request)
        present = site.cookies.has(request, "access", "refresh", "device")
        if always or present:
            require_own_site(request, site.origins, with_cookies=present)

    async def _body(self, request: Request) -> B | Empty | None:
        if self.method == "GET" or not self.reads_body:
            return None
        if self.page or self.oauth:
            return await read_form(request, self.body or Empty)
        return await read_json(request, self.body or Empty)


AnyEndpoint = Endpoint[Any, Any, Any]


def seen_client(headers: Mapping[str, str], ip: str | None, device: bytes | None = None) -> SignIn:
    """Keep of a client's headers (by name in lower case) what tells what it is, and no more."""
    hints: dict[str, str] = {
        name: headers[name][:HINT_LIMIT] for name in HINT_HEADERS if name in headers
    }
    agent = headers.get("user-agent", "")[:USER_AGENT_LIMIT]
    return SignIn(agent or None, hints, ip, device_hash(device) if device else None)


def reply(value: msgspec.Struct, status: int = 200) -> Response:
    """Answer a value as JSON."""
    return Response(_encoder.encode(value), status, media_type="application/json")


def by_path(endpoints: Sequence[object]) -> dict[str, dict[str, AnyEndpoint]]:
    """Sort endpoints by path and method. Raises TypeError for what isn't one, ValueError for two of
    one path and method."""
    table: dict[str, dict[str, AnyEndpoint]] = {}
    for endpoint in endpoints:
        if not isinstance(endpoint, Endpoint):
            raise TypeError(f"{endpoint!r} doesn't say who may call it: declare an Endpoint")
        methods = table.setdefault(endpoint.path, {})
        if endpoint.method in methods:
            raise ValueError(f"{endpoint.method} {endpoint.path} is declared twice")
        methods[endpoint.method] = endpoint
    return table
