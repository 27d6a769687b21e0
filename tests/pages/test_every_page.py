"""What holds for every page: readable by everybody, narrow or wide, and closed to other sites."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from starlette.responses import Response

from lastcall.http.endpoint import Call, Endpoint
from lastcall.http.guard import ANYONE
from lastcall.sessions.model import Client, SignIn
from tests.pages.conftest import Sit
from tests.pages.elsewhere import elsewhere
from tests.pages.people import PHONE, SESSIONS, WINDOWS, Person
from tests.pages.serving import EMAIL, PASSWORD, Running, serving
from tests.pages.tour import tour

AS_A_BROWSER = {
    "Accept": "text/html",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
}


@pytest.fixture
def both(site: Running, tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    """A site with sessions of every kind, and one without an account."""

    async def sign_in() -> None:
        unknown = "x" * 300 + "\u202e" + "Ω" * 90
        for agent, ip, name in (
            (WINDOWS.user_agent, WINDOWS.ip, None),
            (PHONE.user_agent, PHONE.ip, "Ada's " + "very " * 30 + "long telephone"),
            (unknown, "2001:db8:1234:5678:9abc:def0:1234:5678", "n" * 200),
            (None, None, None),
        ):
            seen = SignIn(agent, {}, ip)
            client = Client("native", name)
            await site.node.identity.sign_in(EMAIL, PASSWORD, client, seen)

    site.run(sign_in())
    folder = tmp_path / "empty"
    folder.mkdir()
    with serving(folder) as empty:
        yield site, empty


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_read_by_everybody_at_any_width(
    both: tuple[Running, Running], sit: Sit, scheme: Literal["light", "dark"]
) -> None:
    """One heading, a title of its own, no finding of axe, and nothing to scroll for sideways."""
    axe = Axe()

    def narrow(site: Running) -> Person:
        return sit(site, color_scheme=scheme, viewport={"width": 360, "height": 740})

    titles: dict[str, str] = {}
    for name, person in tour(*both, narrow, EMAIL, PASSWORD):
        titles[name] = person.page.title()
        assert person.page.locator("h1:visible").count() == 1, name
        assert person.page.locator("html[lang=en]").count() == 1, name
        for width in (360, 820, 1440):
            person.page.set_viewport_size({"width": width, "height": 900})
            overflow = "document.documentElement.scrollWidth - innerWidth"
            assert person.page.evaluate(overflow) <= 0, f"{name} scrolls sideways at {width} px"
            if width != 820:
                found = axe.run(person.page).response["violations"]
                bad = [(it["id"], [node["html"] for node in it["nodes"]]) for it in found]
                assert not bad, f"{name} at {width} px"
    assert len(titles) == 45
    assert len(set(titles.values())) == 25
    assert all(title.endswith(" · lastcall") and title[0] != " " for title in titles.values())


@pytest.mark.parametrize("path", ["/sign-in", SESSIONS, "/nowhere", "/setup?token=x"])
def test_a_page_is_kept_by_nobody_and_framed_by_nobody(site: Running, path: str) -> None:
    with httpx.Client(base_url=site.url, headers=AS_A_BROWSER) as client:
        answer = client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_files_may_be_kept_for_ever_under_the_address_of_their_content(
    site: Running, sit: Sit
) -> None:
    ada = sit(site)
    with ada.page.expect_response("**/app.css") as css:
        ada.goes_to("/sign-in")
    address = css.value.url.removeprefix(site.url)
    types = {"app.css": "text/css", "app.js": "text/javascript", "icon.svg": "image/svg+xml"}
    with httpx.Client(base_url=site.url) as client:
        hrefs = ada.page.eval_on_selector_all(
            "link[href], script[src]", "them => them.map(it => it.href || it.src)"
        )
        for href in hrefs:
            answer = client.get(href)
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["content-type"].startswith(types[href.rpartition("/")[2]])
        for wrong in (
            address.replace("app.css", "app.js"),
            "/static/x/app.css",
            "/static/app.css",
            "/static/..%2f..%2fpages.py/app.css",
            f"{address}/../../templates/base.html",
        ):
            assert client.get(wrong).status_code == 404, wrong


def test_under_a_path_every_address_is_below_it(tmp_path: Path, sit: Sit, javascript: bool) -> None:
    """Where the server shares its origin, the pages lead nowhere outside their own part of it."""
    with serving(tmp_path, path="/auth") as site:
        site.add_owner()
        sit(site, WINDOWS, java_script_enabled=javascript).signs_in()
        ada = sit(site, PHONE, java_script_enabled=javascript)
        ada.goes_to("/")
        ada.is_at("/sign-in")
        ada.signs_in()
        ada.is_at(SESSIONS)
        site.clock.advance(minutes=61)
        ada.goes_to(f"{SESSIONS}/terminate-others")
        ada.is_at("/reauthenticate")
        ada.page.get_by_role("textbox", name="Password").fill(PASSWORD)
        ada.page.get_by_role("button", name="Confirm").click()
        ada.is_at(f"{SESSIONS}/terminate-others")
        ada.page.locator("main").get_by_role("button", name="Terminate").click()
        expect(ada.page.locator("#result")).to_contain_text("1 session ended.")
        ada.page.get_by_role("row").get_by_role("button", name="Sign out").click()
        ada.is_at("/sign-in")


# What can't be done


async def _fail(_call: Call[None, None, None]) -> Response:
    raise ValueError("the word is swordfish")


BROKEN = Endpoint(
    method="GET", path="/broken", caller=ANYONE, handler=_fail, summary="Fails", page=True
)


def test_what_nobody_foresaw_is_a_page_that_says_nothing_of_itself(
    tmp_path: Path, sit: Sit
) -> None:
    with serving(tmp_path, BROKEN) as site:
        ada = sit(site)
        assert ada.goes_to("/broken") == 500
        expect(ada.page.get_by_role("heading", level=1)).to_have_text("Something went wrong")
        assert "swordfish" not in ada.page.content()
        assert "ValueError" not in ada.page.content()


def test_without_its_store_the_server_says_so_and_when_to_come_again(
    site: Running, sit: Sit
) -> None:
    ada = sit(site)
    ada.signs_in()
    site.run(site.node.store.close())
    assert ada.goes_to(SESSIONS) == 503
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("lastcall can't answer right now")
    expect(ada.page.get_by_role("link", name="Try again")).to_be_visible()
    expect(ada.page.locator("code")).to_have_text("unavailable")


def test_a_wrong_address_is_a_page_for_people_and_a_problem_for_programs(
    site: Running, sit: Sit
) -> None:
    assert sit(site).goes_to("/nowhere/at/all") == 404
    with httpx.Client(base_url=site.url, headers={"Accept": "application/json"}) as client:
        answer = client.get("/nowhere/at/all")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_that_no_page_has_sent_is_refused(site: Running) -> None:
    with httpx.Client(base_url=site.url, headers=AS_A_BROWSER) as client:
        right = {"email": EMAIL, "password": PASSWORD}
        assert client.post("/sign-in", json=right).status_code == 415
        assert client.post("/sign-in", data={"email": "x" * 70_000}).status_code == 413
        assert client.post("/sign-in", files={"email": b"x"}).status_code == 415
        assert client.post("/sign-in", data={}).status_code == 401
        assert not client.cookies
        answer = client.post("/sign-in", data={**right, "unknown": "field"})
    assert answer.status_code == 303


# Other sites


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (f"{SESSIONS}/terminate-others", {}),
        ("/sign-out", {}),
        ("/sign-in", {"email": "eve@example.com", "password": PASSWORD}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_form_of_another_site_changes_nothing(
    site: Running, sit: Sit, host: str, path: str, fields: dict[str, str]
) -> None:
    """Another port of the same host is the same site to a browser's cookies, and still elsewhere;
    signing somebody in as somebody else is refused as well."""

    async def add_eve() -> None:
        owner = await site.node.identity.find_by_email(EMAIL)
        await site.node.identity.add_user(owner.account_id, "eve@example.com", password=PASSWORD)

    site.run(add_eve())
    sit(site, WINDOWS).signs_in()
    ada = sit(site)
    ada.signs_in()
    before = ada.cookies()
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    form = f'<form method="post" action="{site.url}{path}">{inputs}<button>Win</button></form>'
    with elsewhere(host, form) as url:
        ada.page.goto(url)
        with ada.page.expect_response(f"{site.url}{path}") as answer:
            ada.page.get_by_role("button").click()
        ada.strangers.clear()
    assert answer.value.status == 403
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("That came from another site")
    after = ada.cookies()
    assert after["lastcall-refresh"]["value"] == before["lastcall-refresh"]["value"]
    ada.goes_to(SESSIONS)
    ada.has_rows(2)
    expect(ada.page.locator(".profile .who")).to_contain_text(EMAIL)


def test_another_site_can_show_no_page_in_a_frame(site: Running, sit: Sit) -> None:
    ada = sit(site)
    ada.signs_in()
    with elsewhere("localhost", f'<iframe src="{site.url}{SESSIONS}"></iframe>') as url:
        ada.page.goto(url)
        framed = ada.page.frames[1]
        framed.wait_for_load_state()
        assert framed.get_by_text("Your session").count() == 0
        assert any("frame-ancestors" in complaint for complaint in ada.complaints)
        ada.strangers.clear()
        ada.complaints.clear()
