"""PostgreSQL's disk is full: its tables', where it refuses what it has no room for, or its log's,
where it stops altogether. Nothing is done by half, and all goes on as soon as there is room."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg
import httpx
import pytest

from tests.faults.stage import Prepared
from tests.nodes.site import CLIENT, Begun, Site, eventually, write_settings
from tests.support.disks import fill, small_disk
from tests.support.servers import Server
from tools.postgres import Cluster

DATABASE: Final = "served"
LEASE: Final = 12
MANY: Final = 2000
"""More sessions than fit on the disk."""
FOUND: Final = (
    "SELECT array_agg(id) FROM sessions WHERE user_id ="
    " (SELECT id FROM users WHERE external_id = 'eve')"
)
NEXT_SEGMENT: Final = "SELECT pg_switch_wal()"
SMALL: Final = {
    "min_wal_size": "32MB",
    "max_wal_size": "32MB",
    "wal_keep_size": "0",
    "restart_after_crash": "off",  # else it tries again and again, and may find room in between
}


@dataclass
class Visitor:
    """Begins and ends sessions at a node, and keeps what it was told."""

    site: Site
    node: Server
    begun: list[Begun] = field(default_factory=list)
    ended: list[Begun] = field(default_factory=list)

    def begin(self) -> httpx.Response:
        """Begin one."""
        body = {"user": {"external_id": "eve"}, **CLIENT}
        answer = self.site.request(self.node, "POST", "/sessions", body)
        if answer.is_success:
            given = answer.json()
            self.begun.append(
                Begun(given["session"]["id"], given["access_token"], given["refresh_token"])
            )
        return answer

    def end(self, session: Begun) -> httpx.Response:
        """End one of them."""
        answer = self.site.request(self.node, "DELETE", f"/sessions/{session.id}?wait=0")
        if answer.is_success:
            self.ended.append(session)
        return answer

    def status(self, session: Begun) -> int:
        """Tell how the node takes a session's token."""
        return self.site.request(self.node, "GET", "/session", token=session.access).status_code

    def expect_what_was_told(self, doubtful: int = 0) -> None:
        """Expect what was answered, and no more than that but for what has had no clear answer."""
        found = set(self.site.value(FOUND))
        assert found >= {one.id for one in self.begun}
        assert len(found) <= len(self.begun) + doubtful
        for one in (self.begun[0], *self.begun[-3:], *self.ended):
            assert self.status(one) == (401 if one in self.ended else 200)


@contextmanager
def small(cluster: Cluster, name: str, size: str) -> Iterator[Path]:
    """Give a server a disk more, of that size."""
    folder = cluster.folder / name
    folder.mkdir()
    with small_disk(folder, size):
        give(cluster, folder)
        yield folder


def give(cluster: Cluster, folder: Path) -> None:
    """Make all in a folder the server's own."""
    owner = cluster.data.stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server whose log takes little room."""
    made = Cluster(fsync=False, settings=SMALL)
    try:
        made.start()
        yield made
    finally:
        made.close()


def site_on(cluster: Cluster, folder: Path) -> Site:
    """Prepare its database for nodes."""
    (folder / "prepared").mkdir()
    write_settings(folder / "prepared", cluster.url(DATABASE))
    return Site.make(Prepared.make(folder / "prepared"), folder / "site", cluster, DATABASE)


def test_what_has_no_room_in_the_tables_is_refused_whole_and_all_else_goes_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Told in words that say what to do; the same node goes on as soon as there is room."""
    with small(cluster, "tables", "64m") as folder:
        cluster.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        cluster.execute(f"CREATE DATABASE {DATABASE} TABLESPACE small")
        site = site_on(cluster, tmp_path)
        with site.node(lease=LEASE) as node:
            visitor = Visitor(site, node)
            assert visitor.begin().is_success
            filler = fill(folder)
            refusal = next(
                answer for answer in (visitor.begin() for _ in range(MANY)) if answer.is_error
            )
            assert refusal.status_code == 503
            assert "the database server's disk is full: make room" in refusal.json()["detail"]
            assert int(refusal.headers["retry-after"]) > 0
            visitor.expect_what_was_told()
            for session in visitor.begun[1:4]:
                assert visitor.end(session).status_code in (200, 503)
            visitor.expect_what_was_told()
            filler.unlink()
            assert visitor.begin().is_success
            visitor.expect_what_was_told()
        cluster.drop_database(DATABASE)
        cluster.execute("DROP TABLESPACE small")


def test_a_server_that_stops_for_want_of_room_for_its_log_loses_nothing_that_was_answered(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Services notice nothing while their leases last; started again with room, all goes on."""
    cluster.create_database(DATABASE)
    site = site_on(cluster, tmp_path)
    cluster.stop()
    with small(cluster, "log-disk", "96m") as folder:
        log = cluster.data / "pg_wal"
        shutil.copytree(log, folder, dirs_exist_ok=True)
        give(cluster, folder)
        shutil.rmtree(log)
        log.symlink_to(folder)
        cluster.start()
        with site.node(lease=LEASE) as node, site.verifier(node) as verifier:
            visitor = Visitor(site, node)
            for _ in range(3):
                assert visitor.begin().is_success
            assert visitor.end(visitor.begun[0]).is_success
            filler = fill(folder)
            refused: list[httpx.Response] = []

            def stopped() -> bool:
                with suppress(asyncpg.PostgresError, OSError):  # it may be on its way down
                    cluster.execute(NEXT_SEGMENT)
                answer = visitor.begin()
                if answer.is_error:
                    refused.append(answer)
                return not cluster.running

            eventually(stopped, "it stops")
            assert {answer.status_code for answer in refused} == {503}
            verifier.verify(visitor.begun[1].access)
            refusal = visitor.end(visitor.begun[1])
            assert refusal.status_code == 503
            verifier.verify(visitor.begun[1].access)
            filler.unlink()
            cluster.start()
            eventually(lambda: visitor.begin().is_success, "the node goes on")
            verifier.verify(visitor.begun[-1].access)
            visitor.expect_what_was_told(doubtful=len(refused))
        cluster.stop()
