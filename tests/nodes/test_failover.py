"""The primary dies under load and its synchronous standby takes its place: nodes go on by
themselves, and what was answered holds."""

import asyncio
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from lastcall.clock import lease_clock
from lastcall.stores.postgres.timeline import SERVER
from tests.faults.people import People
from tests.faults.stage import Plan, Prepared, Stage, staged
from tests.nodes.diary import Diary
from tests.nodes.replicated import Replicated
from tests.nodes.site import CLIENT, Begun, Site, eventually, write_settings
from tests.support import history, verdicts
from tests.support.servers import Server, run

DATABASE: Final = "served"
LEASE: Final = 6
PLAN: Final = Plan(lease=LEASE, verifiers=2)
AGAIN: Final = 1.5
"""Seconds after which a node that has met a failure has looked at its database again."""
SETTLED: Final = "SELECT settled FROM log"
OPENED: Final = "SELECT count(*) FROM events WHERE kind = 'timeline_opened'"
MET: Final = f"SELECT server = {SERVER} FROM log"  # noqa: S608  no words of others
"""Whether the log has met its server's timeline."""
ENDED: Final = (
    "SELECT coalesce(array_agg(session_id), '{}') FROM events"
    " WHERE kind = 'session_ended' AND timeline_number = $1"
)
ACKNOWLEDGED: Final = (
    "SELECT bool_and(acked_seq = (SELECT max(seq) FROM events WHERE kind = 'session_ended'))"
    " FROM nodes"
)
CANCEL: Final = (
    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
)
EVERYWHERE: Final = [(one, to) for one in range(PLAN.verifiers) for to in range(PLAN.servers)]


