"""Pages that are open while something happens: they show it, and nobody has to reload them."""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from lastcall.events import Actor
from lastcall.identity.administration import Admin
from tests.pages.conftest import Sit
from tests.pages.people import MAC, PHONE, SESSIONS, WINDOWS, Person
from tests.pages.serving import Running, serving
from tests.pages.test_users import GRACE, USERS, add, signed_in
from tests.support import servers

HIDE = """
Object.defineProperty(document, "hidden", {get: () => window.away === true});
window.look = (away) => {
  window.away = away;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


def listens(site: Running, streams: int = 1) -> None:
    """Wait until so many streams are open, which is a moment after the page is shown."""

    async def wait() -> None:
        async with asyncio.timeout(10):
            while site.node.live.streams != streams:  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0.02)

    site.run(wait())


def watching(site: Running, sit: Sit, path: str = SESSIONS, **more: object) -> Person:
    """Sit down as Ada, the owner, with a page open that listens."""
    ada = signed_in(site, sit, **more)
    if path != SESSIONS:
        ada.goes_to(path)
    listens(site)
    stays(ada.page)
    return ada


def stays(page: Page) -> None:
    """Mark the page that is open now."""
    page.evaluate("window.opened = true")


def stayed(page: Page) -> bool:
    """Tell whether it is still the page that was marked, never loaded anew."""
    return bool(page.evaluate("window.opened === true"))


def test_a_session_that_appears_or_ends_elsewhere_shows_without_a_reload(
    site: Running, sit: Sit
) -> None:
    ada = watching(site, sit)
    expect(ada.page.get_by_text("This is your only session.")).to_be_visible()
    other = sit(site, WINDOWS)
    other.signs_in()
    ada.has_rows(2)
    assert "Windows" in ada.rows[1]
    assert "UTC" not in ada.rows[1], "times are the reader's own in what came later, too"
    expect(ada.page.get_by_role("link", name="Terminate sessions")).to_be_visible()
    expect(ada.page.get_by_role("status")).to_have_text("What this page shows has changed.")
    other.page.get_by_role("button", name="Sign out").click()
    ada.has_rows(1)
    expect(ada.page.get_by_role("link", name="Terminate sessions")).to_have_count(0)
    assert stayed(ada.page)


def test_a_session_that_moves_shows_where_it_is_now(site: Running, sit: Sit) -> None:
    ada = watching(site, sit)
    phone = sit(site, PHONE)
    phone.signs_in()
    ada.has_rows(2)
    refresh = phone.cookies()["lastcall-refresh"]["value"]
    site.run(site.node.sessions.refresh(refresh, "80.128.10.20"))
    expect(ada.page.locator("tbody tr").nth(1)).to_contain_text("80.128.10.20")
    expect(ada.page.locator("tbody tr").nth(1)).to_contain_text("Germany")
    assert stayed(ada.page)


def test_what_arrived_later_can_be_ended_like_the_rest(site: Running, sit: Sit) -> None:
    ada = watching(site, sit)
    other = sit(site, WINDOWS)
    other.signs_in()
    row = ada.page.get_by_role("row", name="Windows")
    row.get_by_role("link", name="Terminate session").click()
    dialog = ada.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Terminate session").click()
    expect(ada.page.locator("#result")).to_contain_text("1 session ended")
    other.is_at("/sign-in")
    expect(other.page.locator("#ended")).to_contain_text("terminated from Safari on macOS")


def test_whom_an_admin_logs_out_is_told_so_in_every_open_tab(site: Running, sit: Sit) -> None:
    """The admin's own page shows it as well."""
    grace = add(site, GRACE, name="Grace Hopper")
    laptop, phone = sit(site, WINDOWS), sit(site, PHONE)
    for browser in (laptop, phone):
        browser.signs_in(GRACE)
    second = laptop.page.context.new_page()
    second.goto(f"{site.url}/settings/activity")
    ada = signed_in(site, sit)
    ada.goes_to(f"{USERS}/{grace.id}")
    ada.has_rows(2)
    listens(site, 3)
    ada.goes_to(f"{USERS}/{grace.id}/logout")
    ada.page.get_by_role("button", name="Log out everywhere").click()
    for page, back in (
        (laptop.page, SESSIONS),
        (second, "/settings/activity"),
        (phone.page, SESSIONS),
    ):
        expect(page).to_have_url(f"{site.url}/sign-in?next={back}")
        expect(page.locator("#ended")).to_contain_text("You were signed out by an administrator")
        expect(page.locator("#ended")).to_contain_text("Ada Lovelace")


