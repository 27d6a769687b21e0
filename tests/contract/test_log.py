"""One order of commits for all processes, durable, and untouched by whoever fails or leaves."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lastcall.errors import Conflict, LostRace, Unavailable
from lastcall.events import SYSTEM
from lastcall.identity.model import ServiceKey, SingleUse
from lastcall.ids import AccountId, KeyId, SessionId, UserId
from lastcall.sessions.model import SignIn
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.conftest import ROOT
from tests.support.backends import Backend
from tests.support.fakes import START
from tests.support.values import a_session, a_user, an_account, hashed


def append(name: str = "somebody") -> base.EndSession:
    """A write that only appends an event."""
    return base.EndSession(
        SessionId(f"s_{name}"),
        UserId("u_nobody"),
        AccountId("a_nobody"),
        "revoked",
        SYSTEM,
        START,
    )


def committer(
    backend: Backend, count: int, at_once: int, stdout: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Another process that appends events and prints the place of each."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.support.committer",
            backend.url,
            str(backend.secret_file),
            str(count),
            str(at_once),
        ],
        cwd=ROOT,
        stdout=stdout,
        text=True,
    )


@contextmanager
def appending(backend: Backend) -> Iterator[None]:
    """Have another process append events, one at a time, until it is killed."""
    with committer(backend, 1_000_000, 1, subprocess.DEVNULL) as process:
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


async def test_concurrent_commits_of_several_processes_have_one_order_without_gaps(
    store: Store, backend: Backend
) -> None:
    """Who has seen n never meets a smaller one later (rule 1)."""
    processes = [committer(backend, 200, 40) for _ in range(2)]
    loop = asyncio.get_running_loop()
    done = asyncio.gather(
        *(loop.run_in_executor(None, process.communicate) for process in processes)
    )
    mine: list[int] = []
    seen = 1
    while not done.done():
        committed = await store.commit(append(str(len(mine))))
        mine.append(committed.position.seq)
        end = (await store.log_end()).position.seq
        assert end >= mine[-1]
        for seq in range(seen, end + 1):
            assert await store.find_event(seq) is not None
        seen = end
    theirs = [[int(line) for line in output.split()] for output, _ in await done]
    assert [process.returncode for process in processes] == [0, 0]
    assert [len(places) for places in theirs] == [200, 200]
    every = sorted([*mine, *theirs[0], *theirs[1]])
    assert every == list(range(2, len(every) + 2))
    for places in (mine, *theirs):
        assert len(set(places)) == len(places)
    assert (await store.log_end()).position.seq == every[-1]


async def test_each_of_many_commits_at_once_tells_its_own_position_and_events(
    store: Store,
) -> None:
    committed = await asyncio.gather(*(store.commit(append(str(turn))) for turn in range(300)))
    for turn, one in enumerate(committed):
        (event,) = one.events
        assert event.session_id == f"s_{turn}"
        assert one.position == event.position
    assert [one.position.seq for one in committed] == list(range(2, 302))


async def test_what_was_committed_survives_a_kill(store: Store, backend: Backend) -> None:
    process = committer(backend, 100_000, 8)
    assert process.stdout is not None
    lines = [await asyncio.to_thread(process.stdout.readline) for _ in range(40)]
    process.kill()
    rest = (await asyncio.to_thread(process.communicate))[0]
    told = [int(line) for line in [*lines, *rest.split("\n")] if line.strip()]
    opened = backend.open()
    end = (await opened.log_end()).position.seq
    assert end >= max(told)
    for seq in range(1, end + 1):
        assert await opened.find_event(seq) is not None
    committed = await opened.commit(append())
    assert committed.position.seq == end + 1
    await opened.close()


async def test_what_was_committed_is_there_for_everybody_at_once(
    store: Store, other: Store
) -> None:
    """Nothing is cached across calls."""
    session = a_session(begun=(await store.log_end()).position)
    for turn in range(5):
        await store.commit(base.AddAccount(an_account(f"n{turn}")))
        assert len(await other.list_accounts()) == turn + 2
    await store.commit(base.Begin(session, _seen(), START))
    assert await other.find_session(session.id) is not None
    await other.commit(append(session.id.removeprefix("s_")))
    found = await store.find_session(session.id)
    assert found is not None
    assert found.session.ending is not None


async def test_a_cancelled_caller_changes_nothing_about_what_is_committed(store: Store) -> None:
    for turn in range(20):
        task = asyncio.create_task(store.commit(append(str(turn))))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    committed = await store.commit(append("last"))
    assert committed.position.seq == 22


async def test_closing_finishes_what_is_under_way(store: Store, backend: Backend) -> None:
    opened = backend.open()
    tasks = [asyncio.create_task(opened.commit(append(str(turn)))) for turn in range(200)]
    await asyncio.sleep(0)
    await opened.close()
    await asyncio.gather(*tasks)
    assert (await store.log_end()).position.seq == 201
    with pytest.raises(Unavailable):
        await opened.commit(append())
    with pytest.raises(Unavailable):
        await opened.log_end()


# Neighbours in a batch

FAILS: dict[str, tuple[base.Write, type[Exception]]] = {
    "lost race": (base.SetStatus(UserId("u_ada"), "active"), LostRace),
    "taken name": (base.AddAccount(an_account()), Conflict),
    "taken address": (base.AddUser(a_user(), None), Conflict),
    "key of no account": (
        base.AddServiceKey(
            ServiceKey(KeyId("k_x"), AccountId("a_nobody"), "x", (), b"hash", START)
        ),
        Exception,
    ),
    "link for nobody": (
        base.AddSingleUse(SingleUse(hashed("x"), "invitation", UserId("u_nobody"), START)),
        Exception,
    ),
    "user of no account": (base.AddUser(a_user("eve", "nobody"), None), Exception),
    "text that can't be written": (base.AddAccount(an_account("\ud800")), Exception),
    "not a write": ("nothing", TypeError),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("what", FAILS)
async def test_one_that_fails_does_not_undo_its_neighbours(store: Store, what: str) -> None:
    """Nor is it told as an outage: the others that shared its transaction are committed."""
    write, error = FAILS[what]
    works = [store.commit(append(str(turn))) for turn in range(30)]
    works.insert(10, store.commit(append("undone"), write))
    results = await asyncio.gather(*works, return_exceptions=True)
    failed = results.pop(10)
    assert isinstance(failed, error)
    assert not isinstance(failed, Unavailable)
    assert [one for one in results if isinstance(one, BaseException)] == []
    assert (await store.log_end()).position.seq == 31


def _seen() -> SignIn:
    return SignIn(None, {}, None)


async def test_a_reopened_store_has_all_that_was_there(store: Store, backend: Backend) -> None:
    committed = await store.commit(append(), base.AddAccount(an_account("more")))
    await store.close()
    opened = backend.open()
    assert (await opened.log_end()).position == committed.position
    assert await opened.find_event(committed.position.seq) == committed.events[0]
    assert len(await opened.list_accounts()) == 2
    await opened.close()


async def test_making_all_durable_changes_nothing(store: Store) -> None:
    before = await store.read_log(0)
    done = await store.commit(base.MakeDurable())
    after = await store.read_log(0)
    assert (done.events, done.position) == ((), before.log.position)
    assert (after.log, after.events) == (before.log, before.events)
