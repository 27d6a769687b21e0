"""What other sites can make a browser do, in a real one and over TLS: nothing (ASVS 3.5.1).

What holds is looked up in the database, not in answers. Routes come from the server's declarations.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from playwright.sync_api import Browser, Page, Request

from lastcall.credentials import SAFE
from lastcall.http import endpoint
from lastcall.http.endpoint import AnyEndpoint
from lastcall.identity.model import User
from lastcall.server import ENDPOINTS
from lastcall.sessions.model import Client, SignIn
from tests.http.cast import dump
from tests.pages.conftest import Sit, chromium
from tests.pages.elsewhere import elsewhere
from tests.pages.people import MAC, SESSIONS, Person
from tests.pages.serving import EMAIL, PASSWORD, Running, serving

HOST = "auth.example.test"
PLACES = {"another site": "evil.test", "a sibling": "evil.example.test", "another port": HOST}
UNSAFE = [one for one in ENDPOINTS if one.method not in SAFE]
LEAVES_TRACES = {"audit", "sqlite_sequence", "sessions", "refreshes", "cookies"}
EVIL = "<!doctype html><title>Win</title><p>You have won"

# All ways in which a page can send something to an address, without leaving.
SEND = """async targets => {
  const quiet = promise => promise.catch(() => null);
  const waits = [];
  const form = "application/x-www-form-urlencoded";
  const wait = element => waits.push(new Promise(done => {
    element.onload = element.onerror = () => done();
    setTimeout(done, 3000);  // an answer without a page has no such event
  }));
  for (const {url, method, fields} of targets) {
    const query = new URLSearchParams(fields).toString();
    const json = JSON.stringify(fields);
    const parts = new FormData();
    for (const [name, value] of Object.entries(fields)) parts.append(name, value);
    const send = more => waits.push(quiet(fetch(url, {credentials: "include", ...more})));
    if (method === "GET") {
      send({mode: "no-cors"});
      send({mode: "cors"});
    } else {
      for (const [type, body] of [[form, query], ["text/plain", json]])
        send({method: "POST", mode: "no-cors", body, headers: {"Content-Type": type}});
      send({method: "POST", mode: "no-cors", body: parts});
      send({method: "POST", mode: "no-cors", body: new Blob([json])});
      send({method: "POST", mode: "cors", body: query, headers: {"Content-Type": form}});
      send({method, mode: "cors", body: json, headers: {"Content-Type": "application/json"}});
      navigator.sendBeacon(url, new Blob([query], {type: form}));
    }
    const got = `${url}?_method=${method}&${query}`;
    for (const [tag, name] of [["img", "src"], ["script", "src"], ["iframe", "src"]]) {
      const element = document.createElement(tag);
      element[name] = got;
      wait(element);
      document.body.append(element);
    }
    const kinds = method === "GET" ? [] : [form, "multipart/form-data", "text/plain", ""];
    for (const kind of kinds) {
      const frame = document.createElement("iframe");
      frame.name = `frame${Math.random()}`;
      document.body.append(frame);
      const sent = document.createElement("form");
      Object.assign(sent, {action: url, target: frame.name, method: kind ? "post" : "get"});
      if (kind) sent.enctype = kind;
      for (const [name, value] of Object.entries({...fields, _method: method}))
        sent.append(Object.assign(document.createElement("input"), {name, value}));
      document.body.append(sent);
      wait(frame);
      sent.submit();
    }
  }
  await Promise.all(waits);
  document.body.replaceChildren();
}"""
# A form that takes the window along, or a link that does.
LEAVE = """({url, method, fields}) => {
  const form = document.createElement("form");
  Object.assign(form, {action: url, method: method === "GET" ? "get" : "post"});
  for (const [name, value] of Object.entries(fields))
    form.append(Object.assign(document.createElement("input"), {name, value}));
  document.body.append(form);
  form.submit();
}"""

Target = dict[str, Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--host-resolver-rules=MAP *.test 127.0.0.1") as opened:
        yield opened


@dataclass(frozen=True)
class Stage:
    """A server at its own name, Ada in her browser, and what an attacker knows."""

    site: Running
    ada: Person
    tls: ssl.SSLContext
    places: dict[str, str]
    """What stands in paths, by what it is of."""
    fields: dict[str, str]

    def target(self, one: AnyEndpoint) -> Target:
        """Aim at a route with whatever any of them could want."""
        kind = one.path.rpartition("/{id}")[0].rpartition("/")[2]
        path = one.path.replace("{id}", self.places.get(kind, "x"), 1)
        path = path.replace("{session_id}", self.places["sessions"])
        path = path.replace("{id}", self.places["sessions"])
        return {"url": self.site.url + path, "method": one.method, "fields": self.fields}

    def state(self) -> dict[str, Any]:
        """Give all that is stored, in the database and in Ada's browser, but for the mark of a
        renewal, which goes by itself after seconds."""
        held = self.ada.cookies().items()
        cookies = {name: it["value"] for name, it in held if not name.endswith("-renewed")}
        return {**dump(self.site.folder), "cookies": cookies}

    def changed(self, before: dict[str, Any]) -> set[str]:
        """Tell what is different, but for the counts of attempts and the rows of nodes, which are
        nobody's."""
        after = self.state()
        return {name for name in before if before[name] != after[name]} - {"throttle", "nodes"}


