"""What a request says of a browser that signs in, for `lastcall.Sessions.start`."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from lastcall.credentials import LOOPBACK, cookie_name, cookie_values, require_own_site
from lastcall.device.model import HINT_HEADERS
from lastcall.integrations.core import Asked
from lastcall.remote.model import Client

_SCHEMES: Final = ("https", "http")


def client_in(asked: Asked, ip: str | None) -> Client:
    """Read it off a request that came from the application's own page.

    Raises CsrfFailed for one from another site, which would sign the user in as somebody else: the
    origin must be that of the Host header (ASVS 3.5.1).
    """
    own = frozenset(f"{kind}://{host}" for host in asked.headers("host") for kind in _SCHEMES)
    sites, origins = asked.headers("sec-fetch-site"), asked.headers("origin")
    require_own_site(sites, origins, own, with_cookies=False)
    return Client(
        ip=_address(ip),
        user_agent=_first(asked.headers("user-agent")),
        headers={name: value for name in HINT_HEADERS if (value := _first(asked.headers(name)))},
        device=_cookie(asked, "device"),
        refresh_token=_cookie(asked, "refresh"),
    )


def _first(values: Sequence[str]) -> str | None:
    return values[0] if values else None


def _address(text: str | None) -> str | None:
    """Give an address; None for what is none, as of a socket without."""
    try:
        return str(ip_address(text or ""))
    except ValueError:
        return None


def _cookie(asked: Asked, name: str) -> str | None:
    """Give a cookie's value. The unprefixed name, which other hosts can plant, counts on loopback
    alone. None for two of a name: somebody else has planted one of them."""
    local = all(_name(host) in LOOPBACK for host in asked.headers("host"))
    for secure in (True, False) if local else (True,):
        values = cookie_values(asked.cookies, cookie_name(name, secure=secure))
        if values:
            return values[0] if len(values) == 1 else None
    return None


def _name(host: str) -> str | None:
    """Give the name in a Host header, which may be anything."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
