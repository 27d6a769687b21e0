"""`/forward-auth`: who asks, for a proxy that stands before a service which can't ask by itself.

The proxy shows each request's own headers, its method and its target, and passes it on only where
this answers 200. The decision is that of `integrations.core`, by what this node knows, under its
lease (rule 16).
"""

from typing import Annotated, Final
from urllib.parse import quote

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from lastcall.errors import (
    CsrfFailed,
    Error,
    FieldError,
    Forbidden,
    InvalidRequest,
    InvalidToken,
    ReauthenticationRequired,
    SessionEnded,
    TokenMissing,
    Unavailable,
)
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE
from lastcall.integrations.core import Answer, Asked, Visit
from lastcall.integrations.starlette import asked_by

METHOD: Final = (b"x-forwarded-method", b"x-original-method")
TARGET: Final = (b"x-forwarded-uri", b"x-original-uri")
"""What proxies call the method and the target of the request that they ask about."""
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
"""What is left as it is in an external id; all else is percent-encoded UTF-8 (RFC 3986, 2.1)."""


class Wanted(Struct):
    """Who may pass: of these roles, with a proof at most so many seconds old, of this account;
    without `required` also who has no session. Without `redirect` who may not is answered with 401
    alone, and `X-Lastcall-Location` tells where a browser should be sent."""

    role: tuple[Annotated[str, Meta(max_length=50)], ...] = ()
    max_age: Annotated[int, Meta(ge=1)] | None = None
    account: Annotated[str, Meta(max_length=100)] | None = None
    required: bool = True
    redirect: bool = True


async def forward_auth(call: Call[None, None, Wanted]) -> Response:
    """Say who asks, or what to answer in the service's place."""
    gate, wanted = call.site.gate, call.query
    asked = _asked(call.request)
    visit = await gate.avisit(asked)
    try:
        answer = _passes(visit, wanted)
    except Error as error:
        answer = gate.renewal(asked, visit) or gate.refuse(asked, error)
    else:
        if visit.found is None:
            answer = gate.renewal(asked, visit) or answer
    if answer.status == 303 and not wanted.redirect:
        answer = _told(answer)
    response = Response(answer.body, answer.status)
    response.raw_headers += [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
    ]
    return response


def _passes(visit: Visit, wanted: Wanted) -> Answer:
    """Tell the service who asks. Raises what `Visit.require` does."""
    if not wanted.required and visit.session is None:
        return _NOBODY
    session = visit.require(*wanted.role, max_age=wanted.max_age)
    if wanted.account is not None and session.account_id != wanted.account:
        raise InvalidToken
    return _about(
        session.user_id,
        session.id,
        session.account_id,
        ",".join(session.roles),
        quote(session.external_id or "", safe=_PRINTABLE),
    )


def _about(user: str, session: str, account: str, roles: str, external_id: str) -> Answer:
    """Tell all of it, if only that it is empty: for a header that isn't there, some proxies (Caddy
    2.6) pass on the name of their own variable."""
    return Answer(
        200,
        (
            ("x-lastcall-user", user),
            ("x-lastcall-session", session),
            ("x-lastcall-account", account),
            ("x-lastcall-roles", roles),
            ("x-lastcall-external-id", external_id),
        ),
    )


_NOBODY: Final = _about("", "", "", "", "")


def _told(answer: Answer) -> Answer:
    """Write a redirect for a proxy that passes no answer on but its status (nginx)."""
    headers = tuple(
        ("x-lastcall-location" if name == "location" else name, value)
        for name, value in answer.headers
    )
    return Answer(401, (*headers, ("www-authenticate", 'Bearer realm="lastcall"')))


def _asked(request: Request) -> Asked:
    asked = asked_by(request.scope)
    # Of an unknown method it is taken to change something: only own pages may ask by cookies.
    asked.method = _one(request, METHOD) or "unknown"
    target = _one(request, TARGET) or "/"
    asked.target = lambda: target
    return asked


def _one(request: Request, names: tuple[bytes, ...]) -> str | None:
    """Give what the proxy says by one of these headers. Raises InvalidRequest for two that differ:
    the client has added one."""
    values = {value for name, value in request.scope["headers"] if name in names}
    if len(values) > 1:
        text = "the headers contradict each other"
        raise InvalidRequest(FieldError(names[0].decode(), "repeated", text))
    return values.pop().decode("latin-1") if values else None


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path="/forward-auth",
        caller=ANYONE,
        handler=forward_auth,
        summary="Say who asks, for a proxy in front of a service",
        query=Wanted,
        problems=(
            TokenMissing,
            InvalidToken,
            SessionEnded,
            ReauthenticationRequired,
            CsrfFailed,
            Forbidden,
            Unavailable,
        ),
    ),
]
