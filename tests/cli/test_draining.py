"""A server that is told to stop loses nobody who has not heard of it."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import httpx
import pytest
from uvicorn import Config

from lastcall.cli import serving
from lastcall.cli.serving import Draining
from lastcall.cli.worker import LimitedProtocol
from tests.cli.test_worker import GET, say_headers
from tests.support import servers
from tests.support.servers import add_owner

ASK = GET + b"\r\n"


class App:
    """What the server stops; its answers say what was asked."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.quiet = 0.0

    __call__ = staticmethod(say_headers)

    @property
    def draining(self) -> bool:
        return bool(self.said)

    def drain(self) -> None:
        self.said = ["draining"]

    def quiet_for(self) -> float:
        return self.quiet


def draining(app: App) -> Draining:
    config = Config(
        app, http=LimitedProtocol, ws="none", lifespan="off", log_config=None, proxy_headers=False
    )
    config.load()
    return Draining(config)


async def test_it_goes_on_until_nobody_asks_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(serving, "lease_clock", lambda: now)
    app = App()
    server = draining(app)
    assert not await server.on_tick(1)
    assert app.said == []
    server.handle_exit(signal.SIGTERM, None)
    assert not await server.on_tick(2)
    assert app.said == ["draining"]
    app.quiet = serving.QUIET_SECONDS
    assert await server.on_tick(3)


async def test_it_goes_on_for_no_longer_than_that_whoever_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(serving, "lease_clock", lambda: now)
    server = draining(App())
    server.handle_exit(signal.SIGTERM, None)
    now += serving.DRAIN_SECONDS - 0.1
    assert not await server.on_tick(1)
    server.handle_exit(signal.SIGTERM, None)  # told once more, as by a supervisor of its own
    now += 0.1
    assert await server.on_tick(2)


@pytest.mark.parametrize(
    "told",
    [
        [signal.SIGINT],
        [signal.SIGTERM, signal.SIGINT],
        [signal.SIGINT, signal.SIGTERM],
    ],
    ids=["at once", "while it goes on", "whatever it is told then"],
)
async def test_at_an_interrupt_it_stops(told: list[signal.Signals]) -> None:
    server = draining(App())
    for number in told:
        server.handle_exit(number, None)
    assert await server.on_tick(1)


@asynccontextmanager
async def served(app: App) -> AsyncIterator[tuple[Draining, socket.socket]]:
    """A server that has begun, and the socket that it listens on."""
    server = draining(app)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listening])
        yield server, listening


class Client:
    """Connects and sends while nothing of the server runs."""

    def __init__(self, listening: socket.socket) -> None:
        self._socket = socket.create_connection(listening.getsockname(), timeout=10)
        self._socket.setblocking(False)

    def ask(self) -> None:
        self._socket.send(ASK)

    async def answer(self) -> bytes:
        """Read an answer, which ends with what was asked; or that the connection is over."""
        loop, said = asyncio.get_running_loop(), b""
        while not said.endswith(b"\r\n\r\nhost") and (
            more := await loop.sock_recv(self._socket, 999)
        ):
            said += more
        return said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


async def test_whoever_has_connected_and_asked_before_it_stopped_is_answered() -> None:
    """The server has not even seen them yet."""
    app = App()
    async with served(app) as (server, listening):
        with ExitStack() as stack:
            clients = [stack.enter_context(Client(listening)) for _ in range(20)]
            for client in clients[1:]:
                client.ask()
            app.drain()
            await server.shutdown([listening])
            assert await clients[0].answer() == b"", "who is silent is not waited for"
            for client in clients[1:]:
                answer = await client.answer()
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert b"connection: close" in answer


async def test_what_was_asked_on_a_kept_connection_before_it_stopped_is_answered() -> None:
    async with served(App()) as (server, listening):
        with Client(listening) as client:
            for _ in range(2):
                client.ask()
                assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
            client.ask()
            await server.shutdown([listening])
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
            assert await client.answer() == b""


async def test_while_it_goes_on_each_connection_is_answered_once_more() -> None:
    """So that who keeps connections opens others, elsewhere."""
    app = App()
    async with served(app) as (server, listening):
        with Client(listening) as client:
            for ends in (False, True):
                client.ask()
                assert (b"connection: close" in await client.answer()) == ends
                app.drain()
            assert await client.answer() == b""
            await server.shutdown([listening])


async def test_workers_are_stopped_under_load_without_a_loss(tmp_path: Path) -> None:
    """Whoever can connect is answered; the others know that they were not heard."""
    add_owner(tmp_path)
    with servers.serving(tmp_path, "--workers", "2") as server:
        answered = asyncio.Semaphore(0)

        async def ask() -> None:
            async with httpx.AsyncClient(timeout=60) as client:
                with suppress(httpx.ConnectError):
                    while True:
                        answer = await client.get(f"{server.url}/.well-known/jwks.json")
                        assert answer.status_code == 200
                        answered.release()

        asking = [asyncio.create_task(ask()) for _ in range(20)]
        for _ in range(100):
            await answered.acquire()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*asking)
        assert await asyncio.to_thread(server.process.wait, 60) == 0
