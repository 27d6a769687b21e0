"""Settings → Sessions, as people use it."""

import re

from playwright.sync_api import expect

from lastcall.events import Actor
from lastcall.sessions.model import Client, SignIn
from tests.pages.conftest import Sit
from tests.pages.people import MAC, PHONE, SESSIONS, WINDOWS, Person
from tests.pages.serving import EMAIL, PASSWORD, Running


def terminate(person: Person, row: str, javascript: bool) -> None:
    """End the session of a row: the question comes in a dialog, or as a page without JavaScript."""
    person.page.get_by_role("row", name=row).get_by_role("link", name="Terminate session").click()
    if javascript:
        asked = person.page.get_by_role("dialog")
        expect(asked).to_contain_text("Terminate this session?")
    else:
        person.is_at(f"{SESSIONS}/terminate")
        asked = person.page.locator("main")
        expect(asked.get_by_role("heading")).to_have_text("Terminate this session?")
    asked.get_by_role("button", name="Terminate session").click()


def test_each_of_three_browsers_is_listed_with_what_is_known_of_it(
    site: Running, sit: Sit, javascript: bool
) -> None:
    for kit in (WINDOWS, PHONE):
        sit(site, kit, java_script_enabled=javascript).signs_in()
    ada = sit(site, MAC, java_script_enabled=javascript)
    ada.signs_in()
    ada.is_at(SESSIONS)
    own, phone, windows = ada.rows
    for shown in ("Macintosh", "Safari 26", "Your session", "United Kingdom", "81.2.69.142"):
        assert shown in own
    assert "Sign out" in own
    assert "Terminate" not in own
    for shown in ("iPhone", "Safari 26", "unknown", "10.20.30.40", "Terminate session"):
        assert shown in phone
    for shown in ("Windows", "Firefox 155", "Germany", "80.128.10.20", "Terminate session"):
        assert shown in windows
    for row in (own, phone, windows):
        assert "now" in row
        assert re.search(r"in (23 hours|1 day) \| if not used", row)
    assert ("UTC" in own) is not javascript, "without JavaScript times are UTC, and say so"
    assert "Your session" not in phone + windows
    expect(ada.page.get_by_text("private: it belongs")).to_be_attached()


def test_who_is_terminated_is_told_so_and_from_where_at_the_next_click(
    site: Running, sit: Sit, javascript: bool
) -> None:
    ben = sit(site, WINDOWS, java_script_enabled=javascript)
    ben.signs_in()
    ada = sit(site, MAC, java_script_enabled=javascript)
    ada.signs_in()
    terminate(ada, "Windows", javascript)
    ada.is_at(SESSIONS)
    expect(ada.page.locator("#result")).to_contain_text("Signed out everywhere. 1 session ended.")
    ada.has_rows(1)
    for _ in range(2):
        ben.finds_out()
        told = ben.page.locator("#ended")
        expect(told).to_contain_text("You were signed out from another device")
        expect(told).to_contain_text("terminated from Safari on macOS")
        expect(told.locator("time")).to_have_count(1)
    ben.signs_in()
    ben.is_at(SESSIONS)
    ben.goes_to(f"{SESSIONS}?ended=true")
    assert "Terminated from Safari on macOS" in ben.rows[0]
    assert "Windows" in ben.rows[0]


def test_terminating_the_others_says_how_many_and_keeps_this_one(
    site: Running, sit: Sit, javascript: bool
) -> None:
    others = [sit(site, kit, java_script_enabled=javascript) for kit in (WINDOWS, PHONE)]
    for other in others:
        other.signs_in()
    ada = sit(site, MAC, java_script_enabled=javascript)
    ada.signs_in()
    ada.page.get_by_role("link", name="Terminate sessions").click()
    asked = ada.page.get_by_role("dialog") if javascript else ada.page.locator("main")
    expect(asked.get_by_role("heading")).to_have_text("Terminate 2 sessions?")
    expect(asked).to_contain_text("This device stays signed in.")
    asked.get_by_role("button", name="Terminate 2 sessions").click()
    expect(ada.page.locator("#result")).to_contain_text("Signed out everywhere. 2 sessions ended.")
    ada.has_rows(1)
    expect(ada.page.get_by_text("This is your only session.")).to_be_visible()
    for other in others:
        other.finds_out()


