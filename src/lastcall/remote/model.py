"""What an application says of a client that signs in, and what it is given for it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """On what a user signs in, as the application saw it: what people find in the list of their
    sessions. A browser is given cookies, a native client tokens. `headers` are those of the request
    (the client hints are kept), `device` is the device cookie's value, and `refresh_token` that of
    the session which the browser held until now, and which ends."""

    type: Literal["browser", "native"] = "browser"
    ip: str | None = None
    user_agent: str | None = None
    headers: Mapping[str, str] = {}
    device: str | None = None
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"<Client {self.type} {self.ip}>"


class Cookie(msgspec.Struct, frozen=True, kw_only=True):
    """A cookie to set as it stands; without `max_age` (seconds) for as long as the browser runs."""

    name: str
    value: str
    max_age: int | None
    path: str
    secure: bool

    def __repr__(self) -> str:
        return f"<Cookie {self.name}>"


class SetsCookies(Protocol):
    """A response of Starlette, FastAPI, Litestar, Django or Flask."""

    @property
    def set_cookie(self) -> Callable[..., Any]:
        """Set a cookie, with the names that all of them share."""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has begun: its id, whose it is, and what to hand to the client: cookies to a
    browser, else both tokens. Lengths of time are in seconds."""

    session_id: str
    user_id: str
    expires_in: int
    refresh_expires_in: int
    cookies: tuple[Cookie, ...] = ()
    access_token: str | None = None
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"<Started {self.session_id}>"

    def set_cookies(self, response: SetsCookies) -> None:
        """Set the cookies on a response of the application, which shares the server's origin."""
        for one in self.cookies:
            response.set_cookie(
                one.name,
                one.value,
                max_age=one.max_age,
                path=one.path,
                secure=one.secure,
                httponly=True,
                samesite="lax",
            )


class Termination(msgspec.Struct, frozen=True):
    """How many sessions were ended, and whether every service has confirmed it; if not yet, in how
    many seconds at the latest none accepts them any more."""

    id: str
    ended: int
    state: Literal["confirmed", "confirming"]
    certain_in: int | None

    @property
    def confirmed(self) -> bool:
        """Whether no service accepts any of them any more."""
        return self.state == "confirmed"
