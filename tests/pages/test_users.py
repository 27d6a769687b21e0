"""Account Management → Users: an admin gets a call, and two clicks later somebody is out."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from lastcall.identity.model import Role, User
from tests.pages.conftest import Sit
from tests.pages.people import PHONE, SESSIONS, WINDOWS, Person
from tests.pages.serving import PASSWORD, Running

USERS = "/account/users"
GRACE = "grace@example.com"


def add(site: Running, email: str, role: Role = "member", name: str | None = None) -> User:
    """Add somebody with the usual password to Ada's account."""

    async def work() -> User:
        (account,) = await site.node.store.list_accounts()
        return await site.node.identity.add_user(
            account.id, email, name=name, role=role, password=PASSWORD
        )

    return site.run(work())


def signed_in(site: Running, sit: Sit, **more: object) -> Person:
    """Sit down as Ada, the owner."""
    ada = sit(site, **more)
    ada.signs_in()
    ada.is_at(SESSIONS)
    return ada


def test_an_admin_logs_somebody_out_and_both_know_it(
    site: Running, sit: Sit, javascript: bool
) -> None:
    """Preview, confirm, result; and in the browsers of who was logged out: by whom."""
    grace = add(site, GRACE, name="Grace Hopper")
    laptop, phone = sit(site, WINDOWS), sit(site, PHONE)
    for browser in (laptop, phone):
        browser.signs_in(GRACE)
        browser.is_at(SESSIONS)
    ada = signed_in(site, sit, java_script_enabled=javascript)
    ada.page.get_by_role("link", name="Users").click()
    ada.page.get_by_role("link", name=GRACE).click()
    ada.is_at(f"{USERS}/{grace.id}")
    ada.has_rows(2)
    ada.page.locator(".more summary").click()
    ada.page.get_by_role("link", name="Log out").click()
    ada.is_at(f"{USERS}/{grace.id}/logout")
    main = ada.page.locator("main")
    expect(main).to_contain_text("Log out Grace Hopper everywhere?")
    expect(main).to_contain_text("This ends 2 sessions on 2 devices, at once and everywhere.")
    expect(main).to_contain_text("2 access tokens are refused from then on")
    main.get_by_role("button", name="Log out everywhere").click()
    expect(ada.page.locator("#result")).to_contain_text("Logged out everywhere. 2 sessions ended.")
    expect(ada.page.locator("#sessions")).to_contain_text("They have no active session.")
    for browser in (laptop, phone):
        browser.finds_out()
        ended = browser.page.locator("#ended")
        expect(ended).to_contain_text("You were signed out by an administrator")
        expect(ended).to_contain_text("Ada Lovelace")
    ada.page.get_by_role("link", name="Show ended sessions").click()
    ada.has_rows(2)
    assert all("Ended by Ada Lovelace" in row for row in ada.rows)


def test_one_session_of_somebody_ends_and_the_other_goes_on(site: Running, sit: Sit) -> None:
    grace = add(site, GRACE)
    laptop, phone = sit(site, WINDOWS), sit(site, PHONE)
    laptop.signs_in(GRACE)
    phone.signs_in(GRACE)
    ada = signed_in(site, sit)
    ada.goes_to(f"{USERS}/{grace.id}")
    row = ada.page.get_by_role("row").filter(has_text="Windows")
    row.get_by_role("link", name=re.compile("Terminate session")).click()
    ada.page.get_by_role("button", name="Terminate session").click()
    expect(ada.page.locator("#result")).to_contain_text("1 session ended.")
    ada.has_rows(1)
    laptop.finds_out()
    phone.goes_to(SESSIONS)
    phone.is_at(SESSIONS)


