"""Guesses at the same moment, over real HTTP, to two server processes on one database."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.servers import EMAIL, PASSWORD, Connection, add_owner, serving

LIMIT = 10
BURST = 20 * LIMIT
SIGN_IN = "/api/v1/sign-in"


@pytest.mark.parametrize("addresses", [1, BURST])
def test_of_a_burst_of_guesses_at_one_user_ten_are_looked_at_and_a_restart_changes_nothing(
    tmp_path: Path, addresses: int
) -> None:
    """From one address and from as many as guesses; a right password comes too late."""
    (tmp_path / "lastcall.toml").write_text('trusted_proxies = ["127.0.0.1"]\n')
    add_owner(tmp_path)
    with serving(tmp_path) as one, serving(tmp_path) as two:
        seen = asyncio.run(_burst([one.port, two.port], addresses))
    assert seen[401] == LIMIT, seen
    assert set(seen) <= {401, 429}, seen
    with serving(tmp_path) as again:
        status, problem = asyncio.run(_sign_in(again.port, PASSWORD))
    assert (status, problem["code"]) == (429, "rate_limited")
    with closing(sqlite3.connect(tmp_path / "lastcall.db")) as db:
        failures = "SELECT count(*) FROM audit WHERE type = 'session.sign_in'"
        assert db.execute(failures).fetchone() == (LIMIT,)


async def _burst(ports: list[int], addresses: int) -> Counter[int]:
    connections = [Connection(ports[number % 2]) for number in range(50)]

    async def guess(connection: Connection, first: int) -> list[int]:
        statuses = []
        for number in range(first, BURST, len(connections)):
            address = f"10.{number % addresses // 250}.0.{number % addresses % 250}"
            body = {"email": EMAIL, "password": f"guess {number}"}
            status, _ = await connection.request("POST", SIGN_IN, body, forwarded_for=address)
            statuses.append(status)
        return statuses

    found = await asyncio.gather(*(guess(one, first) for first, one in enumerate(connections)))
    for connection in connections:
        await connection.close()
    return Counter(status for statuses in found for status in statuses)


async def _sign_in(port: int, password: str) -> tuple[int, dict[str, str]]:
    connection = Connection(port)
    body = {"email": EMAIL, "password": password}
    answer = await connection.request("POST", SIGN_IN, body, forwarded_for="198.51.100.7")
    await connection.close()
    return answer
