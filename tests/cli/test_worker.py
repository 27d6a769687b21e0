"""The limits that a serving process adds to its HTTP parser, over a real socket."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.config import DictConfigurator

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from lastcall.cli import worker
from lastcall.cli.serving import FORMATTERS
from lastcall.cli.worker import (
    FeedProtocol,
    Gathered,
    LimitedProtocol,
    WithoutQuery,
    WithoutWords,
)

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
"""Of a WebSocket (RFC 6455, section 4.1)."""


async def say_headers(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the names of the request's headers, read after its body."""
    while (await receive()).get("more_body"):
        pass
    body = b" ".join(name for name, _ in scope["headers"])
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected(
    app: ASGIApp = say_headers,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a server that runs the protocol."""
    config = Config(app, http=LimitedProtocol, ws=FeedProtocol, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedProtocol(config, state, {}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            for connection in state.connections:
                connection.transport.close()
            await asyncio.gather(*state.tasks)


async def test_a_connection_is_kept_for_one_request_after_the_other() -> None:
    async with connected() as (reader, writer):
        for _ in range(3):
            writer.write(GET + b"\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(4) == b"host"


@pytest.mark.parametrize("requests_before", [0, 1])
async def test_a_head_without_an_end_is_refused_at_its_limit(requests_before: int) -> None:
    async with connected() as (reader, writer):
        for _ in range(requests_before):
            writer.write(GET + b"\r\n")
            await reader.readuntil(b"host")
        writer.write(GET + b"X-Long: ")
        answer = asyncio.ensure_future(reader.read())
        sent = 0
        while not answer.done() and sent < 64 * worker.HEAD_LIMIT:
            writer.write(b"x" * 4096)
            sent += 4096
            await asyncio.wait({answer}, timeout=0.001)
        assert (await answer).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("begun", [b"", GET], ids=["nothing", "half a head"])
async def test_a_client_that_sends_no_whole_head_is_not_waited_for(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HEAD_SECONDS", 0.05)
    async with connected() as (reader, writer):
        writer.write(begun)
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_a_slow_body_is_no_slow_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HEAD_SECONDS", 0.05)
    async with connected() as (reader, writer):
        writer.write(GET + b"Content-Length: 2\r\n\r\na")
        answer = asyncio.ensure_future(reader.readuntil(b"content-length"))
        await asyncio.wait({answer}, timeout=0.2)
        assert not answer.done()
        writer.write(b"b")
        assert (await answer).endswith(b"content-length")


async def test_what_follows_a_body_is_no_header_of_the_request() -> None:
    """Else it could say who is calling, after that was checked."""
    async with connected() as (reader, writer):
        writer.write(GET + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        writer.write(b"1\r\na\r\n0\r\nCookie: a=b\r\n\r\n")
        writer.write_eof()
        assert (await reader.read()).endswith(b"\r\n\r\nhost transfer-encoding connection")


async def test_who_reads_no_message_of_a_websocket_has_few_of_them_kept() -> None:
    """What waits for it is the feed's to bound, in one place and not in two."""
    messages = 100
    sent = 0

    async def tell(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "websocket.accept"})
        for _ in range(messages):
            await send({"type": "websocket.send", "text": "x" * 100_000})
            sent += 1

    async with connected(tell) as (reader, writer):
        writer.write(GET + HANDSHAKE + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(100_000)
        assert sent < messages
        writer.transport.abort()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/setup?token=secret", "/setup"),
        ("/api/v1/sessions/lcr_s_c1_1.2.a-b.c_d/report?x=1", "/api/v1/sessions/lcr_.../report"),
        ("/api/v1/keys/lck_k_1_a-b", "/api/v1/keys/lck_..."),
        ("/x/eyJhbGci.eyJpc3Mi.c-_d", "/x/eyJ..."),
        ("/api/v1/sessions/s_c1_01kjmma2g0", "/api/v1/sessions/s_c1_01kjmma2g0"),
    ],
)
def test_the_access_log_holds_no_query_and_no_token(path: str, shown: str) -> None:
    arguments = ("127.0.0.1:1", "GET", path, "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "%s", arguments, None)
    assert WithoutQuery().filter(record)
    assert record.args == ("127.0.0.1:1", "GET", shown, "1.1", 200)


def test_the_log_holds_no_word_of_an_error_whoever_logs_it() -> None:
    """As the event loop does, or the server, with all that caused it."""
    words = "planted", "in an error"
    try:
        try:
            raise ValueError(" ".join(words))  # noqa: TRY301  an error with a cause is the point
        except ValueError as error:
            raise RuntimeError(" ".join(words)) from error
    except RuntimeError:
        raised = sys.exc_info()
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "failed", (), raised)
    logged = WithoutWords().format(record)
    assert logged.startswith("failed\nRuntimeError\n")
    assert "caused by ValueError\n" in logged
    assert "in test_the_log_holds_no_word" in logged
    assert " ".join(words) not in logged
    used = DictConfigurator({"version": 1}).configure_formatter(FORMATTERS["plain"])
    assert isinstance(used, WithoutWords)


class Sent(asyncio.Transport):
    """Keeps what is given to it to send."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def test_what_is_said_in_one_turn_is_sent_in_one_piece_and_before_the_end() -> None:
    sent = Sent()
    gathered = Gathered(sent, asyncio.get_running_loop())
    gathered.write(b"head")
    gathered.write(b"body")
    assert sent.pieces == []
    await asyncio.sleep(0)
    assert sent.pieces == [b"headbody"]
    gathered.write(b"last words")
    gathered.close()
    assert sent.pieces == [b"headbody", b"last words"]
    assert sent.closed


async def test_nothing_is_sent_to_who_has_gone_before_the_end_of_the_turn() -> None:
    sent = Sent()
    Gathered(sent, asyncio.get_running_loop()).write(b"answer")
    sent.close()
    await asyncio.sleep(0)
    assert sent.pieces == []
