"""One request to a server, in no more time than there is."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lastcall.clock import lease_clock
from lastcall.remote.addresses import Address
from lastcall.remote.asking import Asking, NotAsked, trust_of
from tests.support.answering import answering, http

LONG, SHORT = 3.0, 0.5
"""Seconds that a request has: of the first the half is waited, and the rest must do."""
ASKING = Asking("lck_planted-in-a-test", trust_of(None), lease_clock)


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """A socket's address at which a connection neither succeeds nor fails: its queue is full."""
    with socket.socket() as listener, contextlib.ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()


def resolve(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, int]) -> None:
    """Have the name of this machine stand for these addresses."""
    original = socket.getaddrinfo

    def find(host: str, *more: Any, **named: Any) -> list[Any]:  # noqa: ANN401
        if host != "localhost":
            return original(host, *more, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in found]

    monkeypatch.setattr(socket, "getaddrinfo", find)


def test_of_a_name_with_a_silent_address_the_next_one_is_asked_in_time(
    silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(http(b"{}")) as (port, asked):
        resolve(monkeypatch, silent, ("127.0.0.1", port))
        address = Address.parse(f"http://localhost:{port}")
        reply = ASKING.ask(address, "GET", "/", "application/json", b"", lease_clock() + LONG)
        assert (reply.status, len(asked)) == (200, 1)


def test_all_addresses_of_a_name_have_no_more_time_than_there_is(
    silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, *[silent] * 10)
    began = lease_clock()
    with pytest.raises(NotAsked):
        ASKING.ask(
            Address.parse("http://localhost:8000"), "GET", "/", "text/plain", b"", began + SHORT
        )
    assert lease_clock() < began + 5 * SHORT