@pytest.fixture(scope="module")
def replicated() -> Iterator[Replicated]:
    """A primary and its standby."""
    made = Replicated.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def prepared(replicated: Replicated, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A folder that names both, with an owner and keys."""
    folder = tmp_path_factory.mktemp("replicated")
    replicated.primary.create_database(DATABASE)
    write_settings(folder, replicated.url(DATABASE))
    return Prepared.make(folder)


def begin(site: Site, node: Server) -> httpx.Response:
    """Ask for a session."""
    return site.request(node, "POST", "/sessions", {"user": {"external_id": "eve"}, **CLIENT})


@contextmanager
def cancelling(site: Site) -> Iterator[None]:
    """Have the server cancel each wait for its standby, as an operator may."""
    over = threading.Event()

    def cancel() -> None:
        while not over.wait(0.1):
            site.value(CANCEL)

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_commit_that_the_standby_has_not_heard_of_is_told_as_unknown_and_gives_no_lease(
    replicated: Replicated, prepared: Prepared, tmp_path: Path
) -> None:
    """The server says that all is well, and warns; it may be lost yet, or hold."""
    url = replicated.url(DATABASE)
    site = Site.make(prepared, tmp_path, replicated.primary, DATABASE, url)
    with site.node() as node:
        one, two = site.begin(node), site.begin(node)
        assert site.request(node, "GET", "/session", token=one.access).status_code == 200
        replicated.standby.pause()
        try:
            with cancelling(site):
                for answer in (
                    begin(site, node),
                    site.request(node, "POST", "/refresh", {"refresh_token": one.refresh}),
                    site.request(node, "DELETE", f"/sessions/{two.id}"),
                ):
                    assert answer.status_code == 503
                    assert "whether this was done is unknown" in answer.json()["detail"]
                path, token = "/session", one.access
                eventually(
                    lambda: site.request(node, "GET", path, token=token).status_code == 503,
                    "its lease runs out",
                )
        finally:
            replicated.standby.resume()
        eventually(lambda: begin(site, node).is_success, "all is well again")
        again = site.request(node, "POST", "/refresh", {"refresh_token": one.refresh})
        assert again.is_success, "who repeats it gets what was done, or has it done"


def test_a_command_line_does_not_call_confirmed_what_the_standby_has_not_heard_of(
    replicated: Replicated, prepared: Prepared, tmp_path: Path
) -> None:
    """It can read the ending, and that the node has acknowledged it: all of that may be lost."""
    url = replicated.url(DATABASE)
    site = Site.make(prepared, tmp_path, replicated.primary, DATABASE, url)
    with site.node() as node:
        session = site.begin(node)
        replicated.standby.pause()
        try:
            with cancelling(site):
                assert site.request(node, "DELETE", f"/sessions/{session.id}").status_code == 503
                eventually(
                    lambda: site.value(ACKNOWLEDGED), "the node's row says that it knows the ending"
                )
                told = end_by_command(site, session)
                assert told["ended"] == 0
                assert (told["state"], told["certain_by"]) == ("confirming", None)
        finally:
            replicated.standby.resume()
        eventually(
            lambda: end_by_command(site, session)["state"] == "confirmed", "the standby has it"
        )


def end_by_command(site: Site, session: Begun) -> dict[str, Any]:
    """End a session by the command line; give what that says."""
    told: dict[str, Any] = json.loads(
        run(site.folder, "session", "terminate", session.id, "--json")
    )
    return told


@dataclass(frozen=True, slots=True)
class Failover:
    """When the primary was killed, and when a write was answered again, by anyone and by all."""

    killed: float
    answered: float
    all_answered: float


async def fail_over(stage: Stage, replicated: Replicated, people: People, diary: Diary) -> Failover:
    """Do it under load, and wait until all nodes take writes again."""
    with stage.outage("failover", EVERYWHERE):
        killed = await asyncio.to_thread(replicated.fail_over)
        for number in stage.lives:
            await until(partial(people.begin, number))
        now = lease_clock()
    # What was answered just before had perhaps been read by nobody else (rule 10).
    for known, at in stage.durable.items():
        if at > killed - PLAN.bound:
            stage.durable[known] = now + AGAIN
    return Failover(killed, diary.first_write(killed), now)


async def ask(replicated: Replicated, query: str, *arguments: object) -> Any:  # noqa: ANN401
    """Ask the primary's database itself."""
    value = replicated.primary.value
    return await asyncio.to_thread(lambda: value(query, *arguments, database=DATABASE))


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Ask again until something holds."""
    while not await holds():  # noqa: ASYNC110  nothing announces it
        await asyncio.sleep(0.05)


async def expect_grace(stage: Stage, replicated: Replicated, failover: Failover) -> None:
    """Expect rows to confirm nothing for a lease from the first event that is appended; and a node
    to say when that is over."""
    await until(partial(ask, replicated, MET))
    assert not await ask(replicated, SETTLED)
    async with asyncio.timeout(PLAN.bound + AGAIN + 3):
        await until(partial(ask, replicated, SETTLED))
    assert lease_clock() - failover.killed > LEASE
    number = await ask(replicated, "SELECT timeline_number FROM log")
    ended = {*await ask(replicated, ENDED, number)}
    assert ended, "sessions are ended meanwhile"
    for one in stage.history:
        if isinstance(one, verdicts.Confirmed) and one.covers & ended:
            assert one.at - failover.killed > LEASE, one


async def expect_promptness(stage: Stage, people: People) -> None:
    """Expect rows to confirm again."""
    session = None
    while session is None:
        session = await people.begin()
    began = lease_clock()
    await people.end_one(session, wait=3)
    assert any(
        isinstance(one, verdicts.Confirmed) and session in one.covers and one.at - began < 3
        for one in stage.history
    )


def report(stage: Stage, diary: Diary, failovers: list[Failover]) -> str:
    """Tell of it, for people."""
    firsts = sorted(one.answered - one.killed for one in failovers)
    alls = sorted(one.all_answered - one.killed for one in failovers)
    steps = Counter((step.kind, step.outcome) for step in diary.history)
    return stage.report() + (
        f"from the kill to the first answered write: {firsts[0]:.2f} to {firsts[-1]:.2f} s, "
        f"median {firsts[len(firsts) // 2]:.2f} s; to one of each node: {alls[0]:.2f} to "
        f"{alls[-1]:.2f} s\n"
        f"{len(diary.history)} steps: {dict(steps)}\n"
    )


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.soak)])
async def test_a_failover_loses_nothing_that_was_answered_and_lets_in_nothing_that_was_over(
    replicated: Replicated, prepared: Prepared, tmp_path: Path, rounds: int
) -> None:
    failovers = []
    before = await ask(replicated, OPENED)
    async with staged(prepared, tmp_path, PLAN) as stage:
        people = People(stage, random.Random(rounds))
        diary = Diary(stage, random.Random(rounds + 1))
        acting = [asyncio.create_task(one) for one in (people.act(10**6), diary.run(), diary.run())]
        try:
            for number in range(rounds):
                if number:
                    await asyncio.to_thread(replicated.rejoin)
                await diary.wait(40)
                failovers.append(await fail_over(stage, replicated, people, diary))
                await expect_grace(stage, replicated, failovers[-1])
                await expect_promptness(stage, people)
            await diary.wait(20)
            assert not any(task.done() for task in acting)
        finally:
            people.stop()
            for task in acting[1:]:
                task.cancel()
            ends = await asyncio.gather(*acting, return_exceptions=True)
        assert ends[0] is None
        open_ = await people.settle()
        await people.close()
        await diary.close()
    stage.finish()
    sys.stdout.write(report(stage, diary, failovers))  # `pytest -s` shows it
    assert await ask(replicated, OPENED) == before + rounds, "each promotion opens a timeline"
    assert history.faults(diary.history) == []
    assert diary.strange == []
    assert stage.faults == []
    assert open_ == [], "all is confirmed by each node in the end"
    longest = max(one.all_answered - one.killed for one in failovers)
    assert longest < PLAN.left, "an outage is shorter than what is left of the leases"
