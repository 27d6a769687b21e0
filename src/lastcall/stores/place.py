"""Where a database lies, as its address says: what is done to it before it is a store."""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from lastcall.clock import Entropy
from lastcall.errors import SettingsError, StoreError, Unavailable
from lastcall.stores import inspection, sqlite
from lastcall.stores.base import Observer, Store
from lastcall.stores.lane import unavailable

T = TypeVar("T")

OTHERS: Final = 0o027
"""What a database's mode must not let others do: nobody but its owner writes it, and of the rest
at most a group reads it, as one that makes backups does."""
KEY_FILE: Final = "lastcall.key"
ADDRESSES: Final = (
    "LASTCALL_DATABASE_URL takes sqlite:///relative.db, sqlite:////absolute.db or "
    "postgresql://user@host/database"
)
_SCHEMES: Final = ("postgresql://", "postgres://")


class Place(Protocol):
    """Where a database lies."""

    @property
    def name(self) -> str:
        """Name it for people, without a password."""

    @property
    def secret_file(self) -> Path:
        """Tell where its secret file lies unless a setting says otherwise."""

    def require(self) -> None:
        """Raise StoreError where there is nothing that could be a database."""

    def exclusively(self, do: Callable[[Connection], T]) -> T:
        """Have `do` run in a transaction of which there is one at a time, over all processes."""

    def server(self, db: Connection) -> str | None:
        """Name what it is written on (see the table `log`)."""

    def open(self, entropy: Entropy, observe: Observer) -> Store:
        """Give the store, on a database of the right schema."""


def find(database_url: str) -> Place:
    """Read an address. Raises SettingsError."""
    if is_postgres(database_url):
        # Its drivers are long in importing, and whoever works on a file needs none of them.
        from lastcall.stores.postgres.place import PostgresPlace  # noqa: PLC0415

        return PostgresPlace(database_url)
    return SqlitePlace(sqlite_path(database_url))


def is_postgres(database_url: str) -> bool:
    """Whether an address is a PostgreSQL server's."""
    return database_url.startswith(_SCHEMES)


def sqlite_path(database_url: str) -> Path:
    """Read `sqlite:///relative` or `sqlite:////absolute`; raises SettingsError."""
    prefix = "sqlite:///"
    rest = database_url.removeprefix(prefix)
    if not database_url.startswith(prefix) or not rest or rest == ":memory:" or "?" in rest:
        raise SettingsError(ADDRESSES)
    return Path(rest)


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A file."""

    path: Path

    @property
    def name(self) -> str:
        """Name it for people."""
        return str(self.path)

    @property
    def secret_file(self) -> Path:
        """Tell where its secret file lies: beside it."""
        return self.path.parent / KEY_FILE

    def require(self) -> None:
        """Raise StoreError where there is no file."""
        if not self.path.exists():
            raise StoreError(
                f"there is no database at {self.path}; `lastcall serve` makes one, "
                "and --database-url names another"
            )

    def exclusively(self, do: Callable[[Connection], T]) -> T:
        """Hold the database's write lock, so that of several processes one does the work."""
        try:
            # Readable by its owner alone, and so what SQLite puts beside it: it holds addresses.
            self.path.touch(0o600)
            self._require_private()
        except OSError as error:
            raise Unavailable(f"can't open the database {self.path}: {error.strerror}") from error
        try:
            with sqlite.engine(self.path).connect() as db:
                db.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    value = do(db)
                except BaseException:
                    db.exec_driver_sql("ROLLBACK")
                    raise
                db.exec_driver_sql("COMMIT")
                return value
        except DBAPIError as error:
            raise unavailable(error) from error

    def server(self, _db: Connection) -> str | None:
        """Name nothing: a file has no other server to go on from."""
        return None

    def open(self, _entropy: Entropy, observe: Observer) -> Store:
        """Give the store."""
        return sqlite.SqliteStore(self.path, observe)

    def _require_private(self) -> None:
        """Raise StoreError where others may use the database, or what SQLite keeps beside it."""
        for file in (self.path, *inspection.beside(self.path)):
            try:
                mode = stat.S_IMODE(file.stat().st_mode)
            except FileNotFoundError:  # SQLite removes it when the last process lets go
                continue
            if mode & OTHERS:
                raise StoreError(
                    f"the database {file} can be read or written by others; run: chmod 600 {file}"
                )
