"""Where an application signs its users in by itself, people are sent there in place of the server's
own page (`LASTCALL_SIGN_IN_URL`)."""

import pytest

from lastcall.server import create_app
from lastcall.settings import Settings
from tests.http.conftest import Serve
from tests.http.serving import Served
from tests.support.elsewhere import ELSEWHERE
from tests.support.nodes import EMAIL, PASSWORD

NAVIGATION = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}


@pytest.fixture
async def pages(serve: Serve, database_url: str) -> Served:
    """A server with its pages, beside an application that has a sign-in of its own."""
    served = await serve(Settings(database_url=database_url, sign_in_url="/login"))
    return served.at(create_app(served.settings, node=served.node))


async def way(pages: Served, path: str, cookies: str | None = None) -> str:
    """Give where a browser's window is sent."""
    headers = {**NAVIGATION, **({"Cookie": cookies} if cookies else {})}
    response = await pages.client(headers).get(path)
    assert response.status_code == 303, response.text
    return response.headers["location"]


async def begun(pages: Served) -> tuple[str, str]:
    """Begin a session for a user of the application; gives its id, and the browser's cookies."""
    service = await pages.as_service("sessions")
    user, client = {"external_id": "7"}, {"ip": None, "user_agent": None}
    body = {"user": user, "client": client, "cookies": True}
    value = (await service.post("/api/v1/sessions", json=body)).json()
    cookies = "; ".join(f"{one['name']}={one['value']}" for one in value["cookies"])
    return value["session"]["id"], cookies


async def test_who_has_no_session_is_sent_to_the_application_and_may_come_back(
    pages: Served,
) -> None:
    there = "/login?next=%2Fsettings%2Fsecurity"
    assert await way(pages, "/sign-in?next=/settings/security") == there


async def test_whose_session_has_ended_is_told_the_application_why(pages: Served) -> None:
    session_id, cookies = await begun(pages)
    service = await pages.as_service("sessions")
    await service.delete(f"/api/v1/sessions/{session_id}")
    there = "/login?next=%2Fsettings%2Fsessions&reason=terminated_by_service"
    assert await way(pages, "/sign-in", cookies) == there


async def test_a_session_that_the_application_began_gives_its_fresh_proof_there(
    pages: Served,
) -> None:
    _, cookies = await begun(pages)
    there = "/login?next=%2Fsettings%2Fsecurity"
    assert await way(pages, "/reauthenticate?next=/settings/security", cookies) == there


async def test_who_has_a_password_here_can_sign_in_and_give_a_proof_here(pages: Served) -> None:
    page = await pages.client(NAVIGATION).get("/sign-in?here=true&next=/account/users")
    assert page.status_code == 200
    assert 'name="next" value="/account/users"' in page.text
    browser = await pages.browser()
    assert (await browser.get("/reauthenticate")).status_code == 200
    form = {"email": EMAIL, "password": PASSWORD, "next": "/account/users"}
    answer = await pages.client(NAVIGATION).post("/sign-in", data=form)
    assert answer.headers["location"] == "/account/users"


async def test_the_application_is_told_no_way_to_another_origin(pages: Served) -> None:
    for target in ELSEWHERE:
        client = pages.client(NAVIGATION)
        response = await client.get("/sign-in", params={"next": target.encode("utf-8", "replace")})
        there = response.headers["location"]
        assert (target, there) == (target, "/login?next=%2Fsettings%2Fsessions")


async def test_signing_out_ends_the_session_and_leads_there_by_way_of_the_sign_in_page(
    pages: Served,
) -> None:
    session_id, cookies = await begun(pages)
    client = pages.client({**NAVIGATION, "Cookie": cookies})
    answer = await client.post("/sign-out")
    assert answer.headers["location"] == "/sign-in"
    user = await pages.node.store.find_external_user(pages.account.id, "7")
    assert user is not None
    assert await pages.node.sessions.count(user.id) == 0, session_id
