"""Whatever `next` holds, and whatever page a browser says that it comes from: nobody is led to
another origin. What `/renew` does has tests of its own."""

import re
from urllib.parse import quote, unquote

import pytest

from lastcall.server import create_app
from tests.http.serving import Served
from tests.support.elsewhere import ELSEWHERE
from tests.support.nodes import EMAIL, PASSWORD

HOME = "/settings/sessions"
SITE = {"Sec-Fetch-Site": "same-origin"}
ADA = {"email": EMAIL, "password": PASSWORD}
FIELD = re.compile(r'name="next" value="([^"]*)"')


@pytest.fixture
def pages(served: Served) -> Served:
    """The whole server, pages and all."""
    return served.at(create_app(served.settings, node=served.node))


def sent(target: str) -> str:
    """Write a form's field: surrogates and control characters as well."""
    return quote(target, safe="", errors="surrogatepass")


async def test_sign_in_leads_home_and_its_form_keeps_no_way_elsewhere(pages: Served) -> None:
    signed_in, stranger = await pages.browser(), pages.client(SITE)
    for target in ELSEWHERE:
        query = f"/sign-in?next={sent(target)}"
        assert (target, (await signed_in.get(query)).headers["location"]) == (target, HOME)
        assert (target, FIELD.findall((await stranger.get(query)).text)) == (target, [HOME])


async def test_a_form_that_signs_in_leads_home(pages: Served) -> None:
    for target in ELSEWHERE:
        form = f"email={sent(EMAIL)}&password={sent(PASSWORD)}&next={sent(target)}"
        headers = {**SITE, "Content-Type": "application/x-www-form-urlencoded"}
        answer = await pages.client(headers).post("/sign-in", content=form)
        assert (target, answer.status_code) == (target, 303)
        assert answer.headers["location"] == HOME


async def test_a_fresh_proof_leads_home_and_its_form_keeps_no_way_elsewhere(
    pages: Served,
) -> None:
    browser = await pages.browser()
    for target in ELSEWHERE:
        shown = await browser.get(f"/reauthenticate?next={sent(target)}")
        assert (target, FIELD.findall(shown.text)) == (target, [HOME])
        form = {"password": PASSWORD, "next": target}
        answer = await browser.post("/reauthenticate", data=form)
        assert (target, answer.headers["location"]) == (target, HOME)


@pytest.mark.parametrize(
    "referer", ["https://evil.example/", "http://localhost:8000//evil.example"]
)
async def test_a_form_that_comes_too_late_leads_back_to_its_own_page_not_to_where_it_came_from(
    pages: Served, referer: str
) -> None:
    browser = await pages.browser()
    pages.clock.advance(hours=25)
    for form in ("/settings/sessions/terminate-others", "/settings/security"):
        answer = await browser.post(form, data={}, headers={"Referer": referer})
        way, _, back = answer.headers["location"].partition("?next=")
        assert (way, unquote(back)) == ("/sign-in", form.removesuffix("/terminate-others"))


@pytest.mark.parametrize("user", ["%5cevil.example", "a%0d%0aX-Y:z", "%2e%2e%5c", "%00"])
async def test_a_page_that_asks_to_sign_in_first_is_come_back_to_only_by_a_clean_path(
    pages: Served, user: str
) -> None:
    """Part of a page's own path may be anybody's words."""
    answer = await pages.client({"Accept": "text/html"}).get(f"/account/users/{user}")
    assert answer.headers["location"] == f"/sign-in?next={HOME}"
