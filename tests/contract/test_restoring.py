"""What is due after a restore, where there is much of it, or little time (instant-logout, rule 17):
it must be possible, or an operator is left with sessions that live again."""

from typing import Any

import pytest

from lastcall import restoring
from lastcall.clock import system_entropy
from lastcall.errors import Unavailable
from lastcall.restoring import Restored, restored
from lastcall.sessions.model import Session, SignIn
from lastcall.stores import base
from lastcall.stores.base import Store
from lastcall.stores.postgres import hosts
from tests.contract.writes import begin, read
from tests.support.backends import Backend
from tests.support.fakes import FakeClock
from tests.support.held import raw
from tests.support.values import ADMIN, POLICY, a_session, a_user, an_account


class Counted:
    """A store that notes what is committed, and fails once it has committed so often."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.commits: list[tuple[base.Write, ...]] = []
        self.fails_after: int | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._store, name)

    async def commit(self, *writes: base.Write) -> base.Committed:
        if len(self.commits) == self.fails_after:
            raise Unavailable("the database is busy")
        self.commits.append(writes)
        return await self._store.commit(*writes)


async def do(store: Any, **more: bool) -> Restored:  # noqa: ANN401
    return await restored(store, POLICY, FakeClock(), system_entropy, ADMIN, **more)


@pytest.fixture
async def sessions(store: Store) -> list[Session]:
    """One session each in five accounts."""
    made = [await begin(store, "0")]
    for number in range(1, 5):
        account, user = an_account(str(number)), a_user(f"u{number}", str(number))
        begun = (await store.log_end()).position
        made.append(a_session(str(number), user, begun=begun))
        begins = base.Begin(made[-1], SignIn(None, {}, None), None)
        await store.commit(base.AddAccount(account), base.AddUser(user, None), begins)
    return made


async def test_many_accounts_are_ended_in_several_commits_and_the_last_one_opens_the_epoch(
    store: Store, sessions: list[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that grows with them would at last take longer than a commit may."""
    monkeypatch.setattr(restoring, "ACCOUNTS", 2)
    counted = Counted(store)
    assert await do(counted) == Restored(ended=5, accounts=5)
    kinds = [[type(one).__name__ for one in writes] for writes in counted.commits]
    assert [one.count("EndAccount") for one in kinds] == [2, 2, 1]
    assert [one.count("OpenEpoch") for one in kinds] == [0, 0, 1]
    for session in sessions:
        ending = (await read(store, session)).ending
        assert ending is not None
        assert ending.reason == "restored"
    assert len(await store.list_records(base.RecordQuery(types=("account.logout",)))) == 5


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_what_fails_halfway_has_opened_no_epoch_and_is_done_again(
    store: Store, sessions: list[Session], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(restoring, "ACCOUNTS", 2)
    before = (await store.log_end()).position.epoch
    failing = Counted(store)
    failing.fails_after = after
    with pytest.raises(Unavailable):
        await do(failing)
    assert (await store.log_end()).position.epoch == before
    done = await do(store)
    assert (done.ended, done.accounts) == (5 - 2 * after, 5)
    assert (await store.log_end()).position.epoch != before
    for session in sessions:
        assert (await read(store, session)).ending is not None


async def test_keeping_sessions_opens_an_epoch_alone(store: Store, sessions: list[Session]) -> None:
    assert await do(store, keep=True) == Restored(ended=0, accounts=0)
    assert [(await read(store, one)).ending for one in sessions] == [None] * 5


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_a_count_that_takes_too_long_stands_in_nobody_s_way(
    store: Store, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten million sessions it may: then all end, and at least so many as were counted."""
    session = await begin(store)
    monkeypatch.setitem(hosts.SETTINGS, "lock_timeout", "50ms")
    opened = backend.open()
    async with raw(backend.url) as held:
        await held.execute("BEGIN; LOCK TABLE sessions")
        assert await do(opened) == Restored(ended=0, accounts=1)
        await held.execute("ROLLBACK")
    await opened.close()
    ending = (await read(store, session)).ending
    assert ending is not None
    assert ending.reason == "restored"
