"""Tokens are out of a script's reach, and in no address (ASVS 3.3.4, 14.3.3, 14.2.1)."""

import json
from pathlib import Path

import httpx

from lastcall.server import ENDPOINTS
from lastcall.sessions.model import Client, SignIn
from tests.pages.conftest import Sit, put_down
from tests.pages.people import SESSIONS, Person
from tests.pages.serving import EMAIL, PASSWORD, Running, serving
from tests.pages.tour import tour
from tests.support.planted import found

# All that a script in the page can lay its hands on, as one text.
LOOK = """async addresses => {
  const seen = [document.cookie, document.documentElement.outerHTML, location.href];
  seen.push(document.referrer, JSON.stringify(history.state), window.name);
  for (const store of [localStorage, sessionStorage]) seen.push(JSON.stringify({...store}));
  for (const {name, version} of await indexedDB.databases()) seen.push(`database ${name}`);
  for (const key of await caches.keys()) seen.push(`cache ${key}`);
  seen.push(JSON.stringify(performance.getEntries()));
  for (const name of Object.getOwnPropertyNames(window)) {
    try { seen.push(`${name} ${JSON.stringify(window[name])}`); } catch { seen.push(name); }
  }
  for (const script of document.scripts) seen.push(script.src);
  for (const address of addresses) {
    const answer = await fetch(address);
    seen.push(`${address} ${answer.status}`, JSON.stringify([...answer.headers]));
    seen.push(await answer.text());
  }
  const renewed = await fetch("/api/v1/refresh", {method: "POST"});
  seen.push(JSON.stringify([...renewed.headers]), await renewed.text());
  return seen.join("\\n");
}"""
READABLE = [
    one.path
    for one in ENDPOINTS
    if one.method == "GET" and "{" not in one.path and one.path != "/live"
]


def remember(person: Person, known: dict[str, str]) -> None:
    """Remember the tokens in somebody's cookies."""
    for name, cookie in person.cookies().items():
        if cookie["value"] not in known.values():
            known[f"{name} {len(known)}"] = cookie["value"]


def test_a_script_in_the_page_finds_no_token_anywhere(site: Running, sit: Sit) -> None:
    """Not in cookies, storage, history, timings, its own world, or any answer that it can fetch;
    only ids of sessions, which prove nothing."""
    ada = sit(site)
    ada.signs_in()
    ada.is_at(SESSIONS)
    known: dict[str, str] = {}
    remember(ada, known)
    seen = ada.page.evaluate(LOOK, READABLE)
    remember(ada, known)
    assert len(known) == 5, "the tokens of before and after the renewal"
    assert not found(known, seen)
    assert '"expires_in"' in seen
    assert "set-cookie" not in seen
    assert f"{SESSIONS} 200" in seen


def test_an_id_of_a_session_proves_nothing(site: Running, sit: Sit) -> None:
    """What pages and JSON hold of a session is its name, not a key to it."""
    ada = sit(site)
    ada.signs_in()
    ada.is_at(SESSIONS)
    own = ada.page.evaluate("async () => (await (await fetch('/api/v1/session')).json()).id")
    assert isinstance(own, str)
    with httpx.Client(base_url=site.url) as client:
        for headers in (
            {"Authorization": f"Bearer {own}"},
            {"Cookie": f"lastcall-access={own}"},
            {"Cookie": f"lastcall-refresh={own}"},
            {"Cookie": f"session={own}; lastcall-access={own}; lastcall-refresh={own}"},
        ):
            assert client.get("/api/v1/session", headers=headers).status_code == 401
        answer = client.post("/api/v1/refresh", json={"refresh_token": own})
        assert answer.status_code == 401


def test_no_address_and_no_referer_of_a_whole_tour_holds_a_token(
    site: Running, tmp_path: Path, sit: Sit
) -> None:
    """Every request of a walk through all pages, as the browser itself records them (HAR)."""
    known: dict[str, str] = {}
    people: list[Person] = []
    native = SignIn("curl/8", {}, "192.0.2.7")

    async def sign_in() -> None:
        await site.node.identity.sign_in(EMAIL, PASSWORD, Client("native"), native)

    def watched(at: Running) -> Person:
        people.append(sit(at, record_har_path=tmp_path / f"{len(people)}.har"))
        return people[-1]

    site.run(sign_in())
    site.run(sign_in())
    folder = tmp_path / "empty"
    folder.mkdir()
    with serving(folder) as empty:
        for _name, person in tour(site, empty, watched, EMAIL, PASSWORD):
            remember(person, known)
        for person in people:
            put_down(person.page)
            person.page.context.close()
    records = [json.loads(file.read_bytes()) for file in tmp_path.glob("*.har")]
    asked = [entry["request"] for record in records for entry in record["log"]["entries"]]
    referers = [
        header["value"]
        for request in asked
        for header in request["headers"]
        if header["name"].lower() == "referer"
    ]
    shown = "\n".join([*(request["url"] for request in asked), *referers])
    assert len(asked) > 100
    assert len(referers) > 50
    assert len(known) >= 5
    assert not found({**known, "password": PASSWORD}, shown)
    assert found(known, json.dumps(records)), "the search finds what is there: in cookies"