def test_signing_out_ends_the_session_and_forgets_it(
    site: Running, sit: Sit, javascript: bool
) -> None:
    ada = sit(site, java_script_enabled=javascript)
    ada.signs_in()
    before = ada.cookies()
    ada.page.get_by_role("row").get_by_role("button", name="Sign out").click()
    ada.is_at("/sign-in")
    expect(ada.page.locator("#ended")).to_have_count(0)
    assert set(ada.cookies()) == {"lastcall-device"}
    # What somebody kept of it opens nothing any more.
    ada.page.context.add_cookies(list(before.values()))  # type: ignore[arg-type]
    ada.goes_to(SESSIONS)
    expect(ada.page.locator("#ended")).to_contain_text("You signed out")


def test_the_menu_signs_out_too(site: Running, sit: Sit, javascript: bool) -> None:
    ada = sit(site, java_script_enabled=javascript)
    ada.signs_in()
    menu = ada.page.locator("details.profile")
    menu.locator("summary").click()
    expect(menu).to_contain_text(EMAIL)
    expect(menu).to_contain_text("Owner")
    menu.get_by_role("button", name="Sign out").click()
    ada.is_at("/sign-in")


def test_the_question_can_be_answered_with_no(site: Running, sit: Sit, javascript: bool) -> None:
    sit(site, WINDOWS, java_script_enabled=javascript).signs_in()
    ada = sit(site, MAC, java_script_enabled=javascript)
    ada.signs_in()
    ada.page.get_by_role("link", name="Terminate session", exact=False).last.click()
    asked = ada.page.get_by_role("dialog") if javascript else ada.page.locator("main")
    asked.get_by_text("Cancel").click()
    ada.is_at(SESSIONS)
    expect(ada.page.get_by_role("dialog")).to_have_count(0)
    ada.has_rows(2)


def test_everything_can_be_done_with_the_keyboard_alone(site: Running, sit: Sit) -> None:
    sit(site, WINDOWS).signs_in()
    ada = sit(site, MAC)
    ada.goes_to("/sign-in")
    keys = ada.page.keyboard
    keys.type(EMAIL)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    ada.is_at(SESSIONS)
    keys.press("Tab")
    expect(ada.page.locator("a.skip")).to_be_focused()
    keys.press("Enter")
    expect(ada.page.locator("main")).to_be_focused()
    keys.press("Tab")
    opener = ada.page.get_by_role("link", name="Terminate sessions")
    expect(opener).to_be_focused()
    keys.press("Enter")
    dialog = ada.page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    keys.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()
    keys.press("Enter")
    keys.press("Tab")
    keys.press("Enter")
    expect(ada.page.locator("#result .notice")).to_be_focused()
    expect(ada.page.locator("#result")).to_contain_text("1 session ended.")
    summary = ada.page.locator("summary")
    summary.focus()
    keys.press("Enter")
    expect(ada.page.locator("details.profile")).to_have_attribute("open", "")
    keys.press("Escape")
    expect(summary).to_be_focused()
    expect(ada.page.locator("details.profile")).not_to_have_attribute("open", "")


HOSTILE = "<img src=x onerror=\"document.title='owned'\">'\"--></script>{{7*7}}\u202egnp"


def test_hostile_names_are_shown_and_do_nothing(site: Running, sit: Sit) -> None:
    """User agents and names are what somebody else wrote."""
    agent = f"{HOSTILE.encode('ascii', 'ignore').decode()} Mozilla/5.0 <script>alert(1)</script>"

    async def sign_in() -> None:
        seen = SignIn(agent, {"sec-ch-ua-platform": f'"{HOSTILE}"'}, "<b>1</b>")
        client = Client("native", HOSTILE)
        await site.node.identity.sign_in(EMAIL, PASSWORD, client, seen)

    site.run(sign_in())
    ada = sit(site)
    ada.signs_in()
    assert HOSTILE.replace("\u202e", "") in ada.rows[1].replace("\u202e", "")
    assert ada.page.title() == "Sessions · lastcall"
    assert ada.page.locator("main img, main b, main script").count() == 0
    assert "{{7*7}}" in ada.rows[1]
    # The dialog and the page that ask are made of the same words.
    ada.page.get_by_role("link", name="Terminate session", exact=False).last.click()
    expect(ada.page.get_by_role("dialog")).to_contain_text("onerror")
    assert ada.page.locator("main img, main b, main script").count() == 0


