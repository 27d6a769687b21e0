"""The benchmarks: that they run and count right. No test judges a time."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from benchmarks import pages, strangers
from benchmarks.client import Refused, User, always, load, request
from benchmarks.measure import Case, Outcome, Side, Turn, compare
from tests.conftest import ROOT

Reply = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


async def loaded(reply: Reply, users: list[User]) -> Turn:
    """Let users load a server that answers its n-th request as told."""
    count = 0
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        served.append(asyncio.current_task())
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                count += 1
                await reply(count, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            return await load(port, users, seconds=5)
        finally:
            await asyncio.gather(*filter(None, served))


def answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    """Write a response."""
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)


def printed(module: str, *options: str) -> list[Any]:
    """Run a benchmark; give its results."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results: list[Any] = json.loads(done.stdout)["results"]
    return results


def test_every_operation_is_measured_beside_its_floors() -> None:
    """A run prints, for each operation, lastcall's rate and a ratio to each floor."""
    results = printed("benchmarks", "--smoke")
    measured = {(result["operation"], result["clients"]) for result in results}
    names = ("refresh", "session", "list-10", "list-1000", "terminate")
    inside = ("node.refresh", "node.authenticate", "node.list-10")
    assert measured == {
        *((name, 1) for name in ("sign-in", "live-told", "live-session")),
        *((name, n) for name in names + inside for n in (1, 32)),
        *((name, 1) for name, _ in pages.PAGES),
        *((f"wrong.{kind}", 1) for kind in strangers.KINDS),
    }
    for result in results:
        assert result["lastcall"]["rate"] > 0
        assert result["floors"]
        assert all(floor["ratio"] > 0 for floor in result["floors"])


def test_refresh_list_and_terminate_are_measured_on_postgresql_beside_pgbench() -> None:
    """For each number of workers and of clients, with a ratio to pgbench; and one refresh alone,
    beside its parts."""
    results = printed("benchmarks.postgres", "--rounds", "1", "--seconds", "0.01")
    measured = [(result["operation"], result["clients"]) for result in results]
    names = [
        *(
            f"{name} {workers}w"
            for workers in (1, 2)
            for name in ("refresh", "list-10", "terminate")
        ),
        "node.refresh",
    ]
    assert measured == [*((name, n) for name in names for n in (1, 8, 32)), ("one refresh", 1)]
    for result in results:
        assert result["lastcall"]["rate"] > 0
        assert all(floor["ratio"] > 0 for floor in result["floors"])
    assert len(results[-1]["floors"]) == 3


def test_confirmation_is_measured_with_the_verifiers_on_one_two_and_four_nodes() -> None:
    """Each of them has to acknowledge, wherever it follows."""
    (result,) = printed(
        "benchmarks.nodes", "--rounds", "1", "--seconds", "0.01", "--verifiers", "6"
    )
    assert result["lastcall"]["p50"] > 0
    assert [floor["name"] for floor in result["floors"]] == ["2 nodes", "4 nodes"]
    assert all(floor["p50"] > 0 for floor in result["floors"])


def test_the_ratio_is_taken_within_each_round() -> None:
    """A round's ratio compares the two turns of that round, however the next one went."""
    slow, fast = Turn(1.0, [0.1] * 10), Turn(1.0, [0.01] * 100)
    floor = Side("floor", [fast, slow])
    assert Outcome("x", 1, Side("lastcall", [slow, fast]), (floor,)).ratios(floor) == [0.1, 10.0]


async def test_contenders_take_turns_and_the_first_round_is_discarded() -> None:
    """Each contender runs once a round, in turning order, and its warm-up counts for nothing."""
    order: list[str] = []

    class Runner:
        def __init__(self, name: str) -> None:
            self.name = name

        async def run(self, seconds: float) -> Turn:  # noqa: ARG002  a contender's form
            order.append(self.name)
            return Turn(1.0, [1.0])

    case = Case("x", 1, Runner("a"), (Runner("b"),))
    [outcome] = await compare([case], 2, 0.0, lambda _: None)
    assert order == ["b", "a", "a", "b", "b", "a"]
    assert len(outcome.lastcall.turns) == len(outcome.floors[0].turns) == 2


async def test_an_answer_in_pieces_counts_once() -> None:
    """The client waits for the whole body, and hands it to its user."""
    asks = iter([request("GET", "/"), request("GET", "/")])
    heard: list[bytes] = []

    async def reply(_: int, writer: asyncio.StreamWriter) -> None:
        for byte in answer(b"whole"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    turn = await loaded(reply, [User(lambda: next(asks, None), heard.append)])
    assert heard == [b"whole", b"whole"]
    assert len(turn.latencies) == 2


async def test_a_refusal_ends_the_run() -> None:
    """An answer other than a success is never counted: it is raised, with what was said."""

    async def reply(count: int, writer: asyncio.StreamWriter) -> None:
        status = b"200 OK" if count < 3 else b"401 Unauthorized"
        writer.write(answer(b"the token has run out", status))

    with pytest.raises(Refused, match="401: the token has run out"):
        await loaded(reply, [always(request("GET", "/"))])


async def test_a_turn_without_anything_to_ask_is_no_figure() -> None:
    """A turn in which nobody had a request is refused rather than reported."""

    async def reply(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"unasked"))

    with pytest.raises(Refused, match="nothing to ask"):
        await loaded(reply, [User(lambda: None)])
