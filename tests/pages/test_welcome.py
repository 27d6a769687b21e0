"""The links that work once: setting up, and accepting an invitation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import Sit
from tests.pages.people import SESSIONS, Person
from tests.pages.serving import EMAIL, PASSWORD, Running, serving


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Running]:
    """A server without an account."""
    with serving(tmp_path) as running:
        yield running


def is_dead(person: Person, link: str) -> None:
    assert person.goes_to(link) == 404
    expect(person.page.get_by_role("heading", level=1)).to_have_text(
        "This link doesn't work any more"
    )


def test_the_set_up_link_makes_the_owner_and_then_is_dead(
    empty: Running, sit: Sit, javascript: bool
) -> None:
    offered = empty.run(empty.node.links.offer_setup())
    assert offered is not None
    link = f"/setup?token={offered[0]}"
    ada, late = (sit(empty, java_script_enabled=javascript) for _ in range(2))
    late.goes_to(link)
    ada.goes_to(link)
    ada.page.get_by_label("Organisation").fill("Acme & Sons")
    ada.page.get_by_label("Your name").fill("Ada Lovelace")
    ada.page.get_by_label("Email").fill(EMAIL)
    for password, wrong in (("12345678", "among the first"), (EMAIL, "among the first")):
        ada.page.get_by_role("textbox", name="Password").fill(password)
        ada.page.get_by_role("button", name="Create organisation").click()
        expect(ada.page.locator("#password-error")).to_contain_text(wrong)
        expect(ada.page.get_by_role("textbox", name="Password")).to_be_focused()
    expect(ada.page.get_by_label("Organisation")).to_have_value("Acme & Sons")
    assert "token" not in ada.page.url, "the token leaves the address with the first form"
    ada.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    ada.page.get_by_role("button", name="Create organisation").click()
    ada.is_at(SESSIONS)
    expect(ada.page.locator(".account")).to_have_text("Acme & Sons")
    is_dead(ada, link)
    late.page.get_by_label("Organisation").fill("Evil")
    late.page.get_by_label("Your name").fill("Eve")
    late.page.get_by_label("Email").fill("eve@example.com")
    late.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    late.page.get_by_role("button", name="Create organisation").click()
    expect(late.page.get_by_role("heading", level=1)).to_have_text(
        "This link doesn't work any more"
    )
    assert len(empty.run(empty.node.store.list_accounts())) == 1


def test_empty_fields_are_named_where_they_are(empty: Running, sit: Sit) -> None:
    offered = empty.run(empty.node.links.offer_setup())
    assert offered is not None
    ada = sit(empty)
    ada.goes_to(f"/setup?token={offered[0]}")
    ada.page.locator("form").evaluate("form => form.noValidate = true")
    with ada.page.expect_response("**/setup") as answer:
        ada.page.get_by_role("button", name="Create organisation").click()
    assert answer.value.status == 422
    expect(ada.page.locator("#organisation-error")).to_have_text("Fill this in.")


def test_an_invitation_lets_somebody_choose_a_password_once(
    site: Running, sit: Sit, javascript: bool
) -> None:
    identity = site.node.identity

    async def invite() -> str:
        owner = await identity.find_by_email(EMAIL)
        user = await identity.add_user(owner.account_id, "grace@example.com", name="Grace Hopper")
        return (await site.node.links.invite(user))[0]

    link = f"/invitation?token={site.run(invite())}"
    grace = sit(site, java_script_enabled=javascript)
    grace.goes_to(link)
    expect(grace.page.get_by_role("heading", level=1)).to_have_text("Join Acme")
    expect(grace.page.get_by_label("Email")).to_have_value("grace@example.com")
    grace.page.get_by_role("textbox", name="Password").fill("password1")
    grace.page.get_by_role("button", name="Set password").click()
    expect(grace.page.locator("#password-error")).to_contain_text("among the first")
    grace.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    grace.page.get_by_role("button", name="Set password").click()
    grace.is_at(SESSIONS)
    expect(grace.page.locator(".profile .who")).to_contain_text("Member")
    is_dead(sit(site, java_script_enabled=javascript), link)


@pytest.mark.parametrize(
    "link", ["/setup", "/setup?token=x", "/invitation", "/invitation?token=%F0%9F%90%8D"]
)
def test_a_link_that_nobody_gave_is_dead(site: Running, sit: Sit, link: str) -> None:
    is_dead(sit(site), link)
