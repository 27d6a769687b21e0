"""The stream of open pages: who may open it, what it says on the wire, and when it ends."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from lastcall.live import PER_SESSION
from lastcall.server import create_app
from tests.http.serving import Served, problem, set_cookies
from tests.support.servers import EMAIL, PASSWORD, Server, add_owner, run, serving

SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def paged(served: Served) -> Served:
    """The server with its pages."""
    return served.at(create_app(served.settings, node=served.node))


async def ask(browser: httpx.AsyncClient) -> httpx.Response:
    """Ask whether a stream may be opened."""
    return await browser.head("/live", headers=SITE)


# Who may open it. A HEAD is admitted as a GET is, and opens nothing.


async def test_a_browser_that_is_signed_in_may_open_a_stream(paged: Served) -> None:
    response = await ask(await paged.browser())
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"
    assert paged.node.live.streams == 0


async def test_nobody_opens_one(paged: Served) -> None:
    for token in (None, "x.y.z"):
        browser = paged.client()
        if token:
            browser.cookies.update({"lastcall-access": token})
        assert (await ask(browser)).status_code == 401
        problem(
            await browser.get("/live", headers=SITE),
            401,
            "token_" + ("invalid" if token else "missing"),
        )


async def test_an_ended_session_opens_none_and_is_told_so(paged: Served) -> None:
    browser = await paged.browser()
    kept = dict(browser.cookies)
    await browser.post("/api/v1/sign-out")
    for name in ("lastcall-access", "lastcall-refresh"):
        again = paged.client(SITE)
        again.cookies.update({name: kept[name]})
        problem(await again.get("/live"), 401, "session_ended")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {},
    ],
    ids=str,
)
async def test_another_site_opens_none_in_a_person_s_name(
    paged: Served, headers: dict[str, str]
) -> None:
    signed_in = await paged.browser()
    for name in ("lastcall-access", "lastcall-refresh"):
        browser = paged.client(headers)
        browser.cookies.update({name: signed_in.cookies[name]})
        problem(await browser.get("/live"), 403, "csrf_failed")


async def test_past_the_access_token_s_hour_the_refresh_token_opens_one_and_is_not_used_up(
    paged: Served,
) -> None:
    browser = await paged.browser()
    before = (await paged.node.sessions.list(paged.ada.id, "active")).sessions
    paged.clock.advance(hours=2)
    response = await ask(browser)
    assert response.status_code == 200
    assert not set_cookies(response)
    assert (await paged.node.sessions.list(paged.ada.id, "active")).sessions == before
    assert (await browser.post("/api/v1/refresh")).status_code == 200


async def test_an_open_page_keeps_no_session_alive(paged: Served) -> None:
    browser = await paged.browser()
    for _ in range(12):
        assert (await ask(browser)).status_code == 200
        paged.clock.advance(hours=2)
    problem(await browser.get("/live", headers=SITE), 401, "session_ended")


async def test_a_token_in_a_header_opens_one_without_cookies(paged: Served) -> None:
    native = await paged.native()
    response = await native.client.head("/live", headers=native.auth)
    assert response.status_code == 200
    paged.clock.advance(hours=2)
    problem(await native.client.get("/live", headers=native.auth), 401, "token_expired")


@pytest.mark.parametrize("after", ["x", "-1", str(2**63), "1.5"])
async def test_what_is_no_number_of_a_record_is_refused(paged: Served, after: str) -> None:
    browser = await paged.browser()
    assert (await browser.get(f"/live?after={after}", headers=SITE)).status_code in (400, 422)


async def test_what_is_too_long_to_be_a_mark_of_services_is_refused(paged: Served) -> None:
    browser = await paged.browser()
    response = await browser.get(f"/live?services={'x' * 65}", headers=SITE)
    assert response.status_code in (400, 422)


# What it says, over a real connection to a real process


class Stream:
    """An open stream."""

    def __init__(self, server: Server, token: str, **query: int | str) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
        self._connection.request(
            "GET", f"/live?{urlencode(query)}", headers={"Authorization": f"Bearer {token}"}
        )
        self.response: HTTPResponse = self._connection.getresponse()

    def message(self) -> dict[str, str]:
        """Read the next message; a comment is an empty one, and so is the end."""
        fields: dict[str, str] = {}
        for line in iter(lambda: self.response.readline().decode().rstrip("\n"), ""):
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.strip()
        return fields

    def close(self) -> None:
        self.response.close()
        self._connection.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    add_owner(tmp_path)
    with serving(tmp_path) as running:
        yield running


def sign_in(server: Server) -> dict[str, str]:
    body = {"email": EMAIL, "password": PASSWORD}
    answer = httpx.post(f"{server.url}/api/v1/sign-in", json=body).json()
    return {"token": answer["access_token"], "session": answer["session"]["id"]}


@contextmanager
def opened(server: Server, token: str, **query: int | str) -> Iterator[Stream]:
    """Open a stream, whose first message says that it is there."""
    stream = Stream(server, token, **query)
    try:
        assert stream.response.status == 200
        assert stream.message() == {}
        yield stream
    finally:
        stream.close()


def test_a_change_is_told_with_its_number_and_told_again_to_who_missed_it(server: Server) -> None:
    ada = sign_in(server)
    with opened(server, ada["token"]) as stream:
        sign_in(server)
        told = stream.message()
        assert told == {"id": told["id"], "event": "changed", "data": "account user"}
    with opened(server, ada["token"], after=int(told["id"]) - 1) as stream:
        assert stream.message() == told


def test_a_page_that_asks_for_it_is_told_how_the_services_are_marked(server: Server) -> None:
    """By the mark that the page of the services bears."""
    ada = sign_in(server)
    with opened(server, ada["token"], services="") as stream:
        told = stream.message()
    assert told["event"] == "services"
    page = httpx.get(
        f"{server.url}/account/services", headers={"Authorization": f"Bearer {ada['token']}"}
    )
    assert f'data-services="{told["data"]}"' in page.text


def test_who_is_logged_out_by_the_command_line_is_told(server: Server, tmp_path: Path) -> None:
    ada = sign_in(server)
    with opened(server, ada["token"]) as stream:
        run(tmp_path, "user", "logout", EMAIL)
        assert stream.message() == {"event": "ended", "data": ""}
        assert stream.response.read() == b""
    assert httpx.get(
        f"{server.url}/live", headers={"Authorization": f"Bearer {ada['token']}"}
    ).json()["reason"]


def test_one_stream_too_many_is_refused_and_a_closed_one_makes_room(server: Server) -> None:
    ada = sign_in(server)
    streams = [Stream(server, ada["token"]) for _ in range(PER_SESSION + 1)]
    refused = streams.pop()
    assert refused.response.status == 429
    assert refused.response.getheader("retry-after")
    assert json.load(refused.response)["code"] == "rate_limited"
    refused.close()
    for stream in streams:
        assert stream.message() == {}
        stream.close()
    # Nobody tells the server that a connection was closed before it tries to write to it.
    deadline = time.monotonic() + 10
    while (again := Stream(server, ada["token"])).response.status == 429:
        assert time.monotonic() < deadline
        again.close()
    again.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_stops_ends_its_streams_and_waits_for_none(
    tmp_path: Path, workers: str
) -> None:
    add_owner(tmp_path)
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        serving(tmp_path, "--workers", workers, errors=errors) as server,
        opened(server, sign_in(server)["token"]) as stream,
    ):
        server.process.send_signal(signal.SIGTERM)
        assert stream.message() == {"event": "again", "data": ""}
        assert stream.response.read() == b""
        assert server.process.wait(30) == 0
    assert log.read_text() == ""
