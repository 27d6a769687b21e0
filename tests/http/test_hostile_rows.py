"""What a client says of itself is what an attacker writes into other people's lists: wherever it is
shown again, it is text (attacks from the sign-in, seen by its user and by their admin)."""

import csv
import io
import json
import logging
import re
from html.parser import HTMLParser

import pytest

from lastcall.device.agent import USER_AGENT_LIMIT
from lastcall.http.endpoint import API
from lastcall.server import create_app
from tests.http.serving import Served
from tests.support.nodes import PASSWORD

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": '"><img src=x onerror=alert(1)>',
    "template": "{{7*7}}${7*7}",
    "direction": "\u202egpj.exe",
    "terminal": "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "large": "A" * 65_536,
    "emoji": "\U0001f480" * 20,
    "null": "a\x00b",
    "formula": "=cmd|'/c calc'!A1",
    "formula at": "@SUM(1+1)*cmd",
    "lines": "x\r\nINJECTED line\r\n",
}
HEADERS = (
    "User-Agent",
    "Accept-Language",
    "X-Forwarded-For",
    "Sec-CH-UA",
    "Sec-CH-UA-Platform",
    "Sec-CH-UA-Platform-Version",
    "Sec-CH-UA-Full-Version-List",
)
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
"""What would do something to a terminal or to the order of words."""
PAGES = ("/settings/sessions", "/settings/activity", "/account/audit", "/account/users/{id}")
CALLS = ("/sessions", "/activity", "/audit", "/users/{id}/sessions")


class Elements(HTMLParser):
    """The names of a page's elements, and of attributes that run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_what_a_client_says_of_itself_is_text_wherever_it_is_shown(
    served: Served, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the pages of its user and of their admin, in exports, in JSON and in the log."""
    caplog.set_level(logging.DEBUG, "lastcall")
    served = served.at(create_app(served.settings, node=served.node))
    raw = [(name.encode(), text.encode()) for name in HEADERS]
    client = served.client(peer="127.0.0.1")
    client.headers.clear()
    known = {"email": "ada@example.com", "password": PASSWORD}
    for name in (text, None):
        body = {**known, "name": name}
        response = await client.post(f"{API}/sign-in", json=body, headers=raw)
        # A name is refused that nobody could read; what headers say is taken as it can be.
        assert response.status_code in ((200, 413, 422) if name else (200,))
    await client.post(f"{API}/sign-in", json={**known, "password": "wrong"}, headers=raw)
    ada = await served.browser()
    added = await ada.post(f"{API}/users", json={"email": "eve@example.com", "name": text})
    assert added.status_code in (201, 413, 422)
    for path in PAGES:
        page = (await ada.get(path.replace("{id}", served.ada.id))).text
        found = Elements(page)
        assert not found.names & {"img", "b", "iframe", "style", "base"}, path
        assert not found.handlers, path
        assert page.count("<script") == page.count('<script type="module"'), path
        assert not CONTROL.search(page), path
        assert "49$" not in page, path
        assert len(page) < 100_000, path
    for path in CALLS:
        answer = await ada.get(API + path.replace("{id}", served.ada.id))
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        said = json.dumps(answer.json(), ensure_ascii=False)
        assert not CONTROL.search(said), path
        assert len(said) < 4 * USER_AGENT_LIMIT + 8_000, path
    for path in ("/settings/activity/export", "/account/audit/export?format=csv"):
        answer = await ada.get(path)
        assert answer.headers["content-disposition"].startswith("attachment")
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert {len(row) for row in rows} == {15}
        cells = [cell for row in rows for cell in row]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
        assert not any(CONTROL.search(cell) for cell in cells)
    assert not any(line.startswith("INJECTED") for line in caplog.text.splitlines())
    assert not CONTROL.search(caplog.text)
