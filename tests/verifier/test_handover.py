"""A server that stops asks its verifiers to go over to another one; they notice nothing."""

import asyncio
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from lastcall import Verifier
from lastcall.leases.messages import Recall, Welcome, write
from tests.support.clocks import until
from tests.support.servers import EMAIL, PASSWORD, Connection, Server, add_owner, new_key, serving
from tests.verifier.test_servers_that_fail import KEY, feeding

GREETING = write(Welcome("n", "a", "i", "a", 30.0)).decode()
RECALL = write(Recall()).decode()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two servers on one database."""
    add_owner(tmp_path)
    with serving(tmp_path) as one, serving(tmp_path) as other:
        yield one, other


def key_of(folder: Path) -> str:
    return new_key(folder, "verify")[0]


def rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "lastcall.db")) as db:
        return int(db.execute("SELECT count(*) FROM nodes").fetchone()[0])


async def signed_in(port: int) -> tuple[str, str]:
    """Sign in; give the access token and the session's id."""
    connection = Connection(port)
    body = {"email": EMAIL, "password": PASSWORD}
    status, tokens = await connection.request("POST", "/api/v1/sign-in", body)
    assert status == 200, tokens
    await connection.close()
    return tokens["access_token"], tokens["session"]["id"]


async def ends(port: int, token: str) -> dict[str, object]:
    """Sign out everywhere; give what is said of it."""
    connection = Connection(port)
    _, told = await connection.request("POST", "/api/v1/sessions/terminate-others", token=token)
    await connection.close()
    answer: dict[str, object] = told
    return answer


@pytest.mark.parametrize("names_both", [True, False])
def test_a_verifier_goes_over_and_every_check_is_answered(
    two: tuple[Server, Server], tmp_path: Path, names_both: bool
) -> None:
    """The one that stopped leaves no row behind, so that what is ended next is confirmed at once.
    Whoever names no other server keeps the lease until it runs out."""
    one, other = two
    addresses = (one.url, other.url) if names_both else (one.url,)
    token, _ = asyncio.run(signed_in(other.port))
    with Verifier(*addresses, key=key_of(tmp_path)) as verifier:
        verifier.wait_ready(10)
        following = verifier._life.following  # noqa: SLF001
        until(lambda: following.side.welcome is not None and rows(tmp_path) == 2)
        first = following.side.welcome
        one.process.send_signal(signal.SIGTERM)
        checks = 0

        def gone() -> bool:
            nonlocal checks
            checks += 1
            verifier.verify(token)  # without an exception, whoever answers it
            return one.process.poll() is not None

        until(gone)
        assert checks > 5
        verifier.verify(token)
        if names_both:
            until(lambda: verifier.status().leased and following.connected)
            assert following.side.welcome != first
            until(lambda: rows(tmp_path) == 1)
            asyncio.run(signed_in(other.port))
            assert asyncio.run(ends(other.port, token))["state"] == "confirmed"
        else:
            assert verifier.status().leased


def test_a_server_that_is_gone_before_it_hears_the_goodbye_keeps_nobody() -> None:
    """The one that was found meanwhile is followed, by its own greeting."""
    said: list[str | bytes] = []

    async def leave(connection: ServerConnection) -> None:
        await connection.send(GREETING)
        await connection.recv()
        await connection.send(RECALL)
        connection.transport.close()

    async def stay(connection: ServerConnection) -> None:
        await connection.send(GREETING.replace('"n"', '"other"', 1))
        said.append(await connection.recv())
        await connection.wait_closed()

    with feeding(leave) as gone, feeding(stay) as there:  # noqa: SIM117
        with Verifier(gone, there, key=KEY) as verifier:
            following = verifier._life.following  # noqa: SLF001
            until(lambda: said and following.side.welcome is not None)
            until(lambda: following.side.welcome and following.side.welcome.node == "other")
            assert len(following._lines) == 1  # noqa: SLF001


def test_a_verifier_that_finds_no_other_server_stays_where_it_is() -> None:
    """Nor is one that answers by the same name another one."""
    recalls: list[ServerConnection] = []

    async def act(connection: ServerConnection) -> None:
        await connection.send(GREETING)
        await connection.recv()
        if not recalls:
            recalls.append(connection)
            await connection.send(RECALL)
        await connection.wait_closed()

    with feeding(act) as address, Verifier(address, "http://127.0.0.1:9", key=KEY) as verifier:
        following = verifier._life.following  # noqa: SLF001
        until(lambda: recalls and following.connected)
        until(lambda: len(following._lines) == 1)  # noqa: SLF001
        assert following.problem is None
        assert following.connected
