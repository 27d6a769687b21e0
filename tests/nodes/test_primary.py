"""Of a database's hosts, lastcall writes to the primary of the newest timeline, or to none
(instant-logout, rule 15)."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from lastcall.clock import lease_clock
from lastcall.errors import Unavailable
from lastcall.stores.postgres import hosts
from tools.postgres import Cluster
from tools.replication import follow, promote, timeline

NOBODY = "127.0.0.1:1"
"""Where no server is."""
NAMED = [
    ("postgresql://u:p@a:1,b:2/d?x=y", ["postgresql://u:p@a:1/d?x=y", "postgresql://u:p@b:2/d?x=y"]),
    ("postgres://a/d", ["postgres://a/d"]),
    ("postgresql://[::1]:5,b/d", ["postgresql://[::1]:5/d", "postgresql://b/d"]),
    (
        "postgresql:///d?host=/a,/b&port=1,2",
        ["postgresql:///d?host=%2Fa&port=1", "postgresql:///d?host=%2Fb&port=2"],
    ),
    (
        "postgresql:///d?host=a,b&port=1",
        ["postgresql:///d?host=a&port=1", "postgresql:///d?host=b&port=1"],
    ),
    ("postgresql:///d", ["postgresql:///d"]),
]  # fmt: skip


@pytest.mark.parametrize(("named", "each"), NAMED)
def test_an_address_names_one_host_or_several(named: str, each: list[str]) -> None:
    assert hosts.hosts_of(named) == each


@pytest.fixture(scope="module")
def clusters() -> Iterator[tuple[Cluster, Cluster]]:
    """Two servers that both take writes: the standby was promoted, and nobody told the primary."""
    old = Cluster()
    try:
        old.start()
        new = follow(old)
        try:
            promote(new)
            yield old, new
        finally:
            new.close()
    finally:
        old.close()


def several(*clusters: Cluster) -> str:
    """Give an address of all of them."""
    places = ",".join(f"127.0.0.1:{one.port}" for one in clusters)
    return f"postgresql://postgres@{places}/postgres"


async def on(*clusters: Cluster) -> int:
    """Give the timeline of the server that is chosen."""
    link = await hosts.connect(several(*clusters))
    try:
        return int(str(await link.fetchval("SELECT pg_walfile_name(pg_current_wal_lsn())"))[:8], 16)
    finally:
        await link.close()


async def test_the_newest_timeline_s_server_is_chosen_and_from_then_on_no_older_one(
    clusters: tuple[Cluster, Cluster],
) -> None:
    """Whatever their order; one that was chosen before a newer one was seen is chosen no more."""
    old, new = clusters
    assert [timeline(old), timeline(new)] == [1, 2]
    assert await on(old) == 1
    for _ in range(8):
        assert await on(old, new) == await on(new, old) == await on(new) == 2
    with pytest.raises(Unavailable, match="is on timeline 1, and another one has gone on to 2"):
        await on(old)


async def test_one_that_does_not_answer_keeps_nobody_waiting_for_long(
    clusters: tuple[Cluster, Cluster],
) -> None:
    old, new = clusters
    old.pause()
    try:
        began = lease_clock()
        assert await on(old, new) == 2
        assert lease_clock() - began < hosts.CONNECT_SECONDS - 1
    finally:
        old.resume()


async def test_a_standby_is_not_chosen(clusters: tuple[Cluster, Cluster]) -> None:
    _, new = clusters
    standby = await asyncio.to_thread(follow, new, "second")
    try:
        assert await on(standby, new) == 2
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await on(standby)
        with pytest.raises(
            OSError, match="Connect call failed"
        ):  # the one that is missing may be the primary
            await hosts.connect(f"postgresql://postgres@127.0.0.1:{standby.port},{NOBODY}/postgres")
    finally:
        standby.close()


@pytest.mark.parametrize("places", ["{new},{nobody}", "{nobody},{new}"])
async def test_a_host_that_refuses_us_says_more_than_one_that_is_not_there(
    clusters: tuple[Cluster, Cluster], places: str
) -> None:
    named = places.format(new=f"127.0.0.1:{clusters[1].port}", nobody=NOBODY)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await hosts.connect(f"postgresql://postgres@{named}/nowhere")


async def test_of_two_that_take_writes_on_one_timeline_none_is_chosen(
    clusters: tuple[Cluster, Cluster],
) -> None:
    """And one that has two names is one."""
    _, new = clusters
    assert await on(new, new) == 2
    standby = await asyncio.to_thread(follow, new, "second")
    third = await asyncio.to_thread(follow, new, "third")
    try:
        for one in (standby, third):
            await asyncio.to_thread(promote, one)
        with pytest.raises(Unavailable, match="two database servers take writes on timeline 3"):
            await on(standby, third)
    finally:
        standby.close()
        third.close()


async def test_servers_of_two_clusters_are_not_one_database(
    clusters: tuple[Cluster, Cluster],
) -> None:
    other = Cluster()
    try:
        other.start()
        with pytest.raises(Unavailable, match="not of one cluster"):
            await on(clusters[1], other)
    finally:
        other.close()
