"""Guesses at the same moment, over real HTTP, to two server processes on one database."""

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.race.conftest import Ask
from tests.support.servers import EMAIL, PASSWORD, Connection, add_owner, serving

LIMIT = 10
BURST = 20 * LIMIT
CROWD = 300
SIGN_IN = "/api/v1/sign-in"


def trust_loopback(folder: Path) -> None:
    with (folder / "lastcall.toml").open("a") as settings:
        settings.write('trusted_proxies = ["127.0.0.1"]\n')


@pytest.mark.parametrize("addresses", [1, BURST])
def test_of_a_burst_of_guesses_at_one_user_ten_are_looked_at_and_a_restart_changes_nothing(
    tmp_path: Path, ask: Ask, addresses: int
) -> None:
    """From one address and from as many as guesses; a right password comes too late."""
    trust_loopback(tmp_path)
    add_owner(tmp_path)
    with serving(tmp_path) as one, serving(tmp_path) as two:
        seen = asyncio.run(_burst([one.port, two.port], addresses))
    assert seen[401] == LIMIT, seen
    assert set(seen) <= {401, 429}, seen
    with serving(tmp_path) as again:
        status, problem = asyncio.run(_sign_in(again.port, PASSWORD))
    assert (status, problem["code"]) == (429, "rate_limited")
    assert ask("SELECT count(*) FROM audit WHERE type = 'session.sign_in'") == [(LIMIT,)]


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


def test_hundreds_of_sign_ins_at_once_are_hashed_in_turn_or_told_to_come_again(
    tmp_path: Path,
) -> None:
    """Everything else is answered meanwhile, and there is never more than one hash a thread in
    memory, each of 64 MiB."""
    trust_loopback(tmp_path)
    add_owner(tmp_path)
    with serving(tmp_path) as server:
        seen = asyncio.run(_crowd(server.port, CROWD))
        peak = _peak_mib(server.process.pid)
    assert set(seen) == {401, 503}, seen
    assert seen.total() == CROWD
    threads = max(1, (os.cpu_count() or 2) - 1)
    assert peak < 200 + 64 * threads


async def _crowd(port: int, size: int) -> Counter[int]:
    async def knock(number: int) -> int:
        connection = Connection(port)
        body = {"email": f"user{number}@example.com", "password": "a guess"}
        address = f"10.0.{number // 250}.{number % 250}"
        status, answer = await connection.request("POST", SIGN_IN, body, forwarded_for=address)
        await connection.close()
        if status == 503:
            assert answer["retry_after"] > 0
        return status

    crowd = [asyncio.create_task(knock(number)) for number in range(size)]
    connection, checks = Connection(port), 0
    while not all(one.done() for one in crowd):
        assert await connection.request("GET", "/healthz") == (200, {"status": "ok"})
        checks += 1
        await asyncio.wait(crowd, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
    await connection.close()
    assert checks > 3
    return Counter(await asyncio.gather(*crowd))


def _peak_mib(pid: int) -> int:
    """The most memory that a process has ever had, in MiB."""
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) // 1024
