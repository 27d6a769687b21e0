"""A blank is no password, name, token or key: it never fits somebody who has none of these."""

from pathlib import Path

import httpx
import pytest

from lastcall.http.endpoint import API
from lastcall.node import Node
from lastcall.server import create_app
from lastcall.settings import Settings
from lastcall.stores.base import LogEnd
from tests.http.cast import Cast, gather
from tests.http.conftest import Serve
from tests.http.serving import CHROME, Served, problem
from tests.support.fakes import FakeClock
from tests.support.nodes import EMAIL, PASSWORD

BLANKS = ("", " ", "null", "None", "undefined", "0", "\u200b")
OWN = {"Sec-Fetch-Site": "same-origin", "User-Agent": CHROME}


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    """Among others Carol, who has no password yet, and somebody who has no address."""
    return gather(tmp_path_factory.mktemp("cast"))


@pytest.fixture
async def scene(serve: Serve, cast: Cast, tmp_path: Path) -> Served:
    served = await serve(cast.settings(tmp_path / "db"))
    return served.at(create_app(served.settings, node=served.node))


@pytest.mark.parametrize("blank", BLANKS)
async def test_a_blank_is_nobody_s_password_and_nobody_s_address(scene: Served, blank: str) -> None:
    shown = [("carol@example.com", blank), (EMAIL, blank), (blank, PASSWORD), (blank, blank)]
    for email, password in shown:
        body = {"email": email, "password": password}
        response = await scene.client().post(f"{API}/sign-in", json=body)
        problem(response, 401, "invalid_credentials")
    assert isinstance(await scene.node.store.start_sign_in(""), LogEnd)


async def test_a_blank_name_finds_nobody_who_has_none(scene: Served, cast: Cast) -> None:
    """Neither for a service nor for an owner, and no session begins for it."""
    for caller in ("sessions", "owner"):
        client = scene.client({"Authorization": f"Bearer {cast.tokens[caller]}"})
        for blank in BLANKS:
            response = await client.get(f"{API}/users", params={"external_id": blank})
            assert (response.status_code, response.json()["users"]) == (200, [])
    service = scene.client({"Authorization": f"Bearer {cast.tokens['sessions']}"})
    for blank in ("", " "):
        body = {"user": {"external_id": blank}, "client": {"ip": None, "user_agent": None}}
        problem(await service.post(f"{API}/sessions", json=body), 422, "invalid_request")


async def test_two_without_an_address_are_two(scene: Served, cast: Cast) -> None:
    service = scene.client({"Authorization": f"Bearer {cast.tokens['sessions']}"})
    found = set()
    for external_id in ("x", "y"):
        for email in (None, ""):
            body = {
                "user": {"external_id": external_id, "email": email},
                "client": {"ip": None, "user_agent": None},
            }
            response = await service.post(f"{API}/sessions", json=body)
            assert response.status_code == 200, response.text
            found.add(response.json()["user"]["id"])
    assert len(found) == 2


async def test_a_blank_token_in_a_cookie_or_a_body_or_a_header_is_nobody_s(scene: Served) -> None:
    for blank in ("", " ", '""', "null"):
        for name in ("access", "refresh"):
            headers = {**OWN, "Cookie": f"lastcall-{name}={blank}"}
            for method, path in (("GET", "/session"), ("POST", "/refresh")):
                response = await scene.client(headers).request(method, API + path)
                assert response.status_code == 401, (name, path)
        body = {"refresh_token": blank}
        problem(await scene.client().post(f"{API}/refresh", json=body), 401, "token_invalid")
        for shown in (f"Bearer {blank}", f"Bearer lck_{blank}", f"Bearer lcr_{blank}"):
            response = await scene.client({"Authorization": shown}).get(f"{API}/session")
            assert response.status_code == 401, shown


async def test_a_blank_device_is_none(scene: Served) -> None:
    """Who shows it is given an id of their own, and is recognised by nothing."""
    given = set()
    for cookie in ("", "lastcall-device=", "lastcall-device= ", 'lastcall-device=""'):
        body = {"email": EMAIL, "password": PASSWORD, "client": "browser"}
        client = scene.client({**OWN, "Cookie": cookie})
        response = await client.post(f"{API}/sign-in", json=body)
        assert response.status_code == 200
        given.add(response.cookies["lastcall-device"])
    assert len(given) == 4


async def test_a_blank_link_opens_nothing(scene: Served, cast: Cast) -> None:
    """Also while somebody is invited by a good one."""
    owner = scene.client({"Authorization": f"Bearer {cast.tokens['owner']}"})
    carol = cast.places["invited"]
    assert (await owner.post(f"{API}/users/{carol}/invitation")).status_code == 201
    client = scene.client(OWN)
    for blank in BLANKS:
        shown = await client.get("/invitation", params={"token": blank})
        form = {"token": blank, "password": "a sentence of Carol's"}
        taken = await client.post("/invitation", data=form)
        assert (shown.status_code, taken.status_code) == (404, 404)


async def test_a_blank_link_sets_nothing_up(tmp_path: Path) -> None:
    """Also while a good one waits for whoever has it."""
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'new.db'}")
    node = await Node.open(settings, clock=FakeClock(), serving=True)
    assert await node.links.offer_setup() is not None
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(settings, node=node)),
        base_url=settings.public_url,
        headers=OWN,
    ) as client:
        for blank in BLANKS:
            form = {"organisation": "Evil", "email": "eve@example.com", "password": PASSWORD}
            shown = await client.get("/setup", params={"token": blank})
            taken = await client.post("/setup", data={**form, "token": blank})
            assert (shown.status_code, taken.status_code) == (404, 404)
    assert await node.store.list_accounts() == ()
    await node.close()