def test_the_keyboard_alone_logs_somebody_out(site: Running, sit: Sit) -> None:
    grace = add(site, GRACE)
    sit(site, WINDOWS).signs_in(GRACE)
    ada = signed_in(site, sit)
    ada.goes_to(f"{USERS}/{grace.id}")
    keyboard = ada.page.keyboard

    def reach(name: str) -> None:
        for _ in range(40):
            keyboard.press("Tab")
            if name in ada.page.evaluate("document.activeElement.textContent"):
                return
        raise AssertionError(f"the keyboard does not reach {name}")

    reach("Actions")
    keyboard.press("Enter")
    reach("Log out")
    keyboard.press("Enter")
    ada.is_at(f"{USERS}/{grace.id}/logout")
    reach("Log out everywhere")
    keyboard.press("Enter")
    expect(ada.page.locator("#result")).to_contain_text("1 session ended.")


def test_everybody_but_the_owner_who_asks_is_logged_out(site: Running, sit: Sit) -> None:
    add(site, GRACE)
    grace = sit(site, WINDOWS)
    grace.signs_in(GRACE)
    ada = signed_in(site, sit)
    ada.goes_to(USERS)
    ada.page.get_by_role("link", name="Log out everybody").click()
    ada.page.get_by_role("button", name="Log out everybody").click()
    expect(ada.page.locator("#result")).to_contain_text(
        "Everybody else was logged out everywhere. 1 session ended."
    )
    grace.finds_out()
    ada.goes_to(SESSIONS)
    ada.is_at(SESSIONS)


def test_somebody_is_added_invited_and_signs_in(site: Running, sit: Sit, javascript: bool) -> None:
    ada = signed_in(site, sit, java_script_enabled=javascript)
    ada.goes_to(USERS)
    ada.page.get_by_role("link", name="Add user").click()
    ada.page.get_by_label("Email").fill(GRACE)
    ada.page.get_by_label("Name").fill("Grace Hopper")
    ada.page.get_by_label("Role").select_option("admin")
    ada.page.get_by_role("button", name="Add user").click()
    link = ada.page.get_by_label("Invitation link").input_value()
    assert link.startswith(f"{site.url}/invitation?token=")
    ada.goes_to(f"{USERS}/add")
    ada.page.get_by_label("Email").fill(GRACE.upper())
    ada.page.get_by_role("button", name="Add user").click()
    expect(ada.page.locator(".error")).to_contain_text("There is a user with this address")
    grace = sit(site, WINDOWS)
    grace.goes_to(link.removeprefix(site.url))
    grace.page.get_by_label("Password", exact=True).fill("grace's own sentence")
    grace.page.get_by_role("button", name="Set password").click()
    grace.is_at(SESSIONS)
    grace.page.get_by_role("link", name="Users").click()
    expect(grace.page.get_by_role("row").filter(has_text=GRACE)).to_contain_text("Administrator")


def test_a_new_invitation_stops_the_older_one(site: Running, sit: Sit) -> None:
    ada = signed_in(site, sit)
    links = []
    ada.goes_to(f"{USERS}/add")
    ada.page.get_by_label("Email").fill(GRACE)
    ada.page.get_by_role("button", name="Add user").click()
    links.append(ada.page.get_by_label("Invitation link").input_value())
    ada.page.get_by_role("link", name="Done").click()
    expect(ada.page.locator("#facts")).to_contain_text("Invited")
    ada.page.locator(".more summary").click()
    ada.page.get_by_role("link", name="New invitation link").click()
    ada.page.get_by_role("button", name="Make link").click()
    links.append(ada.page.get_by_label("Invitation link").input_value())
    grace = sit(site, WINDOWS)
    assert [grace.goes_to(link.removeprefix(site.url)) for link in links] == [404, 200]


