"""A page with a run-out access token: rotated by the cookie, and the browser is sent back."""

from contextlib import suppress
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lastcall.errors import CsrfFailed, InvalidToken, SessionEnded
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE
from lastcall.local import local_path

AGAIN: Final = timedelta(seconds=10)
"""Who is sent back to the same place twice within this time goes to sign-in: nothing loops."""
HOME: Final = "/settings/sessions"


class Back(Struct):
    """Where the browser came from, a path of this origin; and whether that needs a session: where
    it doesn't, who can't have one is sent back without."""

    next: str | None = None
    required: bool = True


async def renew(call: Call[None, None, Back]) -> Response:
    """Rotate the tokens in the cookies and go back, or to sign-in.

    Safe for a link from elsewhere: it gives nothing to who follows it but a fresh session of
    their own, and leads to a path of this origin.
    """
    mode = call.request.headers.get("sec-fetch-mode")
    if mode not in ("navigate", None) or _is_ahead(call.request):
        raise CsrfFailed("only a browser's navigation is renewed here")
    target = local_path(call.query.next, call.base + HOME)
    now = call.node.sessions.now()
    looping = call.cookies.renewed(call.request, target, now, AGAIN)
    tokens = None
    if mode is not None and not looping and call.by_cookie:
        # The cookies stay: by them the sign-in page can tell why, and another tab may have won.
        with suppress(InvalidToken, SessionEnded):
            token = call.cookies.read(call.request, "refresh")
            tokens = await call.node.sessions.refresh(token, call.ip) if token else None
    if tokens is None and call.query.required:
        return RedirectResponse(f"{call.base}/sign-in?next={quote(target)}", 303)
    response = RedirectResponse(target, 303)
    if tokens is not None:
        call.cookies.set_tokens(response, tokens)
    call.cookies.set_renewed(response, target, now, AGAIN)
    return response


def _is_ahead(request: Request) -> bool:
    """Tell whether a browser fetches ahead what nobody may ever look at."""
    names = ("sec-purpose", "purpose", "x-moz")
    return any("prefetch" in request.headers.get(name, "") for name in names)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path="/renew",
        caller=ANYONE,
        handler=renew,
        summary="Renew a page's tokens and go back to it",
        query=Back,
        page=True,
    ),
]
