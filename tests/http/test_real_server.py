"""Over a real connection: uvicorn on loopback, as it is run."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import uvicorn

from lastcall.http.app import App
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.server import create_app
from lastcall.settings import Settings
from tests.support.nodes import EMAIL, PASSWORD

ADA = {"email": EMAIL, "password": PASSWORD}


@dataclass(frozen=True)
class Listening:
    """A server that accepts connections."""

    url: str
    port: int

    async def send(self, *parts: bytes) -> bytes:
        """Send raw bytes and give all that is answered until the connection is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        return answer


class Announcing(uvicorn.Server):
    """Says when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def listen(app: App, listener: socket.socket) -> AsyncIterator[None]:
    """Run uvicorn until the block ends."""
    config = uvicorn.Config(
        app, http="httptools", loop="none", lifespan="on", log_config=None, proxy_headers=False
    )
    server = Announcing(config)
    running = asyncio.create_task(server.serve([listener]))
    await asyncio.wait_for(server.ready.wait(), 30)
    try:
        yield
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def listening(database_url: str) -> AsyncIterator[Listening]:
    """A server on a free port of loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = Settings(database_url=database_url, public_url=f"http://localhost:{port}")
    app = create_app(settings, passwords=Passwords(CHEAP, threads=1))
    async with listen(app, listener):
        yield Listening(f"http://127.0.0.1:{port}", port)


@pytest.fixture
async def client(listening: Listening) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a cookie jar, as a browser on the server's own page."""
    headers = {"Origin": listening.url}
    async with httpx.AsyncClient(base_url=listening.url, headers=headers) as opened:
        yield opened


async def test_a_browser_signs_in_goes_on_and_signs_out(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/sign-in", json={**ADA, "client": "browser"})).is_success
    assert (await client.get("/api/v1/session")).json()["client_type"] == "browser"
    assert (await client.post("/api/v1/refresh")).is_success
    assert (await client.get("/api/v1/sessions")).json()["next"] is None
    assert (await client.post("/api/v1/sign-out")).status_code == 204
    assert (await client.get("/api/v1/session")).json()["code"] == "token_missing"


async def test_thirty_two_refreshes_at_once_get_one_and_the_same_successor(
    client: httpx.AsyncClient,
) -> None:
    token = (await client.post("/api/v1/sign-in", json=ADA)).json()["refresh_token"]
    answers = await asyncio.gather(
        *(client.post("/api/v1/refresh", json={"refresh_token": token}) for _ in range(32))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert len({answer.json()["access_token"] for answer in answers}) == 32


async def test_a_head_request_has_the_headers_and_no_body(client: httpx.AsyncClient) -> None:
    response = await client.head("/healthz")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "15"


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent(
    listening: Listening,
) -> None:
    answer = await listening.send(
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"too_large" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: x\r\n",
        b"X: " + b"a" * 200_000 + b"\r\n",
        b"X-Y : z\r\n",
    ],
    ids=["two callers", "two framings", "two lengths", "no length", "200 KB", "space"],
)
async def test_an_ambiguous_request_is_refused_and_the_server_lives(
    listening: Listening, client: httpx.AsyncClient, head: bytes
) -> None:
    try:
        answer = await listening.send(
            b"GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + head
            + b"\r\n"
        )
    except ConnectionError:
        answer = b""
    assert answer.split(b" ")[1:2] in ([], [b"400"], [b"401"], [b"431"])
    assert (await client.get("/healthz")).is_success


async def test_a_client_that_goes_away_in_the_middle_leaves_no_trace(
    listening: Listening, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        _, writer = await asyncio.open_connection("127.0.0.1", listening.port)
        writer.write(
            b"POST /api/v1/sign-in HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    assert (await client.get("/healthz")).is_success
    assert "unexpected" not in caplog.text


async def test_the_address_of_the_peer_counts_whatever_it_forwards(
    client: httpx.AsyncClient,
) -> None:
    headers = {"X-Forwarded-For": "81.2.69.142", "X-Forwarded-Proto": "https"}
    response = await client.post(
        "/api/v1/sign-in", json={**ADA, "client": "browser"}, headers=headers
    )
    assert response.json()["session"]["ip"] == "127.0.0.1"
    assert "Secure" not in response.headers["set-cookie"]
