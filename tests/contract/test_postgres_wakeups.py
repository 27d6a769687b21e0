"""On PostgreSQL: who follows the log is woken at once, and by a poll where that fails."""

import asyncio

import pytest

from lastcall.ids import NodeId
from lastcall.stores import base
from lastcall.stores.base import Store
from lastcall.stores.postgres import wakeups
from tests.contract.test_log import append, appending
from tests.contract.writes import ADA
from tests.support.backends import Backend
from tests.support.held import PATIENCE, raw
from tests.support.values import everybody
from tools.postgres import Server

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

FOREVER = 10_000.0
LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


class Bell:
    """Rings as a store's number moves."""

    def __init__(self, store: Store) -> None:
        self._rung = asyncio.Event()
        store.watch(self._rung.set)

    async def rings(self) -> None:
        """Wait until it has rung since it was asked before."""
        async with asyncio.timeout(PATIENCE):
            await self._rung.wait()
        self.forget()

    def forget(self) -> None:
        """Take it that it has not rung."""
        self._rung.clear()

    @property
    def silent(self) -> bool:
        return not self._rung.is_set()


async def test_a_commit_of_another_process_wakes_at_once(
    store: Store, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a poll that never comes: an event does, and what a node has acknowledged."""
    monkeypatch.setattr(wakeups, "POLL_SECONDS", FOREVER)
    bell = Bell(store)
    await store.data_version()
    await bell.rings()  # it listens
    with appending(backend):
        for _ in range(3):
            version = await store.data_version()
            bell.forget()
            await bell.rings()
            assert await store.data_version() != version


async def test_what_nobody_waits_for_wakes_nobody(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOTIFY makes commits take turns: what nodes follow is told, and nothing else."""
    monkeypatch.setattr(wakeups, "POLL_SECONDS", FOREVER)
    bell = Bell(store)
    await store.data_version()
    await bell.rings()
    end = (await store.log_end()).position
    node = NodeId("n_one")
    await other.commit(base.RegisterNode(node))
    await other.commit(base.RenewNode(node, end, end))
    await bell.rings()
    version = await store.data_version()
    for _ in range(3):
        await other.commit(base.RenewNode(node, end, end))
        await other.commit(base.SetName(ADA.id, "Lovelace"))
        await other.list_users(everybody(ADA.account_id))
    assert bell.silent
    assert await store.data_version() == version
    await other.commit(append())
    await bell.rings()


async def test_a_listener_that_is_lost_comes_back_and_the_number_moves_meanwhile(
    store: Store, other: Store, backend: Backend, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(wakeups, "AGAIN_SECONDS", 0.01)
    name = backend.url.rpartition("/")[2]
    bell = Bell(store)
    await store.data_version()
    await bell.rings()
    async with raw(backend.url) as admin, asyncio.timeout(PATIENCE):
        while await admin.fetchval(f"SELECT count(*) {LISTENERS}") == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        assert await admin.fetchval(f"SELECT count(pg_terminate_backend(pid)) {LISTENERS}") == 1
        for _ in range(3):
            version = await store.data_version()
            bell.forget()
            await bell.rings()
            assert await store.data_version() != version
        assert await admin.fetchval(f"SELECT count(*) {LISTENERS}") == 0
        monkeypatch.setattr(wakeups, "POLL_SECONDS", FOREVER)
        postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        while await admin.fetchval(f"SELECT count(*) {LISTENERS}") == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await bell.rings()
    await other.commit(append())
    await bell.rings()


async def test_a_store_that_goes_on_on_another_event_loop_is_woken_there(
    store: Store, backend: Backend
) -> None:
    """That of before is gone, and who listened with it."""
    del store
    opened = backend.open()

    async def look() -> None:
        bell = Bell(opened)
        await opened.data_version()
        await bell.rings()

    for _ in range(2):
        await asyncio.to_thread(asyncio.run, look())
    await opened.close()
