"""An application beside a server, on one origin, in each framework."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import httpx
import pytest
from a2wsgi import WSGIMiddleware

from lastcall.node import Node
from lastcall.server import create_app
from lastcall.sessions.minting import Tokens
from lastcall.verifier.checking import Checker
from tests.integrations.applications import (
    on_django,
    on_fastapi,
    on_flask,
    on_litestar,
    on_starlette,
)
from tests.support.fakes import FakeClock
from tests.support.nodes import EMAIL, set_up, sign_in


def under_wsgi(make: Callable[[Checker], Any]) -> Callable[[Checker], Any]:
    """Serve WSGI from another thread than the server's."""
    return lambda verifier: WSGIMiddleware(make(verifier))


APPLICATIONS: Final[dict[str, Callable[[Checker], Any]]] = {
    "django": under_wsgi(on_django.make),
    "django-async": on_django.make_async,
    "fastapi": on_fastapi.make,
    "flask": under_wsgi(on_flask.make),
    "litestar": on_litestar.make,
    "starlette": on_starlette.make,
}
"""Makes the application of each framework, as ASGI, of which each has types of its own."""
NAVIGATION: Final = {
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-site": "same-origin",
    "accept": "text/html,application/xhtml+xml",
}
"""What a browser's window says of itself."""
ORIGIN: Final = "http://localhost:8000"


@dataclass(frozen=True)
class Site:
    """An application, and the server whose tokens it takes."""

    app: Any
    node: Node
    clock: FakeClock
    owner: Tokens
    verifier: Checker

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        bearer: str | None = None,
        cookies: str | None = None,
        more: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx.Response:
        """Ask the application."""
        given = [*headers.items(), *more]
        if bearer is not None:
            given.append(("authorization", f"Bearer {bearer}"))
        if cookies is not None:
            given.append(("cookie", cookies))
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await client.request(method, path, headers=given)

    async def navigate(self, path: str, cookies: str | None = None) -> httpx.Response:
        """Ask as a browser's window does."""
        return await self.ask(path, cookies=cookies, headers=NAVIGATION)

    async def sign_in(self, email: str = EMAIL) -> Tokens:
        """Begin a session."""
        return await sign_in(self.node, email)


def cookies(tokens: Tokens, *more: str) -> str:
    """The cookies that a browser holds."""
    own = (f"lastcall-access={tokens.access_token}", f"lastcall-refresh={tokens.refresh_token}")
    return "; ".join([*own, *more])


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that a response is this problem (RFC 9457), and give it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    found: dict[str, Any] = response.json()
    assert (found["code"], found["status"]) == (code, status)
    return found


@pytest.fixture(params=sorted(APPLICATIONS))
async def site(request: pytest.FixtureRequest, node: Node, clock: FakeClock) -> Any:  # noqa: ANN401
    """An application in each framework, which verifies in the server's process."""
    owner = await set_up(node)
    server = create_app(node.settings, node=node)
    await server.open()
    await node.leases.require()
    yield Site(APPLICATIONS[request.param](server.verifier), node, clock, owner, server.verifier)
    await server.close()
