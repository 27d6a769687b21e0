"""`/forward-auth`: who asks, for a proxy that stands before a service which can't ask by itself.

The proxy shows each request's own headers, its method and its target, and passes it on only where
this answers 200. The decision is that of `integrations.core`, by what this node knows, under its
lease (rule 16).
"""

from dataclasses import replace
from typing import Annotated, Final

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

METHOD: Final = ("x-forwarded-method", "x-original-method")
TARGET: Final = ("x-forwarded-uri", "x-original-uri")
"""What proxies call the method and the target of the request that they ask about."""


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
        return Answer(200, ())
    session = visit.require(*wanted.role, max_age=wanted.max_age)
    if wanted.account is not None and session.account_id != wanted.account:
        raise InvalidToken
    return Answer(
        200,
        (
            ("x-lastcall-user", session.user_id),
            ("x-lastcall-session", session.id),
            ("x-lastcall-account", session.account_id),
            ("x-lastcall-roles", ",".join(session.roles)),
        ),
    )


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
    method = _one(asked, METHOD) or "unknown"
    target = _one(asked, TARGET) or "/"
    return replace(asked, method=method, target=lambda: target)


def _one(asked: Asked, names: tuple[str, ...]) -> str | None:
    """Give what the proxy says by one of these headers. Raises InvalidRequest for two that differ:
    the client has added one."""
    values = {value for name in names for value in asked.headers(name)}
    if len(values) > 1:
        raise InvalidRequest(FieldError(names[0], "repeated", "the headers contradict each other"))
    return values.pop() if values else None


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
