"""The stream that tells a browser's open pages what has changed (server-sent events)."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lastcall.errors import InvalidToken, RateLimited, TokenMissing, Unavailable
from lastcall.http.csrf import require_own_site
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import Who, by_cookie, require_session
from lastcall.http.site import site_of
from lastcall.live import Again, Beat, Changed, Ended, Message, OpenPage, Services

PATH: Final = "/live"
_HEADERS: Final = {"x-accel-buffering": "no"}
"""Has proxies pass each message on at once (nginx)."""


class From(Struct):
    """The newest record that the page knows of; and the mark of the services that it shows, empty
    where it knows none."""

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    services: Annotated[str, Meta(max_length=64)] | None = None


async def _admit(request: Request) -> OpenPage:
    """Give the session of a page that is open: by its access token or, past that one's hour, by its
    refresh token, which is not used up. An open page is no activity: it keeps no session alive."""
    site = site_of(request)
    if by_cookie(request):
        present = site.cookies.has(request, "access", "refresh")
        require_own_site(request, site.origins, with_cookies=present)
    try:
        caller = await require_session(request)
    except (TokenMissing, InvalidToken):
        refresh = site.cookies.read(request, "refresh") if by_cookie(request) else None
        if refresh is None:
            raise
        found = await site.node.sessions.look_on(refresh)
        return OpenPage(found.session, found.user, found.recorded)
    return OpenPage(caller.session, caller.user, caller.recorded, caller.access.expires_at)


async def show(call: Call[OpenPage, None, From]) -> Response:
    """Open a stream; a HEAD only asks whether one may be opened."""
    if call.request.method == "HEAD":
        return Response(None, 200, _HEADERS, "text/event-stream")
    messages = call.node.live.stream(call.caller, call.query.after, call.query.services)
    first = await anext(messages)  # what stands against a stream is said before it begins
    return StreamingResponse(_written(first, messages), 200, _HEADERS, "text/event-stream")


async def _written(first: Message, rest: AsyncGenerator[Message, None]) -> AsyncIterator[str]:
    async with aclosing(rest):
        yield _write(first)
        async for message in rest:
            yield _write(message)


def _write(message: Message) -> str:
    match message:
        case Changed(number, scopes):
            return f"id: {number}\nevent: changed\ndata: {' '.join(scopes)}\n\n"
        case Services(mark):
            return f"event: services\ndata: {mark}\n\n"
        case Ended():
            return "event: ended\ndata:\n\n"
        case Again():
            return "event: again\ndata:\n\n"
        case Beat():
            return ":\n\n"


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=PATH,
        caller=Who(_admit, ("bearer", "cookie")),
        handler=show,
        summary="Tell an open page what changes",
        query=From,
        problems=(RateLimited, Unavailable),
    ),
]
