"""Another server of the same database, for pages to show: a row with verifiers in each state."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec

from lastcall.feed.about import About, Follower
from lastcall.ids import NodeId
from lastcall.stores.base import RegisterNode, RemoveNode, RenewNode
from tests.pages.serving import Running

NAME = NodeId("n_2vQxq8mWbTzKfJ4e")


@contextmanager
def another_node(site: Running) -> Iterator[None]:
    """Let it be there until the block ends."""
    site.run(_register(site))
    try:
        yield
    finally:
        site.run(site.node.store.commit(RemoveNode(NAME, 1)))


async def _register(site: Running) -> None:
    store, now = site.node.store, site.node.clock.now()
    (account, *_) = await store.list_accounts()
    end = (await store.log_end()).position

    def follower(name: str, service: str, agent: str, behind: int = 0, **more: object) -> Follower:
        good = Follower(
            name, account.id, "k_1", service, agent, "10.0.3.17", now - timedelta(hours=5),
            now + timedelta(seconds=29), end.seq - behind,
        )  # fmt: skip
        return msgspec.structs.replace(good, **more)

    followers = (
        follower("Zk3vQ0uYpW1rT8xN", "shop", "web-1.shop.internal 4711"),
        follower("b7RfHs2LmD9cVw5J", "shop", "web-2.shop.internal 4711", 1),
        follower("Xe6TnG4qPa8KyU1i", "warehouse", "warehouse-1 1", 1, connected_at=None, ip=None),
        follower("mC0oJ5hEzS3dBv7L", "7" * 100, "y" * 200, 1, leased_until=None),
    )
    about = About("node-2.internal 812", now - timedelta(days=2), followers, {account.id: 12})
    text = msgspec.json.encode(about).decode()
    await store.commit(RegisterNode(NAME, timedelta(seconds=30)))
    await store.commit(RenewNode(NAME, end, end, 3, text))
