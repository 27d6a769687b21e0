"""A walk through every page in each of its states, for whoever looks at them all."""

from collections.abc import Callable, Iterator
from contextlib import suppress

from playwright.sync_api import expect

from lastcall.errors import InvalidCredentials
from lastcall.events import Actor
from lastcall.limits import SIGN_IN_USER
from lastcall.sessions.model import Client, SignIn
from tests.pages.elsewhere_node import another_node
from tests.pages.people import SESSIONS, Person
from tests.pages.serving import Running

Stop = tuple[str, Person]
"""A page's name, and somebody who has it before them."""


def tour(
    site: Running,
    empty: Running,
    sit: Callable[[Running], Person],
    email: str,
    password: str,
) -> Iterator[Stop]:
    """Lead somebody through the pages: of a site with that user, and of one without an account."""
    yield from _welcome(site, empty, sit, email)
    person = sit(site)
    yield from _sign_in(person, email, password)
    yield from _sessions(person)
    yield from _settings(person)
    yield from _account(person)
    yield from _proof(person, password)
    yield from _way_out(person, email)


def _welcome(
    site: Running, empty: Running, sit: Callable[[Running], Person], email: str
) -> Iterator[Stop]:
    async def invite() -> str:
        identity = site.node.identity
        owner = await identity.find_by_email(email)
        user = await identity.add_user(owner.account_id, "new@example.com", name="Nora New")
        return (await site.node.links.invite(user))[0]

    person = sit(empty)
    offered = empty.run(empty.node.links.offer_setup())
    person.goes_to(f"/setup?token={offered[0] if offered else ''}")
    yield "setup", person
    person.page.locator("form").evaluate("form => form.noValidate = true")
    person.page.get_by_label("Organisation").fill("Acme")
    person.page.get_by_label("Your name").fill("Ada Lovelace")
    person.page.get_by_label("Email").fill("ada at example.com")
    person.page.get_by_role("button", name="Create organisation").click()
    expect(person.page.locator(".error")).to_be_visible()
    yield "setup-wrong", person
    person = sit(site)
    person.goes_to(f"/invitation?token={site.run(invite())}")
    yield "invitation", person
    person.goes_to("/invitation?token=spent")
    yield "link-invalid", person


def _sign_in(person: Person, email: str, password: str) -> Iterator[Stop]:
    person.goes_to("/sign-in")
    yield "sign-in", person
    person.signs_in(email, "not it")
    expect(person.page.get_by_role("alert")).to_be_visible()
    yield "sign-in-wrong", person
    person.site.run(_guess(person.site, "crowd@example.com"))
    person.signs_in("crowd@example.com", "not it")
    expect(person.page.get_by_role("alert")).to_contain_text("2")  # minutes, in any language
    yield "sign-in-too-many", person
    person.signs_in(email, password)
    person.is_at(SESSIONS)


async def _guess(site: Running, email: str) -> None:
    """Use up what strangers may guess at a user."""
    for _ in range(SIGN_IN_USER.attempts):
        with suppress(InvalidCredentials):
            await site.node.identity.sign_in(
                email, "not it", Client("native"), SignIn(None, {}, None)
            )


def _sessions(person: Person) -> Iterator[Stop]:
    page = person.page
    yield "sessions", person
    page.locator("summary").click()
    yield "sessions-menu", person
    page.keyboard.press("Escape")
    if page.locator(".why").count():
        page.locator(".why").first.focus()
        yield "sessions-unknown", person
    page.get_by_role("link", name="Terminate session", exact=False).nth(1).click()
    yield "sessions-dialog", person
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Terminate sessions").click()
    yield "sessions-dialog-others", person
    page.keyboard.press("Escape")
    one = page.get_by_role("link", name="Terminate session", exact=False).last
    person.goes_to((one.get_attribute("href") or "").removeprefix(person.site.url))
    yield "confirm", person
    person.goes_to(f"{SESSIONS}/terminate-others")
    yield "confirm-others", person
    person.goes_to(f"{SESSIONS}/terminate?session=s_nobodys")
    yield "error-404", person
    person.goes_to(f"{SESSIONS}?ended=true")
    yield "ended", person


