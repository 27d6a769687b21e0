"""What tests of a failover build on: a PostgreSQL server, and another that follows it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from tests.support.rough_proxy import RoughProxy
from tools.postgres import Cluster
from tools.replication import (
    STANDBY,
    follow,
    make_synchronous,
    promote,
    rejoin,
    timeline,
    wait_caught_up,
)

HUNG = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture
def primary() -> Iterator[Cluster]:
    """A server with a table of numbers."""
    made = Cluster()
    try:
        made.start()
        made.execute("CREATE TABLE t (n int PRIMARY KEY)")
        yield made
    finally:
        made.close()


@pytest.fixture
def standby(primary: Cluster) -> Iterator[Cluster]:
    """Its standby."""
    made = follow(primary)
    yield made
    made.close()


@pytest.fixture
async def client(primary: Cluster) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to the primary."""
    connection = await asyncpg.connect(primary.url())
    yield connection
    connection.terminate()


def numbers(cluster: Cluster) -> list[int]:
    return list(cluster.value("SELECT coalesce(array_agg(n ORDER BY n), '{}') FROM t"))


@pytest.fixture
async def way(primary: Cluster) -> AsyncIterator[RoughProxy]:
    """A way to the primary that can be cut."""
    proxy = RoughProxy(primary.port)
    await proxy.start()
    yield proxy
    await proxy.close()


@pytest.fixture
async def distant(primary: Cluster, way: RoughProxy) -> AsyncIterator[Cluster]:
    """A standby that comes to the primary by that way."""
    made = await asyncio.to_thread(follow, primary, port=way.port)
    yield made
    made.close()


async def test_a_synchronous_standby_has_each_answered_commit(
    primary: Cluster, distant: Cluster, way: RoughProxy
) -> None:
    """Four clients write until the way between the two is cut; then the primary is killed."""
    await asyncio.to_thread(make_synchronous, primary, STANDBY)
    answered: list[int] = []
    enough = asyncio.Event()

    async def write(first: int) -> None:
        connection = await asyncpg.connect(primary.url())
        for n in range(first, 100_000, 4):
            await connection.execute("INSERT INTO t VALUES ($1)", n)
            answered.append(n)
            if len(answered) == 100:
                enough.set()

    def hang_or_go_on() -> bool:
        return primary.value(HUNG) == 4 or len(answered) > 1000

    writers = [asyncio.create_task(write(first)) for first in range(4)]
    await enough.wait()
    way.refuse()
    await asyncio.to_thread(primary.until, "hang", hang_or_go_on)
    await asyncio.to_thread(primary.kill)
    ends = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(end, (asyncpg.PostgresConnectionError, OSError)) for end in ends)
    promote(distant)
    assert set(numbers(distant)) >= set(answered)


def test_a_promotion_begins_another_timeline(primary: Cluster, standby: Cluster) -> None:
    assert timeline(primary) == 1
    primary.kill()
    promote(standby)
    assert timeline(standby) == 2


def test_a_promoted_standby_waits_for_no_standby(primary: Cluster, standby: Cluster) -> None:
    """Even where its settings came from a primary that did."""
    make_synchronous(primary, STANDBY)
    second = follow(primary, "second")
    try:
        standby.kill()
        primary.kill()
        promote(second)
        assert second.value("SHOW synchronous_standby_names") == ""
        second.execute("INSERT INTO t VALUES (1)")
    finally:
        second.close()


def test_a_standby_that_caught_up_shows_all(primary: Cluster, standby: Cluster) -> None:
    standby.pause()
    primary.execute("INSERT INTO t SELECT generate_series(1, 10000)")
    standby.resume()
    wait_caught_up(standby, primary)
    assert len(numbers(standby)) == 10_000


@pytest.mark.parametrize("by", ["server", "client"])
async def test_a_commit_that_no_standby_has_is_not_answered(
    primary: Cluster,
    standby: Cluster,
    client: "asyncpg.Connection[asyncpg.Record]",
    by: str,
) -> None:
    """Who cancels it is told that it is committed here and perhaps nowhere else; only the server
    that cancels it itself then answers as if all were well."""
    notices: list[str] = []
    client.add_log_listener(lambda _, message: notices.append(str(message)))
    make_synchronous(primary, STANDBY)
    standby.pause()
    commit = asyncio.create_task(client.execute("INSERT INTO t VALUES (1)"))
    await asyncio.to_thread(primary.until, "wait", lambda: primary.value(HUNG) == 1)
    assert numbers(primary) == []
    if by == "server":
        primary.value("SELECT pg_cancel_backend($1)", client.get_server_pid())
        assert await commit == "INSERT 0 1"
    else:
        commit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await commit
    await client.fetchval("SELECT 1")
    assert "canceling wait for synchronous replication" in notices[0]
    assert numbers(primary) == [1]
    standby.resume()
    wait_caught_up(standby, primary)
    assert numbers(standby) == [1]


def test_an_old_primary_rejoins_and_forgets_what_only_it_had(
    primary: Cluster, standby: Cluster
) -> None:
    primary.execute("INSERT INTO t VALUES (1)")
    wait_caught_up(standby, primary)
    standby.kill()
    primary.execute("INSERT INTO t VALUES (2)")
    primary.kill()
    standby.start()
    promote(standby)
    standby.execute("INSERT INTO t VALUES (3)")
    rejoin(primary, standby, "old")
    make_synchronous(standby, "old")
    standby.execute("INSERT INTO t VALUES (4)")
    wait_caught_up(primary, standby)
    assert numbers(primary) == numbers(standby) == [1, 3, 4]
    standby.kill()
    promote(primary)
    primary.execute("INSERT INTO t VALUES (5)")
    assert timeline(primary) == 3


async def test_two_primaries_stand_on_different_timelines(
    primary: Cluster, distant: Cluster, way: RoughProxy
) -> None:
    """The standby is promoted while the primary goes on, and neither can see the other."""
    way.refuse()
    await asyncio.to_thread(promote, distant)
    for cluster in (primary, distant):
        cluster.execute("INSERT INTO t VALUES (1)")
    assert (timeline(primary), timeline(distant)) == (1, 2)
