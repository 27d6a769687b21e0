"""No answer depends on what a request says of its host, its scheme or its path: the public URL
makes every link, and redirects name no host (`docs/decisions/0018-host-header.md`)."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_network
from itertools import product
from pathlib import Path

import httpx
import pytest

from lastcall.server import ENDPOINTS, create_app
from tests.http.cast import Cast, gather
from tests.http.conftest import Serve
from tests.http.serving import Served

PUBLIC = "https://id.example.com"
EVIL = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "X-Original-Host": "evil.example",
    "X-Host": "evil.example",
    "X-HTTP-Host-Override": "evil.example",
    "Forwarded": "host=evil.example;proto=http",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Scheme": "http",
    "X-Forwarded-Ssl": "off",
    "Front-End-Https": "off",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "//evil.example",
    "X-Script-Name": "//evil.example",
    "X-Original-URL": "//evil.example/",
    "X-Rewrite-URL": "//evil.example/",
    "Referer": "https://evil.example/",
}
BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
NOT_COMPARED = {
    "/metrics",  # for this machine by a loopback name only; its answers count themselves
    "/live",  # never ends; see below
    "/account/audit/export",  # the next one has the record of the one before
    "/settings/activity/export",
}
FORMS = {
    "/account/users/add": {"email": "new@example.com"},
    "/account/users/{id}/change": {"name": "Robert"},
    "/sign-in": {"email": "ada@example.com", "password": "correct horse battery"},
}


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return gather(tmp_path_factory.mktemp("cast"))


@pytest.fixture
async def served(serve: Serve, cast: Cast, tmp_path: Path) -> Served:
    """The whole server, pages and all. Its peer is a proxy that it trusts: nobody is believed more
    than that."""
    own = cast.settings(tmp_path / "copy")
    trusted = (ip_network("127.0.0.1"),)
    served = await serve(replace(own, public_url=PUBLIC, trusted_proxies=trusted))
    return served.at(create_app(served.settings, node=served.node))


@pytest.fixture
def client(served: Served, cast: Cast) -> Callable[[str], httpx.AsyncClient]:
    """Gives a caller's client, with their token in a cookie."""

    def make(caller: str) -> httpx.AsyncClient:
        client = served.client(BROWSER)
        if token := cast.tokens[caller]:
            client.cookies.set("__Host-lastcall-access", token)
        return client

    return make


def addresses(path: str, cast: Cast) -> Iterable[str]:
    """Give a route's path with each of what may stand in it."""
    if "{" not in path:
        return [path]
    before, _, after = path.partition("{")
    return [before + value + after.partition("}")[2] for value in cast.places.values()]


GET = sorted(
    {one.path for one in ENDPOINTS if one.method == "GET"} - NOT_COMPARED | {"/nowhere", "//x", ""}
)


@pytest.mark.parametrize("caller", ["nobody", "ended", "owner"])
async def test_every_answer_is_the_same_byte_for_byte(
    client: Callable[[str], httpx.AsyncClient], cast: Cast, caller: str
) -> None:
    asks = client(caller)
    for path in GET:
        for address, query in product(addresses(path, cast), ("", "?next=/a/b")):
            plain = await asks.get(address + query)
            misled = await asks.get(address + query, headers=EVIL)
            assert misled.status_code == plain.status_code
            assert misled.headers.multi_items() == plain.headers.multi_items()
            assert misled.content == plain.content
            assert plain.headers.get("location", "/x").startswith("/")


async def test_an_open_page_s_stream_is_answered_the_same(
    client: Callable[[str], httpx.AsyncClient],
) -> None:
    asks = client("owner")
    plain, misled = await asks.head("/live"), await asks.head("/live", headers=EVIL)
    assert (plain.status_code, plain.headers) == (misled.status_code, misled.headers)


@pytest.mark.parametrize("caller", ["nobody", "owner"])
async def test_whatever_is_done_no_answer_repeats_the_host_that_was_claimed(
    client: Callable[[str], httpx.AsyncClient], cast: Cast, caller: str
) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.path in (*GET, "/live") and endpoint.method == "GET":
            continue
        for address in addresses(endpoint.path, cast):
            asks = client(caller)
            form = FORMS.get(endpoint.path, {}) if endpoint.page else None
            answer = await asks.request(endpoint.method, address, data=form, headers=EVIL)
            assert b"evil" not in answer.content
            assert "evil" not in str(answer.headers)
            assert answer.headers.get("location", "/x").startswith("/")
            assert all("; Secure" in line for line in answer.headers.get_list("set-cookie"))


async def test_an_invitation_leads_to_the_public_url(
    client: Callable[[str], httpx.AsyncClient],
) -> None:
    owner = client("owner")
    added = await owner.post("/api/v1/users", json={"email": "x@example.com"}, headers=EVIL)
    assert added.json()["invitation"]["url"].startswith(f"{PUBLIC}/invitation?token=")
    again = await owner.post(f"/api/v1/users/{added.json()['id']}/invitation", headers=EVIL)
    assert again.json()["url"].startswith(f"{PUBLIC}/invitation?token=")
    page = await owner.post("/account/users/add", data={"email": "y@example.com"}, headers=EVIL)
    assert f"{PUBLIC}/invitation?token=" in page.text
