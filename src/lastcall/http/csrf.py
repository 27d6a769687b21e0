"""Whether a request comes from the server's own pages (ASVS 3.5.1; Fetch Metadata, Origin)."""

from urllib.parse import urlsplit

from starlette.requests import Request

from lastcall.errors import CsrfFailed
from lastcall.settings import LOOPBACK

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def own_origins(public_url: str) -> frozenset[str]:
    """Give the origins that are the server's own; on loopback, all of its names with the port."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port not in (None, _DEFAULT_PORTS.get(parts.scheme)) else ""
    hosts = LOOPBACK if host in LOOPBACK else {host}
    return frozenset(
        f"{parts.scheme}://{f'[{name}]' if ':' in name else name}{port}" for name in hosts
    )


_DEFAULT_PORTS = {"http": 80, "https": 443}


def require_own_site(request: Request, origins: frozenset[str], *, with_cookies: bool) -> None:
    """Raise CsrfFailed for a request from elsewhere.

    `Sec-Fetch-Site` decides where it is there, else `Origin`; with neither, no browser of today
    sent it: let through unless it carries cookies.
    """
    sites = request.headers.getlist("sec-fetch-site")
    if sites:
        if any(site.strip() != "same-origin" for site in sites):
            raise CsrfFailed
        return
    came_from = request.headers.getlist("origin")
    if came_from:
        if any(origin not in origins for origin in came_from):
            raise CsrfFailed
        return
    if with_cookies:
        raise CsrfFailed("a request with cookies must say where it comes from: send Origin")