def test_whom_the_command_line_logs_out_is_told_so(site: Running, sit: Sit) -> None:
    ada = watching(site, sit)
    servers.run(site.folder, "user", "logout", "ada@example.com")
    ada.is_at("/sign-in")
    expect(ada.page.locator("#ended")).to_contain_text("You were signed out by an administrator")


def test_a_session_that_runs_out_leads_to_the_sign_in_page_which_says_so(
    site: Running, sit: Sit
) -> None:
    ada = watching(site, sit)
    site.clock.advance(hours=24)
    ada.is_at("/sign-in")
    expect(ada.page.locator("#ended")).to_contain_text("24 hours")


def test_four_tabs_share_one_stream_and_go_on_when_the_one_that_holds_it_closes(
    site: Running, sit: Sit
) -> None:
    ada = watching(site, sit)
    tabs = [ada.page.context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(site.url + SESSIONS)
    listens(site, 1)
    sit(site, WINDOWS).signs_in()
    for tab in (ada.page, *tabs):
        expect(tab.locator("tbody tr")).to_have_count(2)
    listens(site, 2)  # the other browser has one of its own
    ada.page.close()
    sit(site, PHONE).signs_in()
    for tab in tabs:
        expect(tab.locator("tbody tr")).to_have_count(3)
    listens(site, 3)


def test_signing_out_in_one_tab_takes_the_others_along(site: Running, sit: Sit) -> None:
    ada = watching(site, sit)
    other = ada.page.context.new_page()
    other.goto(f"{site.url}/settings/security")
    ada.page.get_by_role("button", name="Sign out").first.click()
    ada.is_at("/sign-in")
    expect(other).to_have_url(re.compile("/sign-in"))
    expect(other.locator("#ended")).to_have_count(0)
    listens(site, 0)


def test_signing_in_as_another_in_one_tab_brings_the_others_to_them(
    site: Running, sit: Sit
) -> None:
    add(site, GRACE, name="Grace Hopper")
    ada = watching(site, sit)
    other = ada.page.context.new_page()
    other.goto(f"{site.url}/sign-in")
    expect(other).to_have_url(re.compile(SESSIONS))
    body = {"email": GRACE, "password": "correct horse battery", "client": "browser"}
    other.evaluate(
        """(body) => fetch("/api/v1/sign-in", {method: "POST", body: JSON.stringify(body),
        headers: {"content-type": "application/json"}})""",
        body,
    )
    for page in (ada.page, other):
        expect(page.locator(".profile .name")).to_have_text("Grace Hopper")


def test_a_question_that_is_open_is_not_disturbed(site: Running, sit: Sit) -> None:
    ada = watching(site, sit)
    sit(site, WINDOWS).signs_in()
    ada.has_rows(2)
    ada.page.get_by_role("link", name="Terminate session", exact=False).last.click()
    dialog = ada.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    undisturbed = ada.page.context.new_page()
    undisturbed.goto(site.url + SESSIONS)
    sit(site, PHONE).signs_in()
    expect(undisturbed.locator("tbody tr")).to_have_count(3)
    expect(dialog).to_be_visible()
    assert ada.page.locator("tbody tr").count() == 2
    dialog.get_by_role("button", name="Cancel").click()
    ada.has_rows(3)


def test_the_keyboard_s_place_is_kept(site: Running, sit: Sit) -> None:
    ada = watching(site, sit)
    sit(site, WINDOWS).signs_in()
    ada.has_rows(2)
    link = ada.page.get_by_role("row", name="Windows").get_by_role("link", name="Terminate session")
    link.focus()
    sit(site, PHONE).signs_in()
    ada.has_rows(3)
    expect(link).to_be_focused()


def test_a_tab_that_nobody_looks_at_asks_once_somebody_does(site: Running, sit: Sit) -> None:
    ada = signed_in(site, sit)
    ada.page.add_init_script(HIDE)
    ada.goes_to(SESSIONS)
    listens(site)
    ada.page.evaluate("look(true)")
    asked: list[str] = []
    ada.page.on("request", lambda request: asked.append(request.url))
    seen = ada.page.context.new_page()
    seen.goto(site.url + SESSIONS)
    sit(site, WINDOWS).signs_in()
    expect(seen.locator("tbody tr")).to_have_count(2)
    assert not asked
    assert ada.page.locator("tbody tr").count() == 1
    ada.page.evaluate("look(false)")
    ada.has_rows(2)


def test_an_open_page_is_no_activity_and_renews_itself_when_somebody_is_back(
    site: Running, sit: Sit
) -> None:
    """Past the access token's hour it says that it is out of date, and goes on hearing of the
    session's end."""
    ada = signed_in(site, sit)
    ada.page.add_init_script(HIDE)
    ada.goes_to(SESSIONS)
    listens(site)
    stays(ada.page)
    refresh = ada.cookies()["lastcall-refresh"]["value"]
    site.clock.advance(hours=2)
    expect(ada.page.locator("#stale")).to_be_hidden()
    other = sit(site, WINDOWS)
    other.signs_in()
    expect(ada.page.locator("#stale")).to_be_visible()
    expect(ada.page.locator("#stale")).to_contain_text("This page is out of date. Reload it")
    assert stayed(ada.page)
    assert ada.cookies()["lastcall-refresh"]["value"] == refresh
    ada.page.evaluate("look(true)")
    ada.page.evaluate("look(false)")
    ada.has_rows(2)
    assert ada.cookies()["lastcall-refresh"]["value"] != refresh
    site.clock.advance(hours=2)
    other.goes_to(SESSIONS)
    servers.run(site.folder, "user", "logout", "ada@example.com")
    ada.is_at("/sign-in")


def test_a_tab_that_nobody_looked_at_past_the_hour_is_renewed_when_somebody_does(
    site: Running, sit: Sit
) -> None:
    ada = signed_in(site, sit)
    ada.page.add_init_script(HIDE)
    ada.goes_to(SESSIONS)
    listens(site)
    ada.page.evaluate("look(true)")
    seen = ada.page.context.new_page()
    seen.goto(site.url + SESSIONS)
    site.clock.advance(hours=2)
    sit(site, WINDOWS).signs_in()
    expect(seen.locator("#stale")).to_be_visible()  # the news are there
    ada.page.evaluate("look(false)")
    ada.has_rows(2)
    expect(ada.page.locator("#stale")).to_be_hidden()


@pytest.mark.parametrize(
    ("path", "shows"),
    [
        (USERS, "grace@example.com"),
        ("/account/audit", "Grace Hopper"),
        ("/settings/activity", "Signed in"),
    ],
)
def test_pages_of_administration_and_activity_show_what_happens(
    site: Running, sit: Sit, path: str, shows: str
) -> None:
    ada = watching(site, sit, path)
    rows = ada.page.locator("tbody tr")
    before = rows.count()
    assert before
    if "settings" in path:
        sit(site, WINDOWS).signs_in()
    else:
        add(site, GRACE, name="Grace Hopper")
        servers.run(site.folder, "user", "logout", GRACE)  # whatever is recorded is told
    expect(rows).not_to_have_count(before)
    expect(ada.page.locator("main")).to_contain_text(shows)
    assert stayed(ada.page)


def test_an_admin_s_page_is_out_of_date_once_they_are_none(site: Running, sit: Sit) -> None:
    grace = add(site, GRACE, "admin")
    page = sit(site, WINDOWS)
    page.signs_in(GRACE)
    page.goes_to(USERS)
    listens(site)
    owner = Admin(grace.account_id, "owner", Actor("admin", None, "the command line"))
    site.run(site.node.administration.change(owner, grace.id, role="member"))
    # The token speaks for another role than the user now has: a new one is for who is there.
    page.page.get_by_role("link", name="Reload it").click()
    expect(page.page.locator("main")).to_contain_text("This is for administrators")


def test_it_works_below_a_path(tmp_path: Path, sit: Sit) -> None:
    with serving(tmp_path, path="/id") as site:
        site.add_owner()
        ada = watching(site, sit)
        servers.run(site.folder, "user", "logout", "ada@example.com")
        ada.is_at("/sign-in")
        expect(ada.page.locator("#ended")).to_contain_text("administrator")


@contextmanager
def at(folder: Path, port: int) -> Iterator[servers.Server]:
    with servers.serving(folder, "--port", str(port)) as server:
        yield server


def test_a_page_outlives_the_server_s_restart_and_misses_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    servers.add_owner(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    page = browser.new_context(user_agent=MAC.user_agent).new_page()
    with at(tmp_path, port) as server:
        page.goto(f"{server.url}/sign-in")
        page.get_by_label("Email").fill(servers.EMAIL)
        page.get_by_role("textbox", name="Password").fill(servers.PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.locator("tbody tr")).to_have_count(1)
        stays(page)
    servers.run(tmp_path, "user", "logout", servers.EMAIL)
    assert stayed(page)
    with at(tmp_path, port):
        expect(page.locator("#ended")).to_contain_text("administrator", timeout=30_000)
    page.context.close()
