"""A thread with a database connection of its own, which takes its work in batches.

Work that arrives while a batch is under way forms the next one, so that concurrent writes share a
commit, and concurrent reads a snapshot, without any timer: a lane that is idle starts at once.
"""

import asyncio
import contextlib
import sqlite3
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from lastcall.errors import Unavailable

T = TypeVar("T")

QUEUE: Final = 2000
"""How much work may wait in a lane; what comes on top is refused."""
BATCH: Final = 128
"""How much work shares a transaction."""


class _Work(Generic[T]):
    """Something to do on the connection, and where its outcome goes."""

    __slots__ = ("do", "error", "future", "loop", "value")

    def __init__(self, do: Callable[[Connection], T]) -> None:
        self.do = do
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.value: T | None = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Tell the caller, unless it has gone."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)  # type: ignore[arg-type]


class Lane:
    """Runs work on one connection. `begin` is the statement that opens a batch's transaction."""

    def __init__(self, name: str, connect: Callable[[], Connection], begin: str) -> None:
        self._connection = connect()
        self._begin = begin
        self._queue: deque[_Work[object]] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name=f"lastcall-{name}", daemon=True)
        self._thread.start()

    async def run(self, do: Callable[[Connection], T]) -> T:
        """Have `do` run in a transaction; give what it returns once that is committed.

        What it raises undoes its own statements alone. Raises Unavailable.
        """
        work = _Work(do)
        with self._wake:
            if self._closing:
                raise Unavailable("the database is being closed")
            if len(self._queue) >= QUEUE:
                raise Unavailable("too much work is waiting for the database")
            self._queue.append(work)  # type: ignore[arg-type]
            self._wake.notify()
        return await work.future

    def close(self) -> None:
        """Finish what is waiting, then end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        connection = self._connection
        while batch := self._take():
            if not self._broken:
                self._do(connection, batch)
            else:
                for work in batch:
                    work.error = Unavailable("the database failed; restart this server", 10)
            for loop in {work.loop for work in batch}:
                own = [work for work in batch if work.loop is loop]
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    loop.call_soon_threadsafe(_settle, own)
        connection.close()

    def _take(self) -> list[_Work[object]]:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _do(self, connection: Connection, batch: list[_Work[object]]) -> None:
        db: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        committing = False
        try:
            db.execute(self._begin)
            for work in batch:
                self._do_one(connection, db, work)
            committing = True
            db.execute("COMMIT")
        except (sqlite3.Error, DBAPIError) as error:
            # Nothing of the batch is kept, so nobody is told otherwise.
            for work in batch:
                work.error = unavailable(error, unknown=committing)
            try:
                if db.in_transaction:
                    db.execute("ROLLBACK")
            except sqlite3.Error:
                # What this connection would do next can't be told: it does nothing any more.
                self._broken = True

    def _do_one(self, connection: Connection, db: sqlite3.Connection, work: _Work[object]) -> None:
        db.execute("SAVEPOINT work")
        try:
            work.value = work.do(connection)
        except Exception as error:
            if _is_failure(error):
                raise
            work.error = error
            # A statement that was not read to its end would hold its snapshot past the commit, for
            # as long as somebody holds the error: what is read next would be old.
            traceback.clear_frames(error.__traceback__)
            db.execute("ROLLBACK TO work")
        db.execute("RELEASE work")


def _is_failure(error: Exception) -> bool:
    """Tell a failure of the database from an error of the work alone."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    alone = sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
    return isinstance(cause, sqlite3.Error) and not isinstance(
        cause, alone | sqlite3.InterfaceError | sqlite3.NotSupportedError
    )


def unavailable(error: BaseException, *, unknown: bool = False) -> Unavailable:
    """Say what a database's failure means for the caller. `unknown`: it happened in the commit
    itself, whose outcome after an input or output error only a restart will show."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    name = getattr(cause, "sqlite_errorname", "") or ""
    text = {
        "SQLITE_BUSY": "the database is busy with other processes",
        "SQLITE_FULL": "the disk is full: make room",
        "SQLITE_READONLY": "the database can't be written: check its file's owner and mode",
        "SQLITE_CANTOPEN": "the database file can't be opened: check its folder",
        "SQLITE_CORRUPT": "the database file is damaged: restore a backup",
        "SQLITE_NOTADB": "the file is not a database",
    }.get(name.split("_")[0] + "_" + name.split("_")[1] if "_" in name else name)
    if unknown and name.startswith("SQLITE_IOERR"):
        text = "the disk failed while this was written; whether it was done is unknown"
    problem = Unavailable(text or f"the database failed: {name or type(cause).__name__}")
    problem.__cause__ = error
    return problem


def _settle(works: list[_Work[object]]) -> None:
    for work in works:
        work.settle()
