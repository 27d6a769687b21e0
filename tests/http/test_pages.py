"""What the pages answer in the corners that no link leads to."""

from urllib.parse import quote

import pytest

from lastcall.errors import Conflict
from lastcall.server import create_app
from tests.http.serving import Served
from tests.support.nodes import PASSWORD

HOME = "/settings/sessions"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def pages(served: Served) -> Served:
    """The whole server, pages and all."""
    return served.at(create_app(served.settings, node=served.node))


async def test_somebody_elses_session_is_not_there_to_be_ended(pages: Served) -> None:
    await pages.add_user("grace@example.com")
    browser, other = await pages.browser(), await pages.native("grace@example.com")
    for session_id in (other.session_id, "s_c1_unknown"):
        response = await browser.get(f"{HOME}/terminate?session={session_id}")
        assert response.status_code == 404
        assert "text/html" in response.headers["content-type"]


async def test_ones_own_session_is_not_asked_about(pages: Served) -> None:
    browser = await pages.browser()
    own = (await browser.get("/api/v1/session")).json()["id"]
    response = await browser.get(f"{HOME}/terminate?session={own}")
    assert (response.status_code, response.headers["location"]) == (303, HOME)


async def test_without_others_there_is_nothing_to_ask(pages: Served) -> None:
    browser = await pages.browser()
    response = await browser.get(f"{HOME}/terminate-others")
    assert (response.status_code, response.headers["location"]) == (303, HOME)


async def test_ending_ones_own_session_by_its_form_is_a_sign_out(pages: Served) -> None:
    browser = await pages.browser()
    own = (await browser.get("/api/v1/session")).json()["id"]
    response = await browser.post(f"{HOME}/terminate", content=f"session_id={own}", headers=FORM)
    assert response.headers["location"].startswith("/sign-in")
    assert response.headers["clear-site-data"] == '"storage"'
    assert not browser.cookies.get("lastcall-access")


async def test_ending_others_when_there_are_none_says_so(pages: Served) -> None:
    browser = await pages.browser()
    response = await browser.post(f"{HOME}/terminate-others", content="", headers=FORM)
    page = await browser.get(response.headers["location"])
    assert "There was no other session to end." in page.text


async def test_a_form_without_any_session_leads_to_sign_in_and_back(pages: Served) -> None:
    client = pages.client({"Sec-Fetch-Site": "same-origin"})
    response = await client.post(f"{HOME}/terminate-others", content="", headers=FORM)
    assert response.headers["location"] == f"/sign-in?next={quote(HOME)}"


async def test_a_sign_in_that_an_ending_overtook_is_asked_for_again(
    pages: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overtaken(*_arguments: object) -> None:
        raise Conflict

    monkeypatch.setattr(pages.node.identity, "sign_in", overtaken)
    client = pages.client({"Sec-Fetch-Site": "same-origin"})
    form = f"email=ada%40example.com&password={quote(PASSWORD)}"
    response = await client.post("/sign-in", content=form, headers=FORM)
    assert response.status_code == 409
    assert "Sign in again" in response.text


async def test_a_page_says_405_as_a_page(pages: Served) -> None:
    response = await pages.client().request("DELETE", "/sign-in")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"
    assert "text/html" in response.headers["content-type"]
