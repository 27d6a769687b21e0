"""A proof that is too old, and an access token that has run out."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from lastcall.sessions.policy import Policy
from tests.pages.conftest import Sit
from tests.pages.people import MAC, SESSIONS, WINDOWS, Person
from tests.pages.serving import PASSWORD, Running, serving


@pytest.fixture
def ada(site: Running, sit: Sit, javascript: bool) -> Person:
    """Ada, signed in here and on a machine with Windows."""
    sit(site, WINDOWS, java_script_enabled=javascript).signs_in()
    here: Person = sit(site, MAC, java_script_enabled=javascript)
    here.signs_in()
    here.is_at(SESSIONS)
    return here


def ask(ada: Person, button: str, javascript: bool) -> None:
    """Press a button that ends sessions and, where there is a dialog, answer it with yes."""
    ada.page.get_by_role("link", name=re.compile(rf"{button}\b")).first.click()
    if javascript:
        ada.page.get_by_role("dialog").get_by_role("button", name="Terminate").click()


def prove(ada: Person) -> None:
    """Enter the password again, after a wrong one."""
    ada.is_at("/reauthenticate")
    expect(ada.page.locator("#why")).to_contain_text("more than 10 minutes ago")
    ada.page.get_by_role("textbox", name="Password").fill("not it")
    ada.page.get_by_role("button", name="Confirm").click()
    expect(ada.page.get_by_role("alert")).to_have_text("The password is wrong.")
    ada.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Confirm").click()


@pytest.mark.parametrize("button", ["Terminate session", "Terminate sessions"])
def test_an_old_proof_is_asked_for_anew_and_leads_back_to_the_question(
    site: Running, ada: Person, javascript: bool, button: str
) -> None:
    site.clock.advance(minutes=11)
    ask(ada, button, javascript)
    prove(ada)
    one = button == "Terminate session"
    ada.is_at(f"{SESSIONS}/terminate" if one else f"{SESSIONS}/terminate-others")
    assert len(site.run(_active(site))) == 2
    ada.page.locator("main").get_by_role("button", name="Terminate").click()
    expect(ada.page.locator("#result")).to_contain_text("1 session ended.")
    ada.has_rows(1)


def test_a_fresh_proof_is_enough(site: Running, ada: Person, javascript: bool) -> None:
    site.clock.advance(minutes=9)
    ask(ada, "Terminate sessions", javascript)
    if not javascript:
        ada.page.locator("main").get_by_role("button", name="Terminate").click()
    expect(ada.page.locator("#result")).to_contain_text("1 session ended.")


def test_a_run_out_access_token_is_renewed_on_the_way(
    site: Running, ada: Person, javascript: bool
) -> None:
    """Somebody who comes back after an hour sees the page that they asked for, and no other."""
    before = ada.cookies()
    site.clock.advance(hours=1, minutes=1)
    ada.goes_to(f"{SESSIONS}?ended=true")
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("Ended sessions")
    after = ada.cookies()
    for name in ("lastcall-access", "lastcall-refresh"):
        assert before[name]["value"] != after[name]["value"]


def test_a_form_can_be_sent_with_a_run_out_access_token(
    site: Running, ada: Person, javascript: bool
) -> None:
    """What was entered is not lost, and the browser goes on with the new tokens."""
    site.clock.advance(minutes=11)
    ada.goes_to(f"/reauthenticate?next={SESSIONS}?ended=true")
    site.clock.advance(hours=1)
    ada.page.get_by_role("textbox", name="Password").fill("not it")
    ada.page.get_by_role("button", name="Confirm").click()
    expect(ada.page.get_by_role("alert")).to_have_text("The password is wrong.")
    # Beyond the grace, the token before would be a theft.
    site.clock.advance(minutes=70)
    ada.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Confirm").click()
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("Ended sessions")
    site.clock.advance(minutes=70)
    ada.goes_to(SESSIONS)
    ada.is_at(SESSIONS)


def test_a_form_sent_late_that_needs_a_proof_keeps_the_new_tokens(
    site: Running, ada: Person, javascript: bool
) -> None:
    if not javascript:
        ada.goes_to(f"{SESSIONS}/terminate-others")
    site.clock.advance(hours=1, minutes=1)
    if javascript:
        ask(ada, "Terminate sessions", javascript)
    else:
        ada.page.locator("main").get_by_role("button", name="Terminate").click()
    ada.is_at("/reauthenticate")
    site.clock.advance(minutes=5)
    prove(ada)
    ada.is_at(f"{SESSIONS}/terminate-others")
    assert "lastcall-refresh" in ada.cookies()


@pytest.mark.parametrize("javascript", [False], indirect=True, ids=["without JavaScript"])
def test_a_form_from_an_ended_session_leads_to_sign_in_with_the_reason(
    site: Running, ada: Person, sit: Sit
) -> None:
    """With JavaScript the page leaves before anybody could send it (`test_live`)."""
    other = sit(site, WINDOWS, java_script_enabled=False)
    other.signs_in()
    ask(other, "Terminate sessions", javascript=False)
    other.page.locator("main").get_by_role("button", name="Terminate").click()
    other.is_at(SESSIONS)
    ask(ada, "Terminate sessions", javascript=False)
    ada.is_at("/sign-in")
    expect(ada.page.locator("#ended")).to_contain_text("terminated from Firefox on Windows")


def test_what_a_late_form_asks_for_is_done_and_the_browser_goes_on(
    tmp_path: Path, sit: Sit, javascript: bool
) -> None:
    """With a proof that is still fresh, a run-out token is nobody's business, also where the form
    can't be taken."""
    with serving(tmp_path, policy=Policy(step_up=timedelta(hours=6))) as site:
        site.add_owner()
        for _ in range(2):
            sit(site, WINDOWS, java_script_enabled=javascript).signs_in()
        ada = sit(site, MAC, java_script_enabled=javascript)
        ada.signs_in()
        for gone in (False, True):
            row = ada.page.get_by_role("row", name="Windows").first
            row.get_by_role("link", name="Terminate session").click()
            asked = ada.page.get_by_role("dialog") if javascript else ada.page.locator("main")
            if gone:
                asked.locator("[name=session_id]").evaluate("it => { it.value = 's_nobodys' }")
            before = ada.cookies()["lastcall-refresh"]["value"]
            site.clock.advance(hours=1, minutes=1)
            asked.get_by_role("button", name="Terminate").click()
            heading = ada.page.get_by_role("heading", level=1)
            expect(heading).to_have_text("There is nothing here" if gone else "Sessions")
            assert ada.cookies()["lastcall-refresh"]["value"] != before
        site.clock.advance(minutes=5)
        ada.goes_to(SESSIONS)
        ada.has_rows(2)


async def _active(site: Running) -> list[str]:
    user = await site.node.identity.find_by_email("ada@example.com")
    page = await site.node.sessions.list(user.id, "active")
    return [session.id for session in page.sessions]