def _settings(person: Person) -> Iterator[Stop]:
    page = person.page
    person.goes_to("/settings/security")
    yield "security", person
    page.get_by_label("Current password").fill("not it")
    page.get_by_label("New password").fill("another sentence")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator(".error")).to_be_visible()
    yield "security-wrong", person
    person.goes_to("/settings/activity")
    yield "activity", person
    person.goes_to("/settings/activity?kind=unusual")
    yield "activity-unusual", person


def _account(person: Person) -> Iterator[Stop]:
    page, site = person.page, person.site
    person.goes_to("/account/users?q=nobody-of-this-name")
    yield "users-none", person
    person.goes_to("/account/users/add")
    yield "user-add", person
    page.locator("form").last.evaluate("form => form.noValidate = true")
    page.get_by_label("Email").fill("grace at example.com")
    page.get_by_role("button", name="Add user").click()
    expect(page.locator(".error")).to_be_visible()
    yield "user-add-wrong", person
    page.get_by_label("Email").fill("hopper@example.com")
    page.get_by_label("Name").fill("Grace Hopper")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_label("Invitation link")).to_be_visible()
    yield "user-invited", person
    added = site.run(site.node.identity.find_by_email("hopper@example.com"))
    user = f"/account/users/{added.id}"
    person.goes_to("/account/users")
    yield "users", person
    person.goes_to(user)
    yield "user", person
    page.locator(".more summary").click()
    yield "user-menu", person
    for question in ("logout", "change", "invitation", "suspend", "remove"):
        person.goes_to(f"{user}/{question}")
        yield f"user-{question}", person
    person.goes_to(f"{user}/suspend")
    page.get_by_role("button", name="Suspend").click()
    expect(page.locator("#result .notice")).to_be_visible()
    yield "user-suspended", person
    person.goes_to(f"{user}/resume")
    yield "user-resume", person
    person.goes_to(f"{user}?ended=true")
    yield "user-ended", person
    person.goes_to("/account/logout")
    yield "logout-all", person
    person.goes_to("/account/audit")
    yield "audit", person
    person.goes_to(f"/account/audit?person={added.id}&since=2026-01-01")
    yield "audit-person", person
    person.goes_to("/account/audit?kind=keys&until=2001-01-01")
    yield "audit-none", person
    yield from _services(person)


def _services(person: Person) -> Iterator[Stop]:
    person.goes_to("/account/services")
    yield "services-none", person
    with another_node(person.site):
        person.goes_to("/account/services")
        yield "services", person


def _proof(person: Person, password: str) -> Iterator[Stop]:
    person.site.clock.advance(minutes=11)
    person.goes_to(f"{SESSIONS}/terminate-others")
    person.is_at("/reauthenticate")
    yield "reauthenticate", person
    person.page.get_by_role("textbox", name="Password").fill("not it")
    person.page.get_by_role("button", name="Confirm").click()
    expect(person.page.get_by_role("alert")).to_be_visible()
    yield "reauthenticate-wrong", person
    person.page.get_by_role("textbox", name="Password").fill(password)
    person.page.get_by_role("button", name="Confirm").click()
    person.is_at(f"{SESSIONS}/terminate-others")
    person.page.locator("main").get_by_role("button", name="Terminate").click()
    expect(person.page.locator("#result .notice")).to_be_visible()
    yield "sessions-terminated", person


def _way_out(person: Person, email: str) -> Iterator[Stop]:
    site = person.site

    async def end() -> None:
        user = await site.node.identity.find_by_email(email)
        by = Actor("user", user.id, "Safari on iOS")
        await site.node.sessions.endings.terminate_all(
            user.id, user.account_id, "terminated_by_user", by
        )

    site.run(end())
    person.finds_out()
    yield "sign-in-ended", person
