"""An answer that is lost after its commit, and a race that a tab has lost: nobody is signed out who
comes again in time, and nobody's browser is made to forget what another tab has just been given.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import pytest

from lastcall.errors import LostRace
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.server import create_app
from lastcall.settings import Settings
from lastcall.stores import base
from tests.http.serving import NOON, Served, problem
from tests.http.test_real_server import ADA, listen
from tests.support.fakes import FakeClock

SESSION, REFRESH = "/api/v1/session", "/api/v1/refresh"


@dataclass
class Wire:
    """A proxy that can lose an answer: it reads it to its end and closes the connection."""

    upstream: int
    cut: bool = False
    lost: list[bytes] = field(default_factory=list)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a request on, and its answer back unless that is to be lost."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        far_writer.write(await _message(reader))
        answer = await _message(far_reader)
        if self.cut:
            self.lost.append(answer)
        else:
            writer.write(answer)
            await writer.drain()
        for one in (writer, far_writer):
            one.close()
            await one.wait_closed()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return head + await reader.readexactly(int(length[1]) if length else 0)


@dataclass(frozen=True)
class Line:
    """A client behind the proxy, and the clock of the server."""

    client: httpx.AsyncClient
    wire: Wire
    clock: FakeClock
    path: Path

    async def lose(self, **request: object) -> dict[str, str]:
        """Send a refresh whose answer is lost, and give what was in it."""
        self.wire.cut = True
        with pytest.raises(httpx.RemoteProtocolError):
            await self.client.post(REFRESH, **request)  # type: ignore[arg-type]
        self.wire.cut = False
        body: dict[str, str] = msgspec.json.decode(self.wire.lost[-1].partition(b"\r\n\r\n")[2])
        return body


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[Line]:
    """A server on a clock that stands still, and a client that reaches it by the proxy only."""
    listener = socket.create_server(("127.0.0.1", 0))
    clock, wire = FakeClock(NOON), Wire(listener.getsockname()[1])
    proxy = await asyncio.start_server(wire.pass_on, "127.0.0.1", 0)
    url = f"http://localhost:{proxy.sockets[0].getsockname()[1]}"
    settings = Settings(database_url=database_url, public_url=url)
    node = await Node.open(
        settings, clock=clock, passwords=Passwords(CHEAP, threads=1), serving=True
    )
    headers = {"Origin": url, "Connection": "close"}
    path = Path(database_url.removeprefix("sqlite:///"))
    async with (
        listen(create_app(settings, node=node), listener),
        proxy,
        httpx.AsyncClient(
            base_url=url.replace("localhost", "127.0.0.1"), headers=headers
        ) as client,
    ):
        yield Line(client, wire, clock, path)
    await node.close()


async def test_a_native_client_that_repeats_within_the_grace_gets_the_successor_that_was_lost(
    line: Line,
) -> None:
    shown = {
        "refresh_token": (await line.client.post("/api/v1/sign-in", json=ADA)).json()[
            "refresh_token"
        ]
    }
    lost = await line.lose(json=shown)
    line.clock.advance(seconds=10)
    again = (await line.client.post(REFRESH, json=shown)).json()
    assert again["refresh_token"] == lost["refresh_token"]
    auth = {"Authorization": f"Bearer {again['access_token']}"}
    assert (await line.client.get(SESSION, headers=auth)).status_code == 200
    shown = {"refresh_token": again["refresh_token"]}
    assert (await line.client.post(REFRESH, json=shown)).status_code == 200


async def test_a_browser_that_repeats_within_the_grace_stays_signed_in(line: Line) -> None:
    await line.client.post("/api/v1/sign-in", json={**ADA, "client": "browser"})
    before = line.client.cookies["lastcall-refresh"]
    await line.lose()
    assert line.client.cookies["lastcall-refresh"] == before
    assert f"lastcall-refresh={before}".encode() not in line.wire.lost[-1]
    assert (await line.client.post(REFRESH)).status_code == 200
    given = f"lastcall-refresh={line.client.cookies['lastcall-refresh']};".encode()
    assert given in line.wire.lost[-1]
    assert (await line.client.get(SESSION)).status_code == 200


async def test_whoever_repeats_later_is_refused_and_the_lost_tokens_are_dead(line: Line) -> None:
    shown = {
        "refresh_token": (await line.client.post("/api/v1/sign-in", json=ADA)).json()[
            "refresh_token"
        ]
    }
    lost = await line.lose(json=shown)
    line.clock.advance(seconds=11)
    told = problem(await line.client.post(REFRESH, json=shown), 401, "session_ended")
    assert told["reason"] == "refresh_reuse"
    auth = {"Authorization": f"Bearer {lost['access_token']}"}
    problem(await line.client.get(SESSION, headers=auth), 401, "session_ended")
    shown = {"refresh_token": lost["refresh_token"]}
    problem(await line.client.post(REFRESH, json=shown), 401, "session_ended")


# The loser of a race keeps the cookies that the winner was given: `problem` sees to it that none is
# set or expired.


async def test_a_refresh_that_loses_every_race_is_a_conflict_and_leaves_the_cookies(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await served.browser()
    commit: Callable[..., object] = served.node.store.commit

    async def overtaken(*writes: base.Write, actor: object = None) -> object:
        if any(isinstance(write, base.Rotate) for write in writes):
            raise LostRace("another tab was faster")
        return commit(*writes, actor=actor)

    monkeypatch.setattr(served.node.store, "commit", overtaken)
    problem(await browser.post(REFRESH), 409, "conflict")
    monkeypatch.undo()
    assert (await browser.get(SESSION)).status_code == 200
    assert (await browser.post(REFRESH)).status_code == 200


@pytest.mark.parametrize("how", ["stale", "ended", "garbage", "replaced", "twice"])
async def test_a_refresh_that_is_refused_leaves_the_cookies(served: Served, how: str) -> None:
    browser = await served.browser()
    token = browser.cookies["lastcall-refresh"]
    cookie = f"lastcall-refresh={token}"
    code = "session_ended"
    if how == "stale":
        await browser.post(REFRESH)
        served.clock.advance(seconds=11)
    elif how == "ended":
        served.clock.advance(hours=25)
    elif how == "garbage":
        cookie, code = "lastcall-refresh=lcr_x", "token_invalid"
    elif how == "replaced":
        proof = {"password": ADA["password"]}
        assert (await browser.post("/api/v1/reauthenticate", json=proof)).status_code == 200
        code = "token_invalid"
    else:
        cookie, code = f"{cookie}; {cookie}", "token_invalid"
    loser = served.client({"Sec-Fetch-Site": "same-origin", "Cookie": cookie})
    problem(await loser.post(REFRESH), 401, code)
    if code == "token_invalid":
        assert (await browser.get(SESSION)).status_code == 200
