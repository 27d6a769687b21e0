"""A server that waits for a standby: nothing is called done of which none was heard."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastcall.errors import Unavailable
from lastcall.stores import base
from tests.contract.test_log import append
from tests.contract.test_postgres_order import a_refresh
from tests.contract.writes import begin
from tests.support.backends import PostgresBackend
from tests.support.held import outcome, raw, until
from tests.support.values import a_user, an_account
from tools.postgres import Cluster

WAITING = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
GIVE_UP = f"SELECT count(pg_cancel_backend(pid)) {WAITING}"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server whose settings a test may change."""
    made = Cluster(fsync=False)
    try:
        made.start()
        yield made
    finally:
        made.close()


async def test_a_commit_of_which_no_standby_was_heard_is_unknown(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Rule 15. The server warns where it waits no longer, and commits all the same."""
    backend = PostgresBackend(cluster.create_database("waits"), tmp_path)
    store = backend.open()
    await store.commit(base.AddAccount(an_account()), base.AddUser(a_user(), None))
    session = await begin(store)
    cluster.execute(
        "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"
    )
    writes = (
        store.commit(append(), base.SetName(session.user_id, "x")),
        store.commit(base.AddAccount(an_account("more"))),
        a_refresh(store, session),
    )
    async with raw(backend.url) as admin:
        for write in writes:
            waiting = asyncio.create_task(outcome(write))
            await until(backend.url, f"SELECT count(*) {WAITING}", 1)
            assert await admin.fetchval(GIVE_UP) == 1
            came = await waiting
            assert isinstance(came, Unavailable), came
            assert "synchronous replication" in str(came)
            assert "unknown" in str(came)
    cluster.execute("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    await store.commit(append())
    await store.close()


async def test_a_birth_of_which_no_standby_was_heard_is_unknown(
    cluster: Cluster, tmp_path: Path
) -> None:
    """So is a migration, and a copy: whoever is told that it is done throws the old one away."""
    backend = PostgresBackend(cluster.create_database("born"), tmp_path)
    cluster.execute(
        "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()"
    )
    async with raw(backend.url) as admin:
        born = asyncio.create_task(outcome(asyncio.to_thread(backend.open)))
        await until(backend.url, f"SELECT count(*) {WAITING}", 1)
        assert await admin.fetchval(GIVE_UP) == 1
        came = await born
    assert isinstance(came, Unavailable), came
    assert "synchronous replication" in str(came)
    assert "unknown" in str(came)