def test_a_hostile_organisation_and_person_are_shown_and_do_nothing(
    site: Running, sit: Sit
) -> None:
    async def add() -> None:
        node = site.node
        account = await node.identity.add_account(HOSTILE.replace("\u202e", ""))
        await node.identity.add_user(
            account.id, "eve@example.com", name="<svg onload=alert(1)>", password=PASSWORD
        )

    site.run(add())
    eve = sit(site)
    eve.signs_in("eve@example.com")
    expect(eve.page.locator(".account")).to_contain_text("<img src=x")
    expect(eve.page.locator(".profile .name")).to_have_text("<svg onload=alert(1)>")
    assert eve.page.locator("img, svg[onload]").count() == 0


def test_many_sessions_come_in_parts(site: Running, sit: Sit) -> None:
    async def sign_in() -> None:
        for number in range(53):
            seen = SignIn(f"curl/8.{number}", {}, "192.0.2.7")
            client = Client("native", f"job {number}")
            await site.node.identity.sign_in(EMAIL, PASSWORD, client, seen)

    site.run(sign_in())
    ada = sit(site)
    ada.signs_in()
    ada.has_rows(50)
    first = ada.rows
    expect(ada.page.get_by_role("link", name="Terminate sessions")).to_be_visible()
    ada.page.get_by_role("link", name="Older sessions").click()
    expect(ada.page.locator("tbody tr")).to_have_count(4)
    names = {
        re.search(r"job \d+", row) and re.search(r"job \d+", row)[0]  # type: ignore[index]
        for row in first[1:] + ada.rows
    }
    assert len(names) == 53
    assert ada.goes_to(f"{SESSIONS}?before=nonsense") == 422


def test_nobody_sees_or_ends_somebody_elses_sessions(site: Running, sit: Sit) -> None:
    async def add() -> str:
        node = site.node
        user = await node.identity.find_by_email(EMAIL)
        await node.identity.add_user(user.account_id, "bob@example.com", password=PASSWORD)
        seen = SignIn(None, {}, None)
        tokens = await node.identity.sign_in(EMAIL, PASSWORD, Client("native"), seen)
        return tokens.session.id

    session_id = site.run(add())
    bob = sit(site)
    bob.signs_in("bob@example.com")
    bob.has_rows(1)
    assert bob.goes_to(f"{SESSIONS}/terminate?session={session_id}") == 404
    bob.goes_to(SESSIONS)
    answer = bob.page.evaluate(
        """async (id) => {
            const body = new URLSearchParams({session_id: id});
            return (await fetch('/settings/sessions/terminate', {method: 'POST', body})).status;
        }""",
        session_id,
    )
    assert answer == 404
    assert site.run(site.node.sessions.count(site.run(site.node.identity.find_by_email(EMAIL)).id))


def test_a_termination_that_is_not_ones_own_is_not_told(site: Running, sit: Sit) -> None:
    """The words after a termination come from the log, whatever the address says."""

    async def end_bobs() -> str:
        node, seen = site.node, SignIn(None, {}, None)
        owner = await node.identity.find_by_email(EMAIL)
        email = "bob@example.com"
        await node.identity.add_user(owner.account_id, email, password=PASSWORD)
        tokens = await node.identity.sign_in(email, PASSWORD, Client("native"), seen)
        session, by = tokens.session, Actor("self")
        ended = await node.sessions.endings.terminate(session.id, "signed_out", by, lambda _: True)
        return ended.id

    bobs = site.run(end_bobs())
    ada = sit(site)
    ada.signs_in()
    for made_up in (bobs, "t_AAAAAAAAAAAA_1", "x", "<b>", "t_%00"):
        assert ada.goes_to(f"{SESSIONS}?done={made_up}") == 200
        expect(ada.page.locator("#result")).to_have_text("")


def test_the_page_takes_a_fixed_number_of_reads(
    site: Running, sit: Sit, statements: list[str]
) -> None:
    ada = sit(site, java_script_enabled=False)  # no stream that reads, too
    ada.signs_in()
    ada.goes_to(SESSIONS)
    statements.clear()
    ada.goes_to(SESSIONS)
    few = len(statements)
    assert few <= 8

    async def sign_in() -> None:
        for _ in range(12):
            seen = SignIn(None, {}, None)
            await site.node.identity.sign_in(EMAIL, PASSWORD, Client("native"), seen)

    site.run(sign_in())
    statements.clear()
    ada.goes_to(SESSIONS)
    ada.has_rows(13)
    assert len(statements) == few
