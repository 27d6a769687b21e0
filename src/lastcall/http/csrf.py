"""Whether a request comes from the server's own pages."""

from starlette.requests import Request

from lastcall import credentials


def require_own_site(request: Request, origins: frozenset[str], *, with_cookies: bool) -> None:
    """Raise CsrfFailed for a request from elsewhere."""
    credentials.require_own_site(
        request.headers.getlist("sec-fetch-site"),
        request.headers.getlist("origin"),
        origins,
        with_cookies=with_cookies,
    )
