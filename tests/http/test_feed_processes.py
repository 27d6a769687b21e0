"""The feed of real server processes: what another process writes reaches their verifiers, and a
restart costs nobody a lease."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lastcall.clock import SystemClock
from lastcall.leases.messages import Events, Happened, Welcome
from tests.support.following import PATIENCE, Follower, following, refused
from tests.support.servers import (
    EMAIL,
    PASSWORD,
    Connection,
    Server,
    add_owner,
    new_key,
    run,
    serving,
)

ADA = {"email": EMAIL, "password": PASSWORD}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its owner."""
    made = tmp_path_factory.mktemp("fed")
    add_owner(made)
    return made


@pytest.fixture(scope="module")
def key(folder: Path) -> str:
    """A service's key to follow the feed with."""
    return new_key(folder, "verify")[0]


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """Two processes on one file and one port."""
    with serving(folder, "--workers", "2") as running:
        yield running


async def command(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a command while verifiers go on; give what it says."""
    done = await asyncio.to_thread(run, folder, *arguments, "--json")
    value: dict[str, Any] = json.loads(done)
    return value


async def sign_in(port: int) -> dict[str, Any]:
    """Begin a session."""
    line = Connection(port)
    status, tokens = await line.request("POST", "/api/v1/sign-in", ADA)
    await line.close()
    assert status == 200
    value: dict[str, Any] = tokens
    return value


@asynccontextmanager
async def across(server: Server, key: str) -> AsyncIterator[tuple[Follower, Follower]]:
    """Two verifiers with leases, one at each of a server's two processes."""
    async with AsyncExitStack() as stack:
        met: dict[str, Follower] = {}
        async with asyncio.timeout(PATIENCE):
            while len(met) < 2:
                opened = following(server.port, key)
                follower = await opened.__aenter__()
                welcome = follower.told[0]
                assert isinstance(welcome, Welcome)
                if welcome.node in met:
                    await opened.__aexit__(None, None, None)
                    continue
                stack.push_async_exit(opened)
                met[welcome.node] = follower
                await follower.lease()
        one, two = met.values()
        yield one, two
        for follower in (one, two):
            await follower.say(*follower.side.give_back())


async def test_a_stranger_whose_handshakes_are_refused_writes_nothing_into_the_log(
    tmp_path: Path, key: str
) -> None:
    """Whatever is wrong with them, and each is answered: the log's reader isn't kept from what
    matters, nor the disk filled."""
    log = tmp_path / "log"
    with log.open("w") as errors:
        running = serving(tmp_path, errors=errors)
        server = await asyncio.to_thread(running.__enter__)
        try:
            for status, asked in (
                (401, refused(server.port, None)),
                (401, refused(server.port, key)),  # of another server
                (403, refused(server.port, key, origin="https://evil.example")),
                (404, refused(server.port, key, path="/elsewhere")),
            ):
                response = await asked
                assert response.status_code == status
                assert response.headers["content-type"] == "application/problem+json"
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
    assert log.read_text() == ""


def told_of(follower: Follower, kind: str) -> list[Happened]:
    """Give the events of a kind that a verifier was told of."""
    return [
        event
        for one in follower.told
        if isinstance(one, Events)
        for event in one.events
        if event.kind == kind
    ]


async def hear_of(follower: Follower, kind: str) -> Happened:
    """Go on until a verifier is told of an event of this kind; give it."""
    while not (found := told_of(follower, kind)):
        await follower.hear()
    return found[0]


async def test_what_the_command_line_ends_is_confirmed_by_the_verifiers_of_every_process(
    folder: Path, server: Server, key: str
) -> None:
    """The command says itself that all have acknowledged it."""
    tokens = await sign_in(server.port)
    async with across(server, key) as (one, two):
        for kind, arguments in (
            ("session_ended", ("session", "terminate", tokens["session"]["id"])),
            ("user_ended", ("user", "logout", EMAIL)),
        ):
            doing = asyncio.create_task(command(folder, *arguments))
            events = [await hear_of(follower, kind) for follower in (one, two)]
            assert events[0] == events[1]
            done = await doing
            assert (done["state"], done["certain_by"]) == ("confirmed", None)
            assert (done["verifiers"], done["acknowledged"]) == (2, 2)


async def test_a_signing_key_that_the_command_line_revokes_is_gone_at_every_verifier(
    folder: Path, server: Server, key: str
) -> None:
    async with across(server, key) as (one, two):
        assert one.side.view is not None
        (gone, *_) = one.side.view.keys
        doing = asyncio.create_task(command(folder, "signing-key", "revoke", gone))
        for follower in (one, two):
            assert (await hear_of(follower, "key_revoked")).key == gone
            assert follower.side.view is not None
            assert gone not in follower.side.view.keys
        done = await doing
        assert done["state"] == "confirmed"
        tokens = await sign_in(server.port)
        assert tokens["access_token"]


async def test_what_is_ended_at_one_process_is_known_at_the_other(server: Server, key: str) -> None:
    ada, other = await sign_in(server.port), await sign_in(server.port)
    async with across(server, key) as (one, two):
        line = Connection(server.port)
        path = f"/api/v1/sessions/{other['session']['id']}?wait=30"
        ending = asyncio.create_task(line.request("DELETE", path, token=ada["access_token"]))
        for follower in (one, two):
            assert (await hear_of(follower, "session_ended")).session == other["session"]["id"]
        status, done = await ending
        assert (status, done["state"]) == (200, "confirmed")
        assert (done["verifiers"], done["acknowledged"]) == (2, 2)
        # Whichever process is asked then says the same.
        for _ in range(6):
            fresh = Connection(server.port)
            path = f"/api/v1/terminations/{done['id']}?wait=30"
            _, later = await fresh.request("GET", path, token=ada["access_token"])
            await fresh.close()
            assert (later["state"], later["ended"]) == ("confirmed", 1)
        await line.close()


async def test_a_restart_leaves_verifiers_their_leases_and_they_go_on_where_they_were(
    tmp_path: Path,
) -> None:
    """What is terminated until the old leases are over is told as certain by then."""
    await asyncio.to_thread(add_owner, tmp_path)
    key, _ = new_key(tmp_path, "verify")
    clock = SystemClock()
    running = serving(tmp_path)
    server = await asyncio.to_thread(running.__enter__)
    try:
        async with following(server.port, key) as follower:
            await follower.lease()
            side = follower.side
            server.process.send_signal(signal.SIGTERM)
            assert (await follower.closed())[0] in (1001, 1012)  # ours or uvicorn's
            assert side.leased(clock.lease())
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
    running = serving(tmp_path)
    server = await asyncio.to_thread(running.__enter__)
    try:
        tokens = await sign_in(server.port)
        async with following(server.port, key, side) as follower:
            assert side.leased(clock.lease())
            assert not any(type(one).__name__ == "Snapshot" for one in follower.told)
            line = Connection(server.port)
            path = f"/api/v1/sessions/{tokens['session']['id']}?wait=0"
            _, done = await line.request("DELETE", path, token=tokens["access_token"])
            await line.close()
            assert done["state"] == "confirming"
            assert 0 < done["certain_in"] <= 37
            await hear_of(follower, "session_ended")
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def test_a_process_that_dies_delays_terminations_for_no_longer_than_its_last_lease(
    tmp_path: Path,
) -> None:
    await asyncio.to_thread(add_owner, tmp_path)
    key, _ = new_key(tmp_path, "verify")
    running = serving(tmp_path)
    server = await asyncio.to_thread(running.__enter__)
    try:
        async with following(server.port, key) as follower:
            await follower.lease()
            os.kill(server.process.pid, signal.SIGKILL)
            await follower.closed()
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
    done = await command(tmp_path, "user", "logout", EMAIL)
    assert done["state"] == "confirming"
    assert 0 < done["certain_in"] <= 37