def test_somebody_suspended_is_out_until_resumed_and_somebody_removed_for_good(
    site: Running, sit: Sit
) -> None:
    user = add(site, GRACE)
    grace = sit(site, WINDOWS)
    grace.signs_in(GRACE)
    ada = signed_in(site, sit)

    def does(what: str, button: str) -> None:
        ada.goes_to(f"{USERS}/{user.id}")
        ada.page.locator(".more summary").click()
        ada.page.get_by_role("link", name=what).click()
        ada.page.get_by_role("button", name=button).click()
        expect(ada.page.locator("#result .notice")).to_be_visible()

    does("Suspend", "Suspend")
    expect(ada.page.locator("#facts")).to_contain_text("Suspended")
    grace.finds_out()
    expect(grace.page.locator("#ended")).to_contain_text("You can't sign in for now")
    grace.signs_in(GRACE)
    expect(grace.page.get_by_role("alert")).to_contain_text("The email or the password is wrong.")
    does("Resume", "Resume")
    grace.signs_in(GRACE)
    grace.is_at(SESSIONS)
    does("Remove user", "Remove user")
    expect(ada.page.locator("#result")).to_contain_text("The user was removed. 1 session ended.")
    expect(ada.page.locator("#users")).not_to_contain_text(GRACE)
    grace.finds_out()
    expect(grace.page.locator("#ended")).to_contain_text("You were removed")
    assert ada.goes_to(f"{USERS}/{user.id}") == 404


def test_name_and_role_change_and_the_last_owner_stays_one(site: Running, sit: Sit) -> None:
    user = add(site, GRACE)
    ada = signed_in(site, sit)
    ada.goes_to(f"{USERS}/{user.id}/change")
    ada.page.get_by_label("Name").fill("Grace Hopper")
    ada.page.get_by_label("Role").select_option("owner")
    ada.page.get_by_role("button", name="Save").click()
    expect(ada.page.get_by_role("heading", name="Grace Hopper")).to_be_visible()
    expect(ada.page.locator("#facts")).to_contain_text("Owner")
    grace = sit(site, WINDOWS)
    grace.signs_in(GRACE)
    own = site.run(site.node.identity.find_by_email("ada@example.com"))
    ada.page.goto("about:blank")  # an open page would go and look by itself, at the same moment
    grace.goes_to(f"{USERS}/{own.id}/change")
    grace.page.get_by_label("Role").select_option("member")
    grace.page.get_by_role("button", name="Save").click()
    expect(grace.page.locator("#facts")).to_contain_text("Member")
    assert ada.goes_to(USERS) == 403
    assert ada.goes_to(f"{USERS}/{user.id}/suspend") == 403
    # Grace is the last owner now, and nobody offers her to herself.
    grace.goes_to(f"{USERS}/{user.id}")
    grace.page.locator(".more summary").click()
    menu = grace.page.locator(".more .menu")
    expect(menu).to_contain_text("Log out")
    for word in ("Suspend", "Remove", "role"):
        expect(menu).not_to_contain_text(word)


def test_an_admin_is_not_offered_what_is_an_owner_s_and_can_not_force_it(
    site: Running, sit: Sit
) -> None:
    add(site, GRACE, "admin")
    own = site.run(site.node.identity.find_by_email("ada@example.com"))
    grace = sit(site, WINDOWS)
    grace.signs_in(GRACE)
    grace.goes_to(USERS)
    expect(grace.page.get_by_role("link", name="Log out everybody")).to_have_count(0)
    grace.goes_to(f"{USERS}/add")
    expect(grace.page.get_by_label("Role")).to_have_count(0)
    grace.goes_to(f"{USERS}/{own.id}")
    expect(grace.page.locator(".more")).to_have_count(0)
    expect(grace.page.locator("main")).to_contain_text("only an owner may log them out")
    cookies = {name: cookie["value"] for name, cookie in grace.cookies().items()}
    before = site.run(site.node.store.log_end())
    with httpx.Client(
        base_url=site.url, cookies=cookies, headers={"Sec-Fetch-Site": "same-origin"}
    ) as forger:
        for path in (*(f"{USERS}/{own.id}/{it}" for it in ("logout", "suspend", "remove")),):
            answer = forger.post(path, data={})
            assert answer.status_code == 403, path
            assert "This is for administrators" in answer.text
        assert forger.post("/account/logout", data={}).status_code == 403
        assert forger.post(f"{USERS}/{own.id}/change", data={"name": "Eve"}).status_code == 403
        forged = {"email": "eve@example.com", "role": "owner"}
        assert forger.post(f"{USERS}/add", data=forged).status_code == 403
    assert site.run(site.node.store.log_end()) == before


