"""A node to whose connections its database answers no more, though they stay open: it goes on with
others before anybody's lease runs out, and says in time what it can't do."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.faults.stage import Prepared
from tests.nodes.site import PATIENCE, Site, eventually, refuses
from tests.nodes.test_restart import check, writes
from tests.support.rough_proxy import RoughProxy
from tools.postgres import Cluster
from tools.postgres import Server as Database

LEASE = 15
"""Seconds: far longer than the node waits for an answer."""
BEAT = "SELECT max(beat) FROM nodes"


def renews(site: Site, seen: int) -> bool:
    """Whether a row has been renewed since."""
    return bool(site.value(BEAT) > seen)


@pytest.fixture
async def way(postgres: Database) -> AsyncIterator[RoughProxy]:
    """A way to the database."""
    if not isinstance(postgres, Cluster):
        pytest.skip("the server of LASTCALL_TEST_PG_URL is reached in a way of its own")
    made = RoughProxy(postgres.port)
    await made.start()
    yield made
    await made.close()


async def test_a_node_whose_connections_fell_silent_goes_on_and_no_verifier_loses_its_lease(
    site: Site, way: RoughProxy, tmp_path: Path
) -> None:
    """All of them at once: of its row, of its log, of its refreshes, and that which listens."""
    url = f"postgresql://postgres@127.0.0.1:{way.port}/{site.database}"
    prepared = Prepared(site.folder, site.verify_key, site.sessions_key)
    distant = Site.make(prepared, tmp_path, site.server, site.database, url)
    loop = asyncio.get_running_loop()

    def act() -> None:
        over = threading.Event()
        with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
            node = stack.enter_context(
                distant.node(lease=LEASE, module="tests.nodes.altered/hasty")
            )
            verifier = stack.enter_context(distant.verifier(node))
            stack.callback(over.set)
            kept, ended = distant.begin(node), distant.begin(node)
            checks = pool.submit(check, verifier, kept.access, over)
            for _ in range(2):
                shown = {"refresh_token": distant.begin(node).refresh}
                loop.call_soon_threadsafe(way.freeze)
                answer = distant.request(node, "POST", "/refresh", shown)
                assert answer.is_success or "whether this was done is unknown" in answer.text
                eventually(lambda: writes(distant, node), "it takes writes again")
                before = site.rows()
                seen = site.value(BEAT)
                eventually(partial(renews, site, seen), "it renews its row")
                assert site.rows() == before, "it is the same node"
            over.set()
            assert checks.result(PATIENCE) > 10, "no check failed"
            done = distant.end(node, ended)
            assert (done["state"], done["acknowledged"]) == ("confirmed", 1)
            assert refuses(verifier, ended.access)
            loop.call_soon_threadsafe(way.stall, "down")
            answer = distant.request(node, "GET", "/session", token=kept.access)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            loop.call_soon_threadsafe(way.release, "down")
            eventually(lambda: writes(distant, node), "it goes on by itself")

    await asyncio.to_thread(act)
