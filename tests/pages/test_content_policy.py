"""The content policy holds where escaping does not: a server whose templates escape nothing, and
what an attacker would write into it (ASVS 3.4.3, 3.4.7)."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from lastcall.sessions.model import Client, SignIn
from lastcall.web import rendering
from tests.pages.conftest import Sit
from tests.pages.people import MAC, SESSIONS, Person
from tests.pages.serving import EMAIL, PASSWORD, Running, serving
from tests.support.cities import write_database

MARK = "<script>owned=1</script><img src=x onerror=owned=2>"
WATCH = """addEventListener("securitypolicyviolation", event => {
  (window.violations ??= []).push(event.effectiveDirective);
});"""
EVIL = "https://evil.example"
FRAGMENTS = {
    "<script>owned=1</script>": "script-src-elem",
    f"<script src={EVIL}/x.js></script>": "script-src-elem",
    "<script src=data:text/javascript,owned=1></script>": "script-src-elem",
    "<svg onload=owned=1>": "script-src-attr",
    "<a id=x href=javascript:owned=1>x</a>": "script-src-elem",
    f"<img src={EVIL}/x.png>": "img-src",
    "<style>* { outline: 1px solid }</style>": "style-src-elem",
    "<p style=color:red>x</p>": "style-src-attr",
    f"<link rel=stylesheet href={EVIL}/x.css>": "style-src-elem",
    f"<base href={EVIL}/>": "base-uri",
    f"<object data={EVIL}/x></object>": "object-src",
    f"<embed src={EVIL}/x>": "object-src",
    f"<iframe src={EVIL}/></iframe>": "frame-src",
    f"<form action={EVIL}/><button id=x>x</button></form>": "form-action",
}
"""What may be written into a page, and which part of the policy refuses it."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server that escapes nothing, where everything that is stored is hostile."""
    careless = rendering._environment()  # noqa: SLF001  its own, but for one thing
    careless.autoescape = False
    monkeypatch.setattr(rendering, "_TEMPLATES", careless)
    record: dict[str, object] = {"country_code": "GB", "city": {"names": {"en": MARK}}}
    cities = write_database(tmp_path / "cities.mmdb", record)
    with serving(tmp_path, city_db=cities) as running:
        running.run(_fill(running))
        yield running


async def _fill(site: Running) -> None:
    node = site.node
    account = await node.identity.add_account(MARK)
    await node.identity.add_user(account.id, EMAIL, name=MARK, password=PASSWORD)
    await node.identity.add_user(account.id, "bob@example.com", name=MARK)
    await node.services.create(account.id, MARK, ("verify",))
    hints = {"sec-ch-ua-platform": f'"{MARK}"', "sec-ch-ua": f'"{MARK}";v="1"'}
    for name in (MARK, None):
        seen = SignIn(MARK, hints, "81.2.69.142")
        await node.identity.sign_in(EMAIL, PASSWORD, Client("native", name), seen)


@pytest.fixture
def ada(site: Running, sit: Sit) -> Iterator[Person]:
    person = sit(site, MAC)
    person.page.add_init_script(WATCH)
    person.signs_in()
    person.is_at(SESSIONS)
    yield person
    person.complaints.clear()
    person.strangers.clear()


def violations(page: Page) -> list[str]:
    """Wait until the policy has refused something, and tell by which of its parts."""
    page.wait_for_function("window.violations")
    found: list[str] = page.evaluate("violations")
    return found


def owned(page: Page) -> object:
    """Give what a script has put into the page."""
    found: object = page.evaluate("window.owned")
    return found


def test_no_script_runs_from_any_stored_field_or_parameter(ada: Person, site: Running) -> None:
    """Names of people, devices, keys and organisations, of cities and systems; searches, addresses
    and what was typed before."""
    owner = site.run(site.node.identity.find_by_email(EMAIL))
    mark = quote(f'">{MARK}')
    here = "device, place, organisation and name"
    pages = {
        SESSIONS: here,
        "/settings/activity": "records",
        "/account/audit": "audit log",
        "/account/users": "people",
        f"/account/users/{owner.id}": "person",
        f"/account/users/{owner.id}/logout": "question",
        f"/account/users?q={mark}": "search",
        f"/reauthenticate?next=/{mark}": "way back",
    }
    for path, what in pages.items():
        ada.goes_to(path)
        assert "<script>owned=1" in ada.page.content(), what
        assert {"script-src-elem"} <= set(violations(ada.page)), what
        assert owned(ada.page) is None, what
    ada.page.context.clear_cookies()
    for path in (f"/sign-in?next=/{mark}", "/sign-in"):
        ada.goes_to(path)
        ada.page.locator("form").evaluate("form => form.noValidate = true")
        ada.page.get_by_label("Email").evaluate(
            "(field, mark) => { field.type = 'text'; field.value = mark; }", f'">{MARK}'
        )
        ada.page.get_by_role("textbox", name="Password").fill("x")
        with ada.page.expect_navigation():
            ada.page.get_by_role("button", name="Sign in", exact=True).click()
        assert "script-src-elem" in violations(ada.page)
        assert owned(ada.page) is None


def test_each_kind_of_injection_is_refused(ada: Person) -> None:
    """Scripts, styles, frames, plugins, a base, and forms that go elsewhere: none works."""
    page = ada.page
    for fragment, directive in FRAGMENTS.items():
        search = quote(f'"></form>{fragment}')
        ada.goes_to(f"/account/users?q={search}")
        if "id=x" in fragment:
            page.locator("#x").first.evaluate("it => it.click()")
        assert directive in violations(page), fragment
        assert owned(page) is None, fragment
        assert page.evaluate("document.baseURI").startswith(ada.site.url), fragment
