"""The cookies: access, refresh, and the one that recognises a browser.

The scheme of the public URL decides which names are read, never a header; where that is https, the
unprefixed ones are ignored.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from lastcall import secretfile
from lastcall.clock import Entropy
from lastcall.credentials import cookie_line, cookie_name, cookie_values
from lastcall.digests import decode, digest, encode, same
from lastcall.errors import InvalidToken
from lastcall.sessions.minting import Tokens

Name = Literal["access", "refresh", "device", "renewed"]
_TOKENS: Final[tuple[Name, Name]] = ("access", "refresh")

DEVICE_LIFETIME: Final = timedelta(days=400)
"""The longest that browsers keep a cookie."""
_DEVICE_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class Cookie:
    """One to set: for so many seconds, or None for as long as the browser runs."""

    name: str
    value: str = field(repr=False)
    age: int | None


@dataclass(frozen=True, slots=True)
class Cookies:
    """Reads and writes the cookies of one server."""

    secure: bool

    def name(self, name: Name) -> str:
        """Give a cookie's full name."""
        return cookie_name(name, secure=self.secure)

    def read(self, request: Request, name: Name) -> str | None:
        """Give a cookie's value; None where there is none.

        Raises InvalidToken for two of one name: somebody else has planted one of them.
        """
        values = self._values(request, name)
        if len(values) > 1:
            raise InvalidToken
        return values[0] if values else None

    def has(self, request: Request, *names: Name) -> bool:
        """Tell whether the request carries one of these cookies, good or not."""
        headers = request.headers.getlist("cookie")
        return any(cookie_values(headers, self.name(name)) for name in names if headers)

    def of_tokens(self, tokens: Tokens) -> tuple[Cookie, Cookie]:
        """Give both tokens as cookies. Both live as long as the refresh token: the access token's
        own time is inside it. On a shared device they end with the browser."""
        shared = tokens.session.client.shared_device
        age = None if shared else int(tokens.refresh_expires_in.total_seconds())
        return (
            Cookie(self.name("access"), tokens.access_token, age),
            Cookie(self.name("refresh"), tokens.refresh_token, age),
        )

    def of_device(self, device: bytes, key: bytes) -> Cookie:
        """Give a browser its id, for 400 days from now."""
        value = encode(device + secretfile.mac(key, device))
        return Cookie(self.name("device"), value, int(DEVICE_LIFETIME.total_seconds()))

    def set_tokens(self, response: Response, tokens: Tokens) -> None:
        """Set both tokens as cookies."""
        self.set(response, *self.of_tokens(tokens))

    def set(self, response: Response, *cookies: Cookie) -> None:
        """Set cookies."""
        for one in cookies:
            line = cookie_line(one.name, one.value, age=one.age, secure=self.secure)
            response.raw_headers.append((b"set-cookie", line.encode("ascii")))

    def expire_tokens(self, response: Response) -> None:
        """Tell the browser to forget both tokens."""
        self.set(response, *(Cookie(self.name(name), "", 0) for name in _TOKENS))

    def device(self, request: Request, key: bytes) -> bytes | None:
        """Give the id of the browser, if this server once gave it one."""
        try:
            return device_in(self.read(request, "device") or "", key)
        except InvalidToken:
            return None

    def renewed(self, request: Request, target: str, now: datetime, within: timedelta) -> bool:
        """Tell whether the browser was sent back to this target a moment ago."""
        values = self._values(request, "renewed")
        mark, _, at = values[0].partition(".") if len(values) == 1 else ("", "", "")
        if mark != _mark(target) or not (at.isascii() and at.isdigit() and len(at) < 12):
            return False
        return abs(int(now.timestamp()) - int(at)) <= within.total_seconds()

    def set_renewed(
        self, response: Response, target: str, now: datetime, within: timedelta
    ) -> None:
        """Remember in the browser that it is being sent back to this target. Without a MAC: whoever
        forges it gets the sign-in page."""
        value = f"{_mark(target)}.{int(now.timestamp())}"
        age = int(within.total_seconds())
        self.set(response, Cookie(self.name("renewed"), value, age))

    def _values(self, request: Request, name: Name) -> list[str]:
        return cookie_values(request.headers.getlist("cookie"), self.name(name))


def new_device(entropy: Entropy) -> bytes:
    """Make an id for a browser."""
    return entropy(_DEVICE_SIZE)


def device_in(text: str, key: bytes) -> bytes | None:
    """Give the id in a device cookie's value, if this server once gave it out."""
    try:
        raw = decode(text[:128])
    except ValueError:
        return None
    device, given = raw[:_DEVICE_SIZE], raw[_DEVICE_SIZE:]
    return device if same(given, secretfile.mac(key, device)) else None


def device_hash(device: bytes) -> bytes:
    """Give what is kept of a browser's id."""
    return digest(device)


def _mark(target: str) -> str:
    return encode(digest(target.encode("utf-8"))[:12])
