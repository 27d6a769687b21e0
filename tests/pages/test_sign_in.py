"""Signing in: who may, where they go, and what is told to whom."""

import pytest
from playwright.sync_api import expect

from lastcall.events import Actor
from lastcall.sessions.model import Client, SignIn
from tests.pages.conftest import Sit
from tests.pages.people import SESSIONS, WINDOWS
from tests.pages.serving import EMAIL, PASSWORD, Running


def test_a_wrong_password_and_an_unknown_person_are_told_the_same(
    site: Running, sit: Sit, javascript: bool
) -> None:
    ada = sit(site, java_script_enabled=javascript)
    told = []
    for email in (EMAIL, "nobody@example.com", "not an address"):
        ada.goes_to("/sign-in")
        if not javascript and "@" not in email:
            break  # the browser's own check can't be passed
        ada.page.locator("form").evaluate("form => form.noValidate = true") if javascript else None
        with ada.page.expect_response("**/sign-in") as answer:
            ada.signs_in(email, "not it")
        assert answer.value.status == 401
        told.append(ada.page.get_by_role("alert").inner_text())
        expect(ada.page.get_by_label("Email")).to_have_value(email)
        expect(ada.page.get_by_role("textbox", name="Password")).to_have_value("")
    assert set(told) == {"The email or the password is wrong."}
    assert "lastcall-refresh" not in ada.cookies()
    ada.signs_in()
    ada.is_at(SESSIONS)


def test_who_was_on_the_way_somewhere_gets_there(site: Running, sit: Sit) -> None:
    ada = sit(site)
    ada.goes_to(f"{SESSIONS}?ended=true")
    ada.is_at("/sign-in")
    expect(ada.page.locator("#ended")).to_have_count(0)
    ada.signs_in(password="not it")
    ada.signs_in()
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("Ended sessions")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/%5Cevil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/x/..//evil.example",
        "evil.example",
        "",
    ],
)
def test_nobody_is_led_to_another_site(site: Running, sit: Sit, elsewhere: str) -> None:
    ada = sit(site)
    ada.goes_to("/sign-in")
    ada.page.locator("input[name=next]").evaluate("(it, to) => { it.value = to }", elsewhere)
    ada.signs_in()
    ada.is_at(SESSIONS)


def test_who_is_signed_in_need_not_do_it_again(site: Running, sit: Sit) -> None:
    ada = sit(site)
    ada.signs_in()
    ada.goes_to(f"/sign-in?next={SESSIONS}?ended=true")
    ada.is_at(SESSIONS)
    for path in ("/", "/settings"):
        ada.goes_to(path)
        ada.is_at(SESSIONS)


def test_signing_in_anew_takes_the_place_of_the_session_before(site: Running, sit: Sit) -> None:
    ada = sit(site)
    ada.signs_in()
    old = ada.cookies()["lastcall-refresh"]["value"]
    site.clock.advance(hours=1, minutes=1)
    ada.goes_to("/sign-in")
    ada.signs_in()
    ada.has_rows(1)
    assert ada.cookies()["lastcall-refresh"]["value"] != old


def test_on_a_shared_computer_the_session_ends_with_the_browser(
    site: Running, sit: Sit, javascript: bool
) -> None:
    ada = sit(site, java_script_enabled=javascript)
    ada.goes_to("/sign-in")
    ada.page.get_by_label("This is a shared computer").check()
    ada.signs_in()
    ada.is_at(SESSIONS)
    cookies = ada.cookies()
    assert cookies["lastcall-access"]["expires"] == -1
    assert cookies["lastcall-refresh"]["expires"] == -1


def test_no_script_can_read_the_cookies(site: Running, sit: Sit) -> None:
    ada = sit(site)
    ada.signs_in()
    assert ada.page.evaluate("document.cookie") == ""
    for cookie in ada.cookies().values():
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"


def test_somebody_without_a_genuine_token_is_told_nothing(site: Running, sit: Sit) -> None:
    """The reason of an ended session is for the browser that held it."""
    victim = sit(site, WINDOWS)
    victim.signs_in()
    session_id = victim.cookies()["lastcall-refresh"]["value"].split(".")[0].removeprefix("lcr_")
    victim.page.get_by_role("row").get_by_role("button", name="Sign out").click()
    stranger = sit(site)
    made_up = [f"lcr_{session_id}.1.{'A' * 43}.{'A' * 43}", "x", f"lcr_{session_id}"]
    for token in made_up:
        stranger.page.context.add_cookies(
            [
                {"name": name, "value": token, "url": site.url}
                for name in ("lastcall-refresh", "lastcall-access")
            ]
        )
        stranger.goes_to(f"/sign-in?next=/&reason=signed_out&session={session_id}")
        assert stranger.page.locator(".notice").count() == 0
        stranger.goes_to(SESSIONS)
        stranger.is_at("/sign-in")
        assert stranger.page.locator(".notice").count() == 0


def test_an_admin_a_suspension_and_idleness_are_told_apart(site: Running, sit: Sit) -> None:
    node = site.node
    admin = Actor("admin", None, "Grace Hopper")

    async def end_all() -> None:
        user = await node.identity.find_by_email(EMAIL)
        await node.sessions.endings.terminate_all(
            user.id, user.account_id, "terminated_by_admin", admin
        )

    async def suspend() -> None:
        await node.identity.suspend(await node.identity.find_by_email(EMAIL), admin)

    async def resume() -> None:
        await node.identity.resume(await node.identity.find_by_email(EMAIL))

    ada = sit(site)

    def is_told(title: str, text: str) -> None:
        ada.finds_out()
        expect(ada.page.locator("#ended .title")).to_have_text(title)
        expect(ada.page.locator("#ended")).to_contain_text(text)

    ada.signs_in()
    site.run(end_all())
    is_told("You were signed out by an administrator", "ended by Grace Hopper")
    ada.signs_in()
    site.run(suspend())
    is_told("You can't sign in for now", "suspended")
    site.run(resume())
    ada.signs_in()
    site.clock.advance(hours=24, minutes=1)
    is_told("You were signed out after 24 hours without activity", "Sign in to go on.")


def test_who_shows_a_token_twice_is_signed_out_and_told(site: Running, sit: Sit) -> None:
    ada = sit(site)
    ada.signs_in()
    stolen = ada.cookies()["lastcall-refresh"]["value"]

    async def thief() -> None:
        await site.node.sessions.refresh(stolen, None)

    site.run(thief())
    site.clock.advance(hours=1, minutes=1)
    ada.finds_out()
    expect(ada.page.locator("#ended")).to_contain_text("used twice")


def test_another_device_shows_up_as_its_application_calls_itself(site: Running, sit: Sit) -> None:
    async def sign_in() -> None:
        seen = SignIn("Acme/4.12 (iPhone; iOS 26.1; Scale/3.00)", {}, "81.2.69.142")
        client = Client("native", "Acme iOS app")
        await site.node.identity.sign_in(EMAIL, PASSWORD, client, seen)

    site.run(sign_in())
    ada = sit(site)
    ada.signs_in()
    assert "iPhone" in ada.rows[1]
    assert "Acme iOS app" in ada.rows[1]
