"""FastAPI.

app.add_middleware(LastcallMiddleware, verifier=verifier)

@app.get("/me")
def me(session: CurrentSession) -> str:
    return session.user_id
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from lastcall.credentials import SCHEMES
from lastcall.integrations.starlette import LastcallMiddleware, client_of, visit
from lastcall.missing import needs
from lastcall.verifier.session import Session

with needs("FastAPI", "fastapi"):
    from fastapi import Depends
    from fastapi.openapi.models import APIKey, HTTPBearer
    from fastapi.openapi.models import SecurityBase as Model
    from fastapi.requests import HTTPConnection
    from fastapi.security.base import SecurityBase

__all__ = [
    "CurrentSession",
    "LastcallMiddleware",
    "OptionalSession",
    "client_of",
    "require",
    "visit",
]


class _Scheme(SecurityBase):
    """Tells OpenAPI how a session is shown. It reads nothing: the middleware has done that."""

    def __init__(self, name: str, model: Model) -> None:
        self.scheme_name = f"lastcall-{name}"
        self.model = model

    async def __call__(self) -> None:
        """Do nothing, for requests and WebSockets."""


_BEARER = Depends(_Scheme("bearer", HTTPBearer.model_validate(SCHEMES["bearer"])))
_COOKIE = Depends(_Scheme("cookie", APIKey.model_validate(SCHEMES["cookie"])))


def require(*roles: str, max_age: int | None = None) -> Callable[..., Awaitable[Session]]:
    """Give a dependency: the live session that asks, which has one of the roles, where any are
    named, and whose user has proved who they are at most `max_age` seconds ago.

    It raises what `Visit.require` raises; the middleware answers that.
    """

    async def session(
        connection: HTTPConnection,
        _bearer: Annotated[None, _BEARER],
        _cookie: Annotated[None, _COOKIE],
    ) -> Session:
        return visit(connection).require(*roles, max_age=max_age)

    return session


async def _optional(connection: HTTPConnection) -> Session | None:
    return visit(connection).session


CurrentSession = Annotated[Session, Depends(require())]
"""The live session that asks; who has none is refused."""
OptionalSession = Annotated[Session | None, Depends(_optional)]
"""The live session that asks, or None. The OpenAPI document says that none is needed."""
