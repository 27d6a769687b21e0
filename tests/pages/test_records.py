"""Activity, the audit log and their exports: what happened, for those whom it concerns."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime

import httpx
import pytest
from playwright.sync_api import expect

from lastcall.audit import TYPES, Record
from lastcall.errors import InvalidCredentials
from lastcall.events import SYSTEM, Actor
from lastcall.identity.administration import Admin
from lastcall.identity.model import User
from lastcall.sessions.model import Client, SignIn
from lastcall.stores import base
from lastcall.web import exports, record_words
from tests.pages.conftest import Sit
from tests.pages.people import MAC, PHONE, SESSIONS, WINDOWS, Person
from tests.pages.serving import EMAIL, PASSWORD, Running
from tests.support.nodes import DATABASE

ACTIVITY = "/settings/activity"
AUDIT = "/account/audit"
GRACE = "grace@example.com"


def add(site: Running, email: str, name: str | None = None) -> User:
    async def work() -> User:
        (account,) = await site.node.store.list_accounts()
        return await site.node.identity.add_user(account.id, email, name=name, password=PASSWORD)

    return site.run(work())


def guess(site: Running, email: str = EMAIL) -> None:
    """Try a wrong password for somebody, from far away, long after the last attempt."""

    async def work() -> None:
        seen = SignIn(WINDOWS.user_agent, {}, "103.21.58.5")
        with pytest.raises(InvalidCredentials):
            await site.node.identity.sign_in(email, "not it", Client("browser"), seen)

    with closing(sqlite3.connect(site.folder / DATABASE)) as db, db:
        db.execute("DELETE FROM throttle")
    site.run(work())


def log_out(site: Running, user: User) -> None:
    """Let Ada log somebody out, from her desk."""

    async def work() -> None:
        ada = await site.node.identity.find_by_email(EMAIL)
        seen = SignIn(MAC.user_agent, {}, MAC.ip)
        by = Actor("admin", ada.id, ada.label)
        origin = site.node.sessions.origin_of(seen)
        await site.node.administration.log_out(Admin(ada.account_id, "owner", by, origin), user.id)

    site.run(work())


def signed_in(site: Running, sit: Sit, email: str = EMAIL, **more: object) -> Person:
    person = sit(site, **more)
    person.signs_in(email)
    person.is_at(SESSIONS)
    return person


def test_every_type_of_record_has_its_words_and_its_place_in_a_filter() -> None:
    assert set(record_words.WORDS) == set(TYPES)
    grouped = {kind for group in record_words.KINDS for kind in group.types}
    assert grouped == set(TYPES)


def test_people_see_what_happened_to_them_and_what_wants_a_look(
    site: Running, sit: Sit, javascript: bool
) -> None:
    guess(site)
    ada = signed_in(site, sit, java_script_enabled=javascript)
    ada.page.get_by_role("link", name="Activity").click()
    ada.is_at(ACTIVITY)
    now, failed, added = ada.rows
    assert "Signed in" in now
    assert "Safari on macOS this session" in now
    assert "81.2.69.142" in now
    assert "Sign-in failed | Somebody did not know the password." in failed
    assert "Firefox on Windows" in failed
    assert "103.21.58.5" in failed
    assert "User added" in added
    ada.page.get_by_role("link", name="Unusual").click()
    ada.has_rows(1)
    ada.page.get_by_role("link", name="Ended sessions").click()
    expect(ada.page.locator("#records")).to_contain_text("Nothing that happened fits")


def test_what_an_admin_did_names_the_admin_and_not_where_they_are(site: Running, sit: Sit) -> None:
    """Their device, place and address are theirs."""
    user = add(site, GRACE)
    signed_in(site, sit, GRACE)
    log_out(site, user)
    grace = signed_in(site, sit, GRACE)
    grace.goes_to(ACTIVITY)
    row = next(row for row in grace.rows if "Logged out everywhere" in row)
    assert "By Ada Lovelace (administrator)" in row
    assert MAC.ip not in row
    assert "Safari" not in row


def test_the_audit_log_says_who_did_what_to_whom_and_from_where(site: Running, sit: Sit) -> None:
    user = add(site, GRACE, "Grace Hopper")
    signed_in(site, sit, GRACE)
    log_out(site, user)
    ada = signed_in(site, sit)
    ada.page.get_by_role("link", name="Audit log").click()
    row = next(row for row in ada.rows if "Logged out everywhere" in row)
    assert "Grace Hopper" in row
    assert "Ada Lovelace | Administrator" in row
    assert "Safari on macOS" in row
    assert MAC.ip in row


def test_the_audit_log_is_filtered_by_kind_person_and_day_in_its_address(
    site: Running, sit: Sit, javascript: bool
) -> None:
    user = add(site, GRACE, "Grace Hopper")
    guess(site, GRACE)
    signed_in(site, sit, GRACE)
    log_out(site, user)
    ada = signed_in(site, sit, java_script_enabled=javascript)
    ada.goes_to(AUDIT)
    ada.page.get_by_label("What").select_option("Ended sessions")
    ada.page.get_by_role("button", name="Filter").click()
    ada.page.wait_for_url("**kind=endings**")
    ada.has_rows(1)
    ada.page.get_by_role("link", name="Grace Hopper").click()
    ada.page.wait_for_url(f"**person={user.id}**")
    expect(ada.page.locator(".chosen")).to_contain_text("By or about Grace Hopper")
    ada.has_rows(4)
    ada.page.get_by_label("Person").fill("HOPPER")
    ada.page.get_by_role("button", name="Filter").click()
    ada.page.wait_for_url("**person=HOPPER**")
    ada.has_rows(4)
    today = site.clock.now().date().isoformat()
    ada.page.get_by_label("From").fill(today)
    ada.page.get_by_label("To").fill(today)
    ada.page.get_by_role("button", name="Filter").click()
    ada.page.wait_for_url(f"**until={today}**")
    ada.has_rows(4)
    ada.page.get_by_label("To").fill("2020-01-01")
    ada.page.get_by_role("button", name="Filter").click()
    expect(ada.page.locator("#records")).to_contain_text("Nothing that happened fits")
    ada.page.get_by_role("link", name="Show everything").click()
    ada.page.wait_for_url(f"**{AUDIT}")


@pytest.mark.parametrize(
    "query",
    ["kind=%00", "since=x", "since=9999-12-31&until=0001-01-01", "person=%27%20OR%201=1", "until="],
)
def test_an_address_that_somebody_has_cut_still_shows_the_page(
    site: Running, sit: Sit, query: str
) -> None:
    ada = signed_in(site, sit)
    assert ada.goes_to(f"{AUDIT}?{query}") == 200
    assert ada.goes_to(f"{AUDIT}?before=x") == 422


def test_a_report_of_a_session_is_called_out_to_admins(
    site: Running, sit: Sit, javascript: bool
) -> None:
    add(site, GRACE)
    signed_in(site, sit, GRACE)
    thief = sit(site, PHONE)
    thief.signs_in(GRACE)
    thief.page.goto("about:blank")  # or the page leaves by itself while it is sent elsewhere
    grace = sit(site, WINDOWS, java_script_enabled=javascript)
    grace.signs_in(GRACE)
    grace.goes_to(SESSIONS)
    row = grace.page.get_by_role("row").filter(has_text="iPhone")
    row.get_by_role("link", name="Terminate session").click()
    grace.page.get_by_role("button", name="I don't recognise this").locator("visible=true").click()
    result = grace.page.locator("#result")
    expect(result).to_contain_text("ended and reported to your administrators")
    result.get_by_role("link", name="Change password").click()
    grace.is_at("/settings/security")
    thief.goes_to(SESSIONS)
    expect(thief.page.locator("#ended")).to_contain_text("This session was reported")
    ada = signed_in(site, sit)
    ada.goes_to(AUDIT)
    expect(ada.page.locator("#reports")).to_contain_text("1 session was reported")
    ada.page.get_by_role("link", name="Look at them").click()
    ada.has_rows(1)
    assert any("Session reported as not recognised" in row for row in ada.rows)


# Exports


def download(person: Person, name: str) -> tuple[str, bytes]:
    """Take a file, and give its name and what is in it."""
    with person.page.expect_download() as taken:
        person.page.get_by_role("link", name=name).click()
    path = taken.value.path()
    return taken.value.suggested_filename, path.read_bytes()


HOSTILE = '=HYPERLINK("http://evil.example","x")'


def test_an_export_holds_everything_and_no_cell_is_a_formula(site: Running, sit: Sit) -> None:
    add(site, "eve@example.com", HOSTILE)
    for name in ("+1", "-1", "@x"):
        add(site, f"u{abs(hash(name))}@example.com", name)
    for _ in range(60):
        guess(site)
    ada = signed_in(site, sit)
    ada.goes_to(AUDIT)
    ada.has_rows(50)
    name, content = download(ada, "Export as CSV")
    assert name == f"audit-log-{site.clock.now():%Y-%m-%d}.csv"
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
    assert content.count(b"\r\n") == len(rows) + 1
    # One account, five users, sixty guesses, one sign-in, this export, and the signing key's none.
    kinds = [row["type"] for row in rows]
    assert kinds.count("session.sign_in") == 61
    assert kinds.count("user.add") == 5
    assert kinds[0] == "audit.export"
    assert {row["target"] for row in rows} >= {f"'{HOSTILE}", "'+1", "'-1", "'@x"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    failed = next(row for row in rows if row["outcome"] == "failure")
    assert (failed["reason"], failed["ip"]) == ("invalid_credentials", "103.21.58.5")
    assert failed["device"] == "Firefox on Windows"
    assert datetime.fromisoformat(failed["at"]).utcoffset() is not None


def test_an_export_as_json_is_the_api_s_events_under_the_same_filter(
    site: Running, sit: Sit
) -> None:
    guess(site)
    ada = signed_in(site, sit)
    ada.goes_to(f"{AUDIT}?kind=unusual")
    name, content = download(ada, "Export as JSON")
    assert name.endswith(".json")
    (event,) = json.loads(content)
    assert (event["type"], event["outcome"]) == ("session.sign_in", "failure")
    assert event["device"]["label"] == "Firefox on Windows"
    ada.goes_to(f"{AUDIT}?kind=unusual&until=2001-01-01")
    assert json.loads(download(ada, "Export as JSON")[1]) == []


def test_an_export_holds_all_of_a_long_log_once_and_in_order(site: Running, sit: Sit) -> None:
    """It is read a part at a time."""
    many = 2 * exports.BATCH + 1
    ada = signed_in(site, sit)
    account = site.run(site.node.store.list_accounts())[0].id
    at = site.clock.now()
    told = [base.AddRecord(Record("user.logout", at, account, None, SYSTEM)) for _ in range(many)]
    site.run(site.node.store.commit(*told))
    ada.goes_to(f"{AUDIT}?kind=endings")
    events = json.loads(download(ada, "Export as JSON")[1])
    numbers = [int(event["id"].removeprefix("r_")) for event in events]
    assert numbers == sorted(set(numbers), reverse=True)
    assert [event["type"] for event in events].count("user.logout") == many


def test_ones_own_activity_can_be_taken_away_and_nobody_else_s(site: Running, sit: Sit) -> None:
    add(site, GRACE, "Grace Hopper")
    guess(site, GRACE)
    ada = signed_in(site, sit)
    ada.goes_to(ACTIVITY)
    rows = list(csv.DictReader(io.StringIO(download(ada, "Export as CSV")[1].decode())))
    assert [row["type"] for row in rows] == ["session.sign_in", "user.add"]


@pytest.mark.parametrize("path", [f"{AUDIT}/export?format=csv", f"{ACTIVITY}/export"])
def test_an_export_needs_a_fresh_proof(site: Running, sit: Sit, path: str) -> None:
    ada = signed_in(site, sit)
    site.clock.advance(minutes=11)
    ada.goes_to(path)
    ada.is_at("/reauthenticate")


def test_a_member_takes_no_audit_log_away(site: Running, sit: Sit) -> None:
    add(site, GRACE)
    grace = signed_in(site, sit, GRACE)
    cookies = {name: cookie["value"] for name, cookie in grace.cookies().items()}
    with httpx.Client(base_url=site.url, cookies=cookies) as client:
        assert client.get(f"{AUDIT}/export").status_code == 403


# Bounds


@pytest.mark.parametrize("path", [ACTIVITY, AUDIT])
def test_a_page_of_records_asks_as_much_for_fifty_as_for_one(
    site: Running, sit: Sit, statements: list[str], path: str
) -> None:
    ada = signed_in(site, sit, java_script_enabled=False)  # no stream that asks, too
    statements.clear()
    ada.goes_to(path)
    few = len(statements)
    for _ in range(60):
        guess(site)
    statements.clear()
    with ada.page.expect_response(f"**{path}") as answer:
        ada.goes_to(path)
    assert len(statements) == few
    assert len(answer.value.body()) < 100_000
    ada.has_rows(50)
    ada.page.get_by_role("link", name="Older entries").click()
    ada.page.wait_for_url("**before=**")
    assert ada.page.locator("tbody tr").count() in (12, 13)


def test_hostile_names_are_text(site: Running, sit: Sit) -> None:
    marked = "<img src=x onerror=alert(1)>{{7*7}}"
    user = add(site, GRACE, marked)
    log_out(site, user)
    ada = signed_in(site, sit)
    for path in (AUDIT, f"{AUDIT}?person={user.id}", "/account/users", f"/account/users/{user.id}"):
        ada.goes_to(path)
        expect(ada.page.locator("main")).to_contain_text(marked)
        assert ada.page.locator("main img").count() == 0


# Security: the password


@pytest.fixture
def change(sit: Sit) -> Callable[[Person, str, str], None]:
    def work(person: Person, current: str, new: str) -> None:
        person.page.get_by_label("Current password").fill(current)
        person.page.get_by_label("New password").fill(new)
        person.page.get_by_role("button", name="Change password").click()

    return work


def test_a_changed_password_ends_the_other_sessions_and_this_one_goes_on(
    site: Running, sit: Sit, javascript: bool, change: Callable[[Person, str, str], None]
) -> None:
    laptop = signed_in(site, sit)
    ada = signed_in(site, sit, java_script_enabled=javascript)
    ada.page.get_by_role("link", name="Security").click()
    change(ada, PASSWORD, "a sentence of her own")
    expect(ada.page.locator("#result")).to_contain_text(
        "Your password was changed. 1 session ended."
    )
    ada.goes_to(SESSIONS)
    ada.has_rows(1)
    laptop.finds_out()
    expect(laptop.page.locator("#ended")).to_contain_text("Your password was changed")
    laptop.signs_in(EMAIL, PASSWORD)
    expect(laptop.page.get_by_role("alert")).to_be_visible()
    laptop.signs_in(EMAIL, "a sentence of her own")
    laptop.is_at(SESSIONS)


def test_other_sessions_stay_where_that_is_wished(
    site: Running, sit: Sit, change: Callable[[Person, str, str], None]
) -> None:
    laptop, ada = signed_in(site, sit), signed_in(site, sit)
    ada.goes_to("/settings/security")
    ada.page.get_by_label("End my other sessions").uncheck()
    change(ada, PASSWORD, "a sentence of her own")
    expect(ada.page.locator("#result")).to_contain_text("Your password was changed.")
    laptop.goes_to(SESSIONS)
    laptop.is_at(SESSIONS)


def test_nothing_is_said_to_be_done_by_an_address_alone(site: Running, sit: Sit) -> None:
    ada = signed_in(site, sit)
    site.clock.advance(minutes=2)
    for path in (
        "/settings/security?done=changed",
        f"{SESSIONS}?done=t_x_1",
        "/account/users?done=x",
    ):
        ada.goes_to(path)
        expect(ada.page.locator("#result")).to_be_empty()


@pytest.mark.parametrize(
    ("current", "new", "text"),
    [
        ("not it", "a sentence of her own", "This is not your password."),
        (PASSWORD, "password1234", "among the first that somebody would guess"),
        (PASSWORD, EMAIL, "among the first that somebody would guess"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_changes_nothing(
    site: Running,
    sit: Sit,
    change: Callable[[Person, str, str], None],
    current: str,
    new: str,
    text: str,
) -> None:
    ada = signed_in(site, sit)
    ada.goes_to("/settings/security")
    change(ada, current, new)
    expect(ada.page.locator(".error")).to_contain_text(text)
    again = sit(site, WINDOWS)
    again.signs_in()
    again.is_at(SESSIONS)