@pytest.fixture(scope="module")
def certificate() -> trustme.LeafCert:
    return trustme.CA().issue_cert(*PLACES.values())


@pytest.fixture
def site(tmp_path: Path, certificate: trustme.LeafCert) -> Iterator[Running]:
    pem = tmp_path / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(pem))
    with serving(tmp_path, origin=f"https://{HOST}", ssl_certfile=str(pem)) as running:
        yield running


@pytest.fixture
def stage(site: Running, sit: Sit, certificate: trustme.LeafCert) -> Iterator[Stage]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(tls)
    owner = site.add_owner()
    ada = sit(site, MAC, ignore_https_errors=True)
    places, fields = site.run(_others(site, owner))
    ada.signs_in()
    ada.is_at(SESSIONS)
    yield Stage(site, ada, tls, places, fields)
    ada.complaints.clear()
    ada.strangers.clear()


async def _others(site: Running, ada: User) -> tuple[dict[str, str], dict[str, str]]:
    """Add whom an attacker aims at, and Eve, who has a password and an invitation of her own."""
    node = site.node
    add = node.identity.add_user
    bob = await add(ada.account_id, "bob@example.com", role="member")
    await add(ada.account_id, "eve@example.com", password=PASSWORD, role="member")
    invited = await add(ada.account_id, "mallory@example.com", role="member")
    key, _ = await node.services.create(ada.account_id, "shop", ("verify",))
    seen = SignIn("curl/8", {}, "192.0.2.7")
    other = await node.identity.sign_in(EMAIL, PASSWORD, Client("native"), seen)
    places = {"users": bob.id, "keys": key.id, "sessions": other.session.id}
    fields = {
        "email": "eve@example.com",
        "password": PASSWORD,
        "session_id": other.session.id,
        "name": "Owned",
        "role": "owner",
        "organisation": "Owned",
        "next": "/",
        "current_password": PASSWORD,
        "new_password": "a sentence of Eve's",
        "token": (await node.links.invite(invited))[0],
    }
    return places, fields


def send(page: Page, targets: list[Target]) -> None:
    """Send all that a page can, and wait until everything has been answered."""
    pending: set[Request] = set()

    def begin(request: Request) -> None:
        pending.add(request)

    def end(request: Request) -> None:
        pending.discard(request)

    page.on("request", begin)
    page.on("requestfinished", end)
    page.on("requestfailed", end)
    for start in range(0, len(targets), 6):
        page.evaluate(SEND, targets[start : start + 6])
    for _ in range(300):
        if not pending:
            break
        page.wait_for_timeout(10)


@pytest.mark.parametrize("place", PLACES)
def test_no_other_site_changes_anything_by_any_way_at_any_route(stage: Stage, place: str) -> None:
    """By form, fetch, beacon, image, script or frame; signing somebody in as somebody else, or out,
    counts as a change."""
    page = stage.ada.page
    with elsewhere(PLACES[place], EVIL, stage.tls) as evil:
        page.goto(evil)
        before = stage.state()
        send(page, [stage.target(one) for one in UNSAFE])
        assert not stage.changed(before)
    assert stage.ada.goes_to(SESSIONS) == 200


def test_nothing_changes_by_what_takes_the_window_along(stage: Stage) -> None:
    """A form's POST at the top to whatever takes one without cookies, and every page's GET: that
    one comes with the cookies from everywhere.

    A file that is taken away leaves a record of that; and a page whose tokens have run out is led
    through `/renew`, which rotates them and gives nothing to anybody else.
    """
    page = stage.ada.page
    with elsewhere(PLACES["another site"], EVIL, stage.tls) as evil:
        before = stage.state()
        for one in (one for one in ENDPOINTS if one.page or one.own_site):
            page.goto(evil)
            target = stage.target(one)
            if one.method == "GET":
                target["fields"] = {"_method": "DELETE", "session": stage.places["sessions"]}
            file = one.path.endswith("/export")
            with page.expect_download() if file else page.expect_navigation():
                page.evaluate(LEAVE, target)
            changed = stage.changed(before)
            if file or one.path == "/renew":
                assert changed <= LEAVES_TRACES, target
                before = stage.state()
            else:
                assert not changed, target
    assert stage.ada.goes_to(SESSIONS) == 200


def test_without_the_check_the_cookies_alone_would_not_do(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SameSite=Lax keeps a session from another site, but nobody from being signed in as somebody
    else, and nothing from a sibling or another port. So what the tests above send would work."""
    monkeypatch.setattr(endpoint, "require_own_site", lambda *_args, **_more: None)
    page, targets = stage.ada.page, {one.path: stage.target(one) for one in UNSAFE}
    out = [targets["/sign-out"], targets[f"{SESSIONS}/terminate-others"]]
    with elsewhere(PLACES["another site"], EVIL, stage.tls) as evil:
        page.goto(evil)
        before = stage.state()
        send(page, out)
        assert not stage.changed(before)
        with page.expect_response(targets["/sign-in"]["url"]):
            page.evaluate(LEAVE, targets["/sign-in"])
        stage.ada.is_at("/")
        assert stage.changed(before) >= {"cookies", "sessions"}
    with elsewhere(PLACES["a sibling"], EVIL, stage.tls) as evil:
        page.goto(evil)
        before = stage.state()
        send(page, out)
        assert stage.changed(before) >= {"cookies", "sessions"}
