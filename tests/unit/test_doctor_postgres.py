"""What the doctor says of a database on PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lastcall.doctor.check import Check
from lastcall.stores.place import find
from tests.support.doctor import Doctor, advice, bad, born, left_out
from tests.support.held import raw
from tools.postgres import Cluster
from tools.replication import follow, make_synchronous

NAME = "lastcall"
URL = "postgresql://ada:hunter2@127.0.0.1:1/lastcall"


class OnPostgres(Doctor):
    """Examines a database of a server."""

    url: str

    def says(self, host: str | None = None, **given: object) -> dict[str, Check]:
        """Examine, with these settings."""
        return super().says(host, **{"database_url": self.url, "secret_file": self.key, **given})


def on_postgres(folder: Path, url: str) -> OnPostgres:
    doctor = OnPostgres(folder)
    doctor.url = url
    return doctor


@pytest.fixture
def doctor(tmp_path: Path, database: str) -> OnPostgres:
    """A database with an account and its owner."""
    made = on_postgres(tmp_path, database)
    born(made, database_url=database, secret_file=made.key)
    return made


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    made = Cluster(fsync=getattr(request, "param", False))
    made.start()
    yield made
    made.close()


@pytest.mark.parametrize("cluster", [True], indirect=True)
def test_in_order_it_finds_nothing(tmp_path: Path, cluster: Cluster) -> None:
    doctor = on_postgres(tmp_path, cluster.create_database(NAME))
    born(doctor, database_url=doctor.url, secret_file=doctor.key)
    checks = doctor.says()
    assert bad(checks) == {}
    assert {checks[name].state for name in ("server", "schema", "commits", "secret file")} == {"ok"}
    assert {"ownership", "disk space", "file system"} & set(checks) == set()


def test_a_server_that_can_t_be_reached_is_a_problem_and_its_password_is_not_told(
    tmp_path: Path,
) -> None:
    checks = on_postgres(tmp_path, URL).says()
    assert bad(checks)["server"] == "problem"
    assert "LASTCALL_DATABASE_URL" in advice(checks["server"])
    assert "hunter2" not in str(checks)
    assert left_out(checks) >= {"schema", "commits", "standby", "signing keys", "administration"}


def test_a_database_that_holds_nothing_and_an_older_one_are_problems(
    tmp_path: Path, doctor: OnPostgres, postgres: Cluster
) -> None:
    empty = on_postgres(tmp_path, postgres.create_database(f"empty_{doctor.url[-8:]}"))
    assert bad(empty.says())["schema"] == "problem"
    find(doctor.url).exclusively(
        lambda db: db.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")
    )
    assert "lastcall migrate" in advice(doctor.says()["schema"])
    postgres.drop_database(f"empty_{doctor.url[-8:]}")


def test_another_database_s_secret_file_is_a_problem(doctor: OnPostgres) -> None:
    doctor.key.write_bytes(doctor.key.read_bytes()[::-1])
    assert bad(doctor.says())["secret file"] == "problem"


def test_a_server_that_does_not_wait_for_its_disk_is_a_problem(
    tmp_path: Path, cluster: Cluster
) -> None:
    doctor = on_postgres(tmp_path, cluster.create_database(NAME))
    born(doctor, database_url=doctor.url, secret_file=doctor.key)
    assert bad(doctor.says()) == {"commits": "problem"}


async def test_the_connections_of_others_count_too(tmp_path: Path) -> None:
    """The server tells a user who is nobody special little of what others do."""
    cluster = Cluster(fsync=False, settings={"max_connections": "20"})
    try:
        cluster.start()
        url = cluster.create_database(NAME)
        cluster.execute("CREATE ROLE plain LOGIN", f"ALTER DATABASE {NAME} OWNER TO plain")
        doctor = on_postgres(tmp_path, url.replace("postgres@", "plain@"))
        await asyncio.to_thread(born, doctor, database_url=doctor.url, secret_file=doctor.key)
        assert (await asyncio.to_thread(doctor.says))["server"].state == "ok"
        async with AsyncExitStack() as others:
            for _ in range(16):
                await others.enter_async_context(raw(cluster.url()))
            check = (await asyncio.to_thread(doctor.says))["server"]
        assert "17 of its 20 connections are taken" in str(check)
        assert "max_connections" in advice(check)
    finally:
        cluster.close()


def test_what_an_asynchronous_standby_can_lose_is_said(tmp_path: Path, cluster: Cluster) -> None:
    doctor = on_postgres(tmp_path, cluster.create_database(NAME))
    assert doctor.says()["standby"].state == "ok"
    standby = follow(cluster)
    try:
        check = doctor.says()["standby"]
        assert check.state == "warning"
        assert "can be lost" in str(check)
        assert "lastcall restored" in advice(check)
        make_synchronous(cluster, "standby")
        assert doctor.says()["standby"].state == "ok"
        there = on_postgres(tmp_path, standby.url(NAME)).says()["server"]
        assert (there.state, "standby" in str(there)) == ("problem", True)
    finally:
        standby.close()
