"""A database looked at from outside: nothing in it or beside it is written, made or locked.

Only for a process that has the database open nowhere else: closing any descriptor of a file lets go
of all locks that the process holds on it (POSIX), SQLite's among them.
"""

import os
import sqlite3
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Column, Connection, NullPool, Select, create_engine, exists, func, select
from sqlalchemy.exc import DBAPIError

from lastcall.errors import StoreError
from lastcall.identity.model import Account
from lastcall.keys import StoredKey
from lastcall.stores import base, directory, reads, rows
from lastcall.stores.lane import unavailable
from lastcall.stores.schema import (
    accounts,
    audit,
    events,
    installation,
    sessions,
    signing_keys,
    single_use,
    users,
)
from lastcall.stores.sqlite import DURABLE

if sys.platform == "linux":
    import fcntl

Journal = Literal["empty", "write-ahead", "rollback"]

_MAGIC: Final = b"SQLite format 3\0"
_DATABASE_LOCKS: Final = 0x40000000, 512
"""The bytes of the database that whoever keeps readers out, or writes in rollback mode, has locked:
where they begin, and how many (https://sqlite.org/fileformat2.html, 1.3.1)."""
_WRITE_LOCK: Final = 120, 1
"""The byte of the `-shm` file that whoever writes has locked (https://sqlite.org/walformat.html)."""
_FLOCK: Final = "hhqqi4x"
"""`struct flock` on Linux: kind, whence, start, length, process."""
_FAULTS: Final = 3
_NEWEST: Final = 1_000
"""In how many rows of a table, the newest ones, the latest time is looked for."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a database says of itself and of its accounts."""

    born: base.Installation
    keys: tuple[StoredKey, ...]
    newest: datetime
    """The latest time that was written as the present, as the newest rows tell."""
    accounts: tuple[Account, ...]
    ownerless: tuple[Account, ...]
    """The accounts that no active owner can administer."""
    setup_open: bool
    """Whether the link that makes the first account can still be used."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that keeps others from writing; `alone`: perhaps from reading too."""

    process: int
    alone: bool


def beside(path: Path) -> tuple[Path, Path]:
    """Name the write-ahead log and its index, which lie beside a database while it is open; SQLite
    follows a link to the file itself."""
    path = Path(os.path.realpath(path))
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def journal(path: Path) -> Journal:
    """Tell from a file's head how it keeps its transactions.

    Raises StoreError for a file that is no database, OSError.
    """
    with path.open("rb") as file:
        head = file.read(20)
    if not head:
        return "empty"
    if len(head) < 20 or not head.startswith(_MAGIC):
        raise StoreError("the file is not a database")
    return "write-ahead" if head[18] == 2 else "rollback"


def holder(path: Path) -> Holder | None:
    """Tell who keeps others out now; None also where that can't be told. Raises OSError."""
    _, index = beside(path)
    alone = _locked(path, *_DATABASE_LOCKS)
    if alone is not None:
        return Holder(alone, alone=True)
    writes = _locked(index, *_WRITE_LOCK) if index.exists() else None
    return None if writes is None else Holder(writes, alone=False)


def _locked(path: Path, start: int, length: int) -> int | None:
    """Name the process that has a part of a file for itself (fcntl(2), F_GETLK)."""
    if sys.platform != "linux":
        return None
    asked = struct.pack(_FLOCK, fcntl.F_RDLCK, 0, start, length, 0)
    with path.open("rb") as file:
        told = fcntl.fcntl(file.fileno(), fcntl.F_GETLK, asked)
    kind, _, _, _, process = struct.unpack(_FLOCK, told)
    return None if kind == fcntl.F_UNLCK else int(process)


@contextmanager
def reading(path: Path, kept: Journal, wait: float) -> Iterator[Connection]:
    """Open a database for reading alone; `wait` is in seconds, for a lock.

    Raises StoreError, Unavailable.
    """
    address = f"{path.absolute().as_uri()}?{_how(path, kept)}"

    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(address, uri=True, timeout=wait, isolation_level=None)
        try:
            db.execute(DURABLE)
        except sqlite3.Error:
            db.close()
            raise
        return db

    try:
        with create_engine("sqlite://", creator=connect, poolclass=NullPool).connect() as db:
            db.exec_driver_sql("SELECT count(*) FROM sqlite_master").all()
            yield db
    except (DBAPIError, sqlite3.Error) as error:
        raise unavailable(error) from error


def _how(path: Path, kept: Journal) -> str:
    """Choose how to open a file so that SQLite makes and changes nothing beside it."""
    log, index = beside(path)
    if kept != "write-ahead":
        return "mode=ro"
    if log.exists() and index.exists():
        return "mode=ro&readonly_shm=1"
    if log.exists() and log.stat().st_size:
        raise StoreError(
            f"{log.name} holds commits and its index {index.name} is missing, so that the "
            "database can't be read without changing it"
        )
    # Nobody has it open: a log would lie there.
    return "mode=ro&immutable=1"


def faults(db: Connection) -> tuple[str, ...]:
    """List the first faults that SQLite finds in the file's structure; none is good."""
    found = db.exec_driver_sql(f"PRAGMA quick_check({_FAULTS})").scalars().all()
    return () if found == ["ok"] else tuple(str(fault) for fault in found)


def durable(db: Connection) -> bool:
    """Tell whether SQLite took the order that a commit waits for the disk."""
    return bool(db.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2)


def read_facts(db: Connection, now: datetime) -> Facts:
    """Read what a database of this version says of itself."""
    written = (
        newest
        for columns in (
            (installation.c.created_at,),
            (events.c.at,),
            (audit.c.at,),
            (accounts.c.created_at,),
            (sessions.c.created_at, sessions.c.last_active_at),
            (signing_keys.c.created_at,),
        )
        for newest in db.execute(_newest(*columns)).one()
    )
    owned = exists().where(
        users.c.account_id == accounts.c.id, users.c.role == "owner", users.c.status == "active"
    )
    ownerless = db.execute(select(accounts).where(~owned).order_by(accounts.c.id)).mappings()
    links = select(func.count()).where(
        single_use.c.purpose == "setup",
        single_use.c.used_at.is_(None),
        single_use.c.expires_at > rows.micros(now),
    )
    return Facts(
        born=reads.born(db),
        keys=directory.list_signing_keys(db),
        newest=rows.moment(max(value for value in written if value is not None)),
        accounts=directory.list_accounts(db),
        ownerless=tuple(map(rows.account_of, ownerless)),
        setup_open=bool(db.execute(links).scalar_one()),
    )


def _newest(*columns: Column[int]) -> Select[tuple[int | None, ...]]:
    """Find the latest times in the rows that came last; of all there may be too many to look at."""
    (key,) = columns[0].table.primary_key
    last = select(*columns).order_by(key.desc()).limit(_NEWEST).subquery()
    return select(*(func.max(column) for column in last.c))
