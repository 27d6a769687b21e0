"""An application that signs its users in by itself, in each framework: it begins their sessions,
and sets the server's cookies on its own responses."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from lastcall.errors import SessionEnded
from lastcall.integrations.signing_in import client_in
from lastcall.integrations.starlette import asked_by
from lastcall.node import Node
from lastcall.server import create_app
from lastcall.sessions.model import Session
from lastcall.verifier.checking import Checker
from tests.integrations.applications.signing_in import FRAMEWORKS, USER
from tests.support.nodes import set_up

ORIGIN = "http://localhost:8000"
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
OWN = {"Sec-Fetch-Site": "same-origin", "User-Agent": CHROME, "Sec-CH-UA-Platform": '"Windows"'}


@dataclass(frozen=True)
class Shop:
    """An application, and the server that it has mounted."""

    app: Any
    node: Node
    verifier: Checker

    async def begin(
        self, headers: dict[str, str], *more: str, ip: str = "81.2.69.142"
    ) -> httpx.Response:
        """Sign in, with these cookies."""
        given = [*headers.items(), *([("Cookie", "; ".join(more))] if more else [])]
        transport = httpx.ASGITransport(self.app, client=(ip, 50000))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await client.post("/begin", headers=given)

    async def sessions(self) -> tuple[Session, ...]:
        """The user's active sessions."""
        account, *_ = await self.node.store.list_accounts()
        user = await self.node.store.find_external_user(account.id, USER)
        if user is None:
            return ()
        return (await self.node.sessions.list(user.id, "active")).sessions


@pytest.fixture(params=sorted(FRAMEWORKS))
async def shop(request: pytest.FixtureRequest, node: Node) -> AsyncIterator[Shop]:
    """The application in each framework."""
    await set_up(node)
    server = create_app(node.settings, node=node)
    await server.open()
    app = FRAMEWORKS[request.param](server.verifier, server.sessions())
    yield Shop(app, node, server.verifier)
    await server.close()


def lines_of(response: httpx.Response) -> list[str]:
    """The cookies that a response sets."""
    return [line.strip() for line in response.headers.get_list("set-cookie")]


def cookies_of(response: httpx.Response) -> dict[str, str]:
    """Do the same, by name."""
    morsels = [line.partition(";")[0].partition("=") for line in lines_of(response)]
    return {name: value for name, _, value in morsels}


async def test_the_browser_holds_a_session_that_tells_what_it_is(shop: Shop) -> None:
    response = await shop.begin(OWN)
    assert response.status_code == 200, response.text
    session = await shop.verifier.averify(cookies_of(response)["lastcall-access"])
    assert (session.external_id, session.roles) == (USER, ("member",))
    [listed] = await shop.sessions()
    assert (listed.id, listed.ip) == (session.id, "81.2.69.142")
    assert listed.device.label == "Chrome on Windows"
    assert listed.client.type == "browser"


async def test_the_cookies_are_set_as_the_server_itself_sets_them(shop: Shop) -> None:
    response = await shop.begin(OWN)
    for name, age in (("access", 86400), ("refresh", 86400), ("device", 400 * 86400)):
        [line] = [line for line in lines_of(response) if line.startswith(f"lastcall-{name}=")]
        [morsel] = SimpleCookie(line).values()
        assert (morsel["max-age"], morsel["path"]) == (str(age), "/")
        assert morsel["httponly"]
        assert morsel["samesite"].lower() == "lax"
        assert (morsel["secure"], morsel["domain"]) == ("", "")


async def test_another_sites_form_signs_nobody_in(shop: Shop) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8001"},
    ):
        response = await shop.begin(headers)
        assert (headers, response.status_code) == (headers, 403)
        assert response.json()["code"] == "csrf_failed"
        assert "set-cookie" not in response.headers
    assert await shop.sessions() == ()


async def test_an_older_browser_is_taken_by_its_origin_and_a_script_needs_none(shop: Shop) -> None:
    assert (await shop.begin({"Origin": ORIGIN})).status_code == 200
    assert (await shop.begin({})).status_code == 200


async def test_the_session_that_the_browser_held_ends_and_the_browser_is_known_again(
    shop: Shop,
) -> None:
    first = cookies_of(await shop.begin(OWN))
    held = [f"{name}={value}" for name, value in first.items()]
    second = cookies_of(await shop.begin(OWN, *held))
    assert second["lastcall-device"] == first["lastcall-device"]
    with pytest.raises(SessionEnded):
        await shop.verifier.averify(first["lastcall-access"])
    assert len(await shop.sessions()) == 1


async def test_what_somebody_planted_beside_a_cookie_counts_for_nothing(shop: Shop) -> None:
    first = cookies_of(await shop.begin(OWN))
    held = [f"{name}={value}" for name, value in first.items()]
    planted = ["lastcall-refresh=x", "lastcall-device=x"]
    assert (await shop.begin(OWN, *held, *planted)).status_code == 200
    assert len(await shop.sessions()) == 2


async def test_an_address_that_is_none_is_left_out(shop: Shop) -> None:
    assert (await shop.begin(OWN, ip="testclient")).status_code == 200
    [listed] = await shop.sessions()
    assert listed.ip is None


def test_beyond_loopback_only_cookies_count_that_no_other_host_can_plant() -> None:
    def seen(host: str, *cookies: str) -> tuple[str | None, str | None]:
        given = [(b"host", host.encode()), (b"cookie", "; ".join(cookies).encode())]
        scope = {"type": "http", "method": "POST", "headers": given}
        client = client_in(asked_by(scope), None)
        return client.refresh_token, client.device

    planted = ("lastcall-refresh=r", "lastcall-device=d")
    own = ("__Host-lastcall-refresh=R", "__Host-lastcall-device=D")
    assert seen("shop.example.com", *planted) == (None, None)
    assert seen("shop.example.com:8443", *planted, *own) == ("R", "D")
    assert seen("localhost:8000", *planted) == ("r", "d")
    assert seen("[::1]:8000", *planted) == ("r", "d")
    assert seen("[", *planted, *own) == ("R", "D")
