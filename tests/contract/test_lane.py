"""A lane whose database fails at the worst moments: faults, put into real connections."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text

from lastcall.errors import Unavailable
from lastcall.stores import sqlite
from lastcall.stores.lane import Lane


class Faulty(sqlite3.Connection):
    """Fails at the statements that a test names."""

    faults: ClassVar[dict[str, str]] = {}

    def execute(self, sql: str, /, *values: Any) -> sqlite3.Cursor:  # noqa: ANN401  as the original
        name = self.faults.get(sql)
        if name is not None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = name
            raise error
        return super().execute(sql, *values)


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[Lane]:
    """A lane that writes to a table of one column."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            tmp_path / "x.db", isolation_level=None, check_same_thread=False, factory=Faulty
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    with engine.connect() as db:
        db.exec_driver_sql("CREATE TABLE written (value TEXT)")
    made = Lane("test", engine.connect, "BEGIN IMMEDIATE")
    yield made
    Faulty.faults.clear()
    made.close()


def write(db: Connection) -> None:
    db.execute(text("INSERT INTO written VALUES ('x')"))


def count(db: Connection) -> int:
    return int(db.execute(text("SELECT count(*) FROM written")).scalar_one())


async def test_a_commit_that_the_disk_fails_is_said_to_be_of_unknown_outcome(lane: Lane) -> None:
    """instant-logout, rule 15: neither done nor not done."""
    Faulty.faults["COMMIT"] = "SQLITE_IOERR_FSYNC"
    with pytest.raises(Unavailable, match="unknown"):
        await lane.run(write)


async def test_a_commit_that_finds_the_disk_full_has_changed_nothing(lane: Lane) -> None:
    Faulty.faults["COMMIT"] = "SQLITE_FULL"
    with pytest.raises(Unavailable, match="disk is full"):
        await lane.run(write)
    Faulty.faults.clear()
    assert await lane.run(count) == 0
    await lane.run(write)
    assert await lane.run(count) == 1


async def test_a_lane_that_can_not_even_roll_back_does_nothing_more_and_says_so(
    lane: Lane,
) -> None:
    Faulty.faults.update(COMMIT="SQLITE_IOERR_WRITE", ROLLBACK="SQLITE_IOERR_WRITE")
    with pytest.raises(Unavailable):
        await lane.run(write)
    Faulty.faults.clear()
    with pytest.raises(Unavailable, match="restart"):
        await lane.run(count)


async def test_a_statement_that_is_wrong_fails_alone(lane: Lane) -> None:
    with pytest.raises(Exception, match="binding"):
        await lane.run(lambda db: db.exec_driver_sql("INSERT INTO written VALUES (?)", (1, 2)))
    await lane.run(write)
    assert await lane.run(count) == 1


async def test_a_read_that_fails_half_way_leaves_no_old_snapshot_to_those_that_follow(
    tmp_path: Path,
) -> None:
    """However long somebody holds the error, as a log or a debugger does."""
    path = tmp_path / "any.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (n); INSERT INTO t VALUES (1)")
    other.executemany("INSERT INTO t VALUES (?)", [(1,)] * 500)
    lane = Lane("reads", sqlite.engine(path).connect, "BEGIN")

    def fail(db: Connection) -> None:
        rows = db.execute(text("SELECT n FROM t"))
        raise ValueError(next(iter(rows)).n)

    with pytest.raises(ValueError, match="1") as held:
        await lane.run(fail)
    other.execute("UPDATE t SET n = 2")
    newest = await lane.run(lambda db: db.execute(text("SELECT min(n) FROM t")).scalar_one())
    assert newest == 2
    assert held.value.__traceback__ is not None
    await asyncio.to_thread(lane.close)
    other.close()
