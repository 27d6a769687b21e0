"""The judge of what real processes did can fail: it finds servers and verifiers that break the
protocol, each in one way, and not those beside them that keep it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lastcall.clock import lease_clock
from tests.faults.people import People
from tests.faults.stage import Plan, Prepared, Stage, staged
from tests.faults.trouble import DIRECTIONS
from tests.support import network, verdicts

MISSING = network.missing()


@contextlib.asynccontextmanager
async def played(
    prepared: Prepared, folder: Path, plan: Plan
) -> AsyncIterator[tuple[Stage, People]]:
    """A stage with people on it, and once they are gone its history."""
    async with staged(prepared, folder, plan) as stage:
        people = People(stage, random.Random(1))
        try:
            yield stage, people
            await asyncio.sleep(0.3)  # checks go on for a little
        finally:
            await people.close()
    stage.finish()


async def begin(stage: Stage, people: People) -> str:
    """Begin a session, and wait until every verifier accepts it."""
    session = await people.begin()
    assert session is not None
    for number in range(stage.plan.verifiers):
        await until(lambda number=number: accepts(stage, number, session))  # type: ignore[misc]
    return session


def accepts(stage: Stage, number: int, session: str) -> bool:
    """Whether a verifier has accepted a session."""
    return any(
        check.verdict == "accepted" and check.shows == (session,)
        for path in stage.folder.glob(f"v{number}-*.jsonl")
        for check in verdicts.read(path.read_bytes().rpartition(b"\n")[0])
        if isinstance(check, verdicts.Check)
    )


async def until(happened: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what must happen; fail where it doesn't."""
    end = lease_clock() + seconds
    while not happened():
        assert lease_clock() < end, "it did not happen"
        await asyncio.sleep(0.1)


def kinds(stage: Stage) -> set[tuple[str, ...]]:
    """The kinds of faults that the judge finds, and at which verifier."""
    found: set[tuple[str, ...]] = set()
    for text in stage.faults:
        kind, words = text.partition(":")[0], text.split()
        found.add((kind,) if kind == "late" else (kind, words[3].partition("-")[0]))
    return found


async def test_a_verifier_that_acknowledges_what_it_ignores_is_found(
    prepared: Prepared, tmp_path: Path
) -> None:
    plan = Plan(servers=1, verifiers=2, break_verifiers=("ignores events",))
    async with played(prepared, tmp_path, plan) as (stage, people):
        for _ in range(2):
            await people.end_one(await begin(stage, people), wait=2)
        assert await people.settle() == []
    assert kinds(stage) == {("unsafe", "v0")}


async def test_a_lease_that_counts_from_its_receipt_is_found(
    prepared: Prepared, tmp_path: Path
) -> None:
    """A grant that comes late is worth less by that (rule 7). Here what goes up is held back as
    well, or a newer grant would come with it."""
    plan = Plan(lease=2, servers=1, verifiers=2, break_verifiers=("lease from receipt",))
    async with played(prepared, tmp_path, plan) as (stage, people):
        for _ in range(3):  # so that one of them is in time, on a machine that has much to do
            session = await begin(stage, people)
            with stage.outage("stall", stage.proxies):
                for proxy in stage.proxies.values():
                    proxy.stall("down")
                await asyncio.sleep(0.3)  # a grant is on its way
                for proxy in stage.proxies.values():
                    proxy.stall("up")
                await asyncio.sleep(1.0)
                for proxy in stage.proxies.values():
                    proxy.release("down")
                await asyncio.sleep(0.05)  # it comes
                for proxy in stage.proxies.values():
                    proxy.stall("down")
                await people.end_one(session)
                assert await people.settle() == []
                await asyncio.sleep(0.5)
                for proxy in stage.proxies.values():
                    await proxy.heal()
    assert kinds(stage) == {("unsafe", "v0")}


async def test_a_verifier_that_never_acknowledges_does_not_break_the_bound(
    prepared: Prepared, tmp_path: Path
) -> None:
    plan = Plan(servers=2, verifiers=2, break_verifiers=("acknowledges nothing",))
    async with played(prepared, tmp_path, plan) as (stage, people):
        for _ in range(2):
            await people.end_one(await begin(stage, people))
            await asyncio.sleep(0.5)
        assert await people.settle() == []
    assert stage.faults == []
    assert verdicts.longest(stage.history) > 1, "it was waited for"


async def test_servers_that_wait_for_whoever_never_acknowledges_are_found(
    prepared: Prepared, tmp_path: Path
) -> None:
    """Such a verifier's lease is renewed here, so that only the bound ends the waiting."""
    plan = Plan(2, 1, 1, ("acknowledges nothing",), "waits for the deaf")
    async with played(prepared, tmp_path, plan) as (stage, people):
        await people.end_one(await begin(stage, people))
        assert await people.settle() != []
    assert kinds(stage) == {("late",)}


async def test_a_server_that_confirms_before_its_verifiers_know_is_found(
    prepared: Prepared, tmp_path: Path
) -> None:
    plan = Plan(servers=1, verifiers=1, break_servers="confirms at once")
    async with played(prepared, tmp_path, plan) as (stage, people):
        session = await begin(stage, people)
        with stage.outage("stall", stage.proxies):
            stage.proxies[0, 0].stall("down")
            await people.end_one(session, wait=1)
            assert await people.settle() == []
            await asyncio.sleep(0.5)
            await stage.proxies[0, 0].heal()
    assert kinds(stage) == {("unsafe", "v0")}


async def test_a_lease_that_ends_with_its_connection_is_found(
    prepared: Prepared, tmp_path: Path
) -> None:
    """An outage shorter than what is left of a lease changes nothing; a longer one is a cause."""
    plan = Plan(servers=1, verifiers=2, break_verifiers=("lease ends with its connection",))
    async with played(prepared, tmp_path, plan) as (stage, people):
        session = await begin(stage, people)
        for lasts in (plan.left / 2, 2.0 * plan.lease):
            await begin(stage, people)
            await asyncio.sleep(1.0)
            with stage.outage("refuse", stage.proxies):
                for proxy in stage.proxies.values():
                    proxy.refuse()
                await asyncio.sleep(lasts)
                for proxy in stage.proxies.values():
                    await proxy.heal()
            await asyncio.sleep(1.0)
    assert kinds(stage) == {("refused", "v0")}
    short = stage.known.outages[0]
    refused = [check for check in stage.checks if check.verdict != "accepted"]
    at = {check.at for check in refused if check.verifier.startswith("v1")}
    assert at, "the longer one is noticed"
    assert min(at) > short.until
    assert session in {check.shows[0] for check in refused}


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
async def test_packets_that_are_lost_one_way_do_not_break_the_bound(
    prepared: Prepared, tmp_path: Path
) -> None:
    """Neither end is told of anything: TCP goes on trying."""
    plan = Plan(lease=2, servers=1, verifiers=2, network=True)
    async with played(prepared, tmp_path, plan) as (stage, people):
        assert stage.network is not None
        for direction in DIRECTIONS:
            ended = await begin(stage, people)
            await begin(stage, people)
            with stage.outage("lose_packets", [(0, 0)]):
                stage.network.lose(direction)
                await people.end_one(ended)
                assert await people.settle() == []
                await asyncio.sleep(plan.lease)
                stage.network.heal(direction)
        await begin(stage, people)
    assert stage.faults == []
    assert verdicts.longest(stage.history) > 0.5, "it was waited for"
    out = {one.verifier.partition("-")[0] for one in stage.checks if one.verdict == "unavailable"}
    assert out == {"v0"}, "it reached nobody"