@pytest.mark.parametrize("path", [USERS, f"{USERS}/add", "/account/audit", "/account/logout"])
def test_a_member_is_told_that_it_is_for_administrators(site: Running, sit: Sit, path: str) -> None:
    add(site, GRACE)
    grace = sit(site, WINDOWS)
    grace.signs_in(GRACE)
    expect(grace.page.get_by_role("link", name="Audit log")).to_have_count(0)
    assert grace.goes_to(path) == 403
    expect(grace.page.locator("h1")).to_have_text("This is for administrators")


def test_users_of_another_account_are_not_there(site: Running, sit: Sit) -> None:
    async def elsewhere() -> User:
        account = await site.node.identity.add_account("Elsewhere")
        return await site.node.identity.add_user(account.id, "oz@example.com", password=PASSWORD)

    oz = site.run(elsewhere())
    ada = signed_in(site, sit)
    for part in ("", "/logout", "/suspend", "/remove", "/change", "/invitation"):
        assert ada.goes_to(f"{USERS}/{oz.id}{part}") == 404, part
    ada.goes_to(USERS)
    expect(ada.page.locator("#users")).not_to_contain_text("oz@example.com")


def test_a_search_finds_by_name_and_address_whatever_the_case(site: Running, sit: Sit) -> None:
    add(site, "emile@example.com", name="Émile 100%")
    add(site, "zoe@example.com", name="Zoë_B")
    ada = signed_in(site, sit)
    for text, found in (
        ("ÉMILE", ["emile@example.com"]),
        ("zoë_", ["zoe@example.com"]),
        ("%", ["emile@example.com"]),
        ("_", ["zoe@example.com"]),
        ("EXAMPLE.com", ["zoe@example.com", "emile@example.com", "ada@example.com"]),
        ("<script>", []),
    ):
        ada.goes_to(USERS)
        ada.page.get_by_role("searchbox").fill(text)
        ada.page.get_by_role("button", name="Search").click()
        expect(ada.page.get_by_role("searchbox")).to_have_value(text)
        links = ada.page.locator("#users th a").all_inner_texts()
        assert links == found, text


def test_a_page_of_users_goes_on_and_stays_small(
    site: Running, sit: Sit, statements: list[str]
) -> None:
    """As many queries for fifty as for one, and under 100 KB."""
    add(site, "first@example.com")
    ada = signed_in(site, sit, java_script_enabled=False)  # no stream that asks, too
    statements.clear()
    ada.goes_to(USERS)
    few = len(statements)
    for number in range(119):
        add(site, f"user-{number}@example.com", name=f"Somebody with a name {number}")
    statements.clear()
    with ada.page.expect_response(f"**{USERS}") as answer:
        ada.goes_to(USERS)
    assert len(statements) == few
    assert len(answer.value.body()) < 100_000
    seen = ada.page.locator("#users th a").all_inner_texts()
    assert len(seen) == 50
    for _ in range(2):
        ada.page.get_by_role("link", name="Earlier users").click()
        ada.page.wait_for_url("**before=**")
        seen += ada.page.locator("#users th a").all_inner_texts()
    assert len(seen) == len(set(seen)) == 121


def test_a_stale_proof_is_asked_for_anew_and_leads_back(site: Running, sit: Sit) -> None:
    user = add(site, GRACE)
    ada = signed_in(site, sit)
    ada.goes_to(f"{USERS}/{user.id}/logout")
    site.clock.advance(minutes=11)
    ada.page.get_by_role("button", name="Log out everywhere").click()
    ada.is_at("/reauthenticate")
    ada.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Confirm").click()
    ada.is_at(f"{USERS}/{user.id}/logout")
