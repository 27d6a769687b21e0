"""The headers of every answer of every route, good or bad (ASVS 3.4.1 to 3.4.8, 4.1.1, 14.3.2).

Routes come from the declarations that the server itself is made of: none can be forgotten.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from lastcall.errors import RateLimited, Unavailable
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE
from lastcall.http.well_known import JWKS, METADATA
from lastcall.server import ENDPOINTS, create_app
from lastcall.settings import Settings
from lastcall.web import static
from tests.http.cast import Cast, gather
from tests.http.conftest import Serve
from tests.http.serving import NOON, Served
from tests.support.fakes import FakeClock
from tests.support.nodes import DATABASE, PASSWORD

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}
PUBLIC = {"/static/{version}/{name}", "/lastcall.js", JWKS, METADATA}
"""What says nothing of anybody, and may be kept."""
METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "MADEUP")
KINDS = {200, 201, 204, 303, 400, 401, 403, 404, 405, 413, 415, 422, 429, 500, 503}
"""The statuses that the walk must have met."""
FORM = "application/x-www-form-urlencoded"
BODIES: Sequence[dict[str, Any]] = (
    {},
    {"content": b"{", "headers": {"Content-Type": "application/json"}},
    {"json": {"email": "ada@example.com", "password": PASSWORD, "client": "browser"}},
    {"content": b"a=b", "headers": {"Content-Type": "text/plain"}},
    {"content": b"email=new@example.com&token=x", "headers": {"Content-Type": FORM}},
    {"content": b"x" * 70_000, "headers": {"Content-Type": FORM}},
)


def failing(error: Callable[[], Exception], name: str) -> Iterator[AnyEndpoint]:
    """Declare a call and a page that fail."""

    async def fail(_call: Call[None, None, None]) -> Response:
        raise error()

    for page in (False, True):
        path = f"/{'page' if page else 'call'}/{name}"
        yield Endpoint(
            method="GET", path=path, caller=ANYONE, handler=fail, summary="Fails", page=page
        )


BROKEN = [
    *failing(lambda: ValueError("a secret"), "broken"),
    *failing(lambda: RateLimited(7), "often"),
    *failing(lambda: Unavailable("gone"), "gone"),
]


def assert_careful(answer: httpx.Response, path: str) -> None:
    """Hold what every answer has, and what follows from what it is."""
    where = f"{answer.request.method} {path}: {answer.status_code}"
    for name, value in EVERYWHERE.items():
        assert answer.headers.get_list(name) == [value], (where, name)
    keeps = path in PUBLIC and answer.status_code == 200
    assert (answer.headers.get_list("cache-control") == ["no-store"]) != keeps, where
    kind = answer.headers.get("content-type", "")
    if answer.content:
        assert kind, where
    if kind.startswith("text/") or "xml" in kind:
        # JSON is UTF-8 by its definition and has no such parameter (RFC 8259, section 11).
        assert "; charset=utf-8" in kind, where
    if kind.startswith("text/html"):
        assert answer.headers["vary"] == "accept-language", where
    assert not any(name.startswith("access-control") for name in answer.headers), where
    assert not {"server", "x-powered-by"} & set(answer.headers), where
    lines = answer.headers.get_list("set-cookie")
    forgets = any("-access=;" in line and "Max-Age=0" in line for line in lines)
    assert forgets == ("clear-site-data" in answer.headers), where
    for line in lines:
        assert line.startswith("__Host-lastcall-"), where
        assert line.endswith("; HttpOnly; SameSite=Lax; Secure"), where


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return gather(tmp_path_factory.mktemp("cast"))


@pytest.fixture
async def everything(serve: Serve, cast: Cast, tmp_path: Path) -> Served:
    """The server behind TLS with all of its routes, and some that fail."""
    cast.settings(tmp_path / "node")
    url = f"sqlite:///{tmp_path / 'node' / DATABASE}"
    served = await serve(Settings(database_url=url, public_url="https://id.example.com"))
    app = create_app(served.settings, node=served.node, endpoints=[*ENDPOINTS, *BROKEN])
    served.node.live.stop()  # streams without an end
    return served.at(app)


async def callers(served: Served) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """Give who may ask, each with how many of the bodies they send: a browser and a program that
    are signed in; nobody, garbage, another site, a service."""
    html = {"Accept": "text/html"}
    browser = await served.browser()
    browser.headers.update({"Sec-Fetch-Mode": "navigate", **html})
    yield browser, len(BODIES)
    yield served.client((await served.native()).auth), len(BODIES)
    yield served.client({"Sec-Fetch-Site": "same-origin", **html}), 3
    yield served.client({"Authorization": "Bearer x.y.z"}), 1
    yield served.client({"Sec-Fetch-Site": "cross-site", "Cookie": "__Host-lastcall-access=x"}), 1
    yield await served.as_service("verify", "metrics"), 1


async def test_every_answer_of_every_route_is_careful(everything: Served, cast: Cast) -> None:
    """Whoever asks, however, for whatever: each answer has all headers once, only public files may
    be kept, texts say their charset, and a browser that is signed out is told to clear away what
    pages have stored."""
    paths = {one.path for one in (*ENDPOINTS, *BROKEN)}
    met: set[int] = set()
    cleared: set[str] = set()
    for path in sorted(paths | {"/nowhere", "/api/v1/nowhere", "/static", "//", "/a%00b"}):
        place = path.replace("{id}", cast.places["user"])
        async for client, several in callers(everything):
            for method in METHODS:
                for body in BODIES[: several if method == "POST" else 1]:
                    answer = await client.request(method, place, **body)
                    assert_careful(answer, path)
                    met.add(answer.status_code)
                    if "clear-site-data" in answer.headers:
                        cleared.add(path)
    assert met >= KINDS
    assert cleared == {"/sign-out", "/api/v1/sign-out"}


async def test_each_file_of_the_pages_is_as_careful_and_may_be_kept(everything: Served) -> None:
    files = list(static._FILES)  # noqa: SLF001  all there are
    assert {"app.css", "app.js", "icon.svg"} <= set(files)
    for name in files:
        for method in ("GET", "HEAD"):
            answer = await everything.client().request(method, static.address(name))
            assert_careful(answer, "/static/{version}/{name}")
            assert "set-cookie" not in answer.headers
            assert answer.status_code == 200
            assert answer.headers["content-type"].endswith("; charset=utf-8")
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_a_server_that_can_not_start_says_so_as_carefully(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path}/nowhere/x.db", public_url="https://id.example.com"
    )
    app = create_app(settings, clock=FakeClock(NOON))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=settings.public_url) as client:
        for path in ("/", "/api/v1/session", "/healthz", "/static/x/app.css"):
            answer = await client.get(path, headers={"Accept": "text/html"})
            assert answer.status_code == 503
            assert_careful(answer, path)
