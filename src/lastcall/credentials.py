"""What a request shows of its session, and whether it comes from the application's own pages; for
the server and for the applications beside it, whatever their framework."""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from lastcall.errors import CsrfFailed, FieldError, InvalidRequest, TokenMissing

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine."""
SCHEMES: Final[dict[str, dict[str, str]]] = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-lastcall-access",
        "description": "`lastcall-access` where the public URL is plain http on loopback",
    },
}
"""How a request may show its session, as OpenAPI's security schemes."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def bearer(given: Sequence[str]) -> str | None:
    """Give what the Authorization headers show; None where there is no such header.

    Raises InvalidRequest for two of them, TokenMissing for another scheme (RFC 6750, section 2.1).
    """
    if not given:
        return None
    if len(given) > 1:
        text = "there must be one Authorization header"
        raise InvalidRequest(FieldError("Authorization", "repeated", text), readable=False)
    scheme, _, token = given[0].strip().partition(" ")
    token = token.strip()
    if not token or scheme.lower() != "bearer":
        raise TokenMissing
    return token


def cookie_name(name: str, *, secure: bool) -> str:
    """Give a cookie's full name: with `__Host-` where the public URL is https, so that no other
    host or path can plant one (RFC 6265bis, 4.1.3.2)."""
    return f"__Host-lastcall-{name}" if secure else f"lastcall-{name}"


def cookie_values(headers: Iterable[str], full_name: str) -> list[str]:
    """Give all values of a cookie in the Cookie headers."""
    found = []
    for header in headers:
        for pair in header.split(";"):
            if full_name in pair:  # most are others
                key, mark, value = pair.partition("=")
                if mark and key.strip() == full_name:
                    found.append(value.strip())
    return found


def cookie_line(full_name: str, value: str, *, age: int | None, secure: bool) -> str:
    """Write a Set-Cookie header: for so many seconds, 0 to forget it, None for as long as the
    browser runs (ASVS 3.3.1 to 3.3.4)."""
    life = "" if age is None else f"; Max-Age={age}"
    end = "; Secure" if secure else ""
    return f"{full_name}={value}; Path=/{life}; HttpOnly; SameSite=Lax{end}"


def own_origins(public_url: str) -> frozenset[str]:
    """Give the origins that are a public URL's own; on loopback, all of its names with the port."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port not in (None, _DEFAULT_PORTS.get(parts.scheme)) else ""
    hosts = LOOPBACK if host in LOOPBACK else {host}
    return frozenset(
        f"{parts.scheme}://{f'[{name}]' if ':' in name else name}{port}" for name in hosts
    )


def require_own_site(
    sites: Sequence[str], came_from: Sequence[str], own: frozenset[str], *, with_cookies: bool
) -> None:
    """Raise CsrfFailed for a request from elsewhere (ASVS 3.5.1; Fetch Metadata, Origin), given its
    Sec-Fetch-Site and Origin headers.

    The first decides where it is there, else the second; with neither, no browser of today sent it:
    let through unless it carries cookies.
    """
    if sites:
        if any(site.strip() != "same-origin" for site in sites):
            raise CsrfFailed
    elif came_from:
        if any(origin not in own for origin in came_from):
            raise CsrfFailed
    elif with_cookies:
        raise CsrfFailed("a request with cookies must say where it comes from: send Origin")
