"""The store on SQLite: any number of processes on one file, in write-ahead mode.

Each process has one lane that writes and one that reads. A batch of writes is one transaction and
one `fsync`; between processes SQLite's own lock decides who is next, and who waits too long gets
`Unavailable` with nothing changed.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from lastcall.ids import SessionId
from lastcall.stores import base, reads
from lastcall.stores.commit import commit
from lastcall.stores.lane import Lane, unavailable
from lastcall.stores.sql import Reads

T = TypeVar("T")

BUSY_SECONDS: Final = 5.0
"""How long a transaction waits for another process to finish its own."""

_ATTEMPTS: Final = 100
"""How often a new database's log is asked for, between transactions of the other processes."""

DURABLE: Final = "PRAGMA synchronous = FULL"
"""Has every commit wait until the disk has it (instant-logout, rule 15)."""


def engine(path: Path) -> Engine:
    """Give an engine whose transactions are opened by hand, durable when they are committed."""

    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _use_log(db)
            db.execute(DURABLE)
            db.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error:
            db.close()
            raise
        return db

    # An error's text must not hold what was to be written.
    return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


def _use_log(db: sqlite3.Connection) -> None:
    """Have readers and a writer go on beside each other. Of processes that start on nothing at
    once, SQLite fails some without waiting; a transaction of theirs does wait for the others'."""
    for _attempt in range(_ATTEMPTS):
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
        else:
            return
    db.execute("PRAGMA journal_mode = WAL")


class SqliteStore(Reads):
    """The contract of `base`, on one file."""

    def __init__(self, path: Path, observe: base.Observer = base.unobserved) -> None:
        """Open an existing database of the right schema; raises Unavailable."""
        self._observe = observe
        source = engine(path)
        lanes: list[Lane] = []
        try:
            with source.connect() as db:
                reads.born(db)
            for name, begin in (("reads", "BEGIN"), ("writes", "BEGIN IMMEDIATE")):
                lanes.append(Lane(name, source.connect, begin))
        except (DBAPIError, sqlite3.Error) as error:
            for lane in lanes:
                lane.close()
            raise unavailable(error) from error
        self._reader, self._writer = lanes

    deposable = False
    refreshes = False

    async def refresh(self, shown: base.Refresh) -> None:  # noqa: ARG002
        """Read first: that costs no round trip here."""
        return

    async def commit(self, *writes: base.Write, actor: SessionId | None = None) -> base.Committed:
        """Apply the writes, all or none."""
        committed = await self._writer.run(lambda db: commit(db, writes, actor))
        self._observe(writes, committed)
        return committed

    async def data_version(self) -> int:
        """Give a number that is another one once any process has committed anything."""
        return await self._read(self._version)

    def watch(self, moved: Callable[[], None]) -> None:
        """Do nothing: nobody tells a process that a file has changed."""

    async def ping(self) -> None:
        """Raise Unavailable unless a write could begin now."""
        await self._writer.run(lambda _: None)

    async def close(self) -> None:
        """Finish what is under way and let go of the file."""
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._reader.close)

    async def _read(self, read: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        del snapshot  # whatever shares a batch shares one
        return await self._reader.run(read)

    def _version(self, db: Connection) -> int:
        """Read the count of commits by other connections, which the reading lane's own are none of:
        it looks at shared memory, not at the file
        (https://sqlite.org/pragma.html#pragma_data_version)."""
        driver: sqlite3.Connection = db.connection.driver_connection  # type: ignore[assignment]
        ((version,),) = driver.execute("PRAGMA data_version").fetchall()
        return int(version)
