"""Opening a database: an empty one is born, an older one migrated on request, others refused."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select
from sqlalchemy.exc import DBAPIError

from lastcall import secretfile
from lastcall.clock import Entropy
from lastcall.digests import encode, same
from lastcall.errors import (
    SchemaNewer,
    SchemaOlder,
    SecretFileError,
    SettingsError,
    StoreError,
    Unavailable,
)
from lastcall.events import SYSTEM, Event, Position, Timeline
from lastcall.secretfile import Secrets
from lastcall.stores import inspection, rows, sqlite
from lastcall.stores.base import Observer, Store, unobserved
from lastcall.stores.lane import unavailable
from lastcall.stores.schema import events, installation, log

CELL: Final = "c1"
"""The cell's name until there are several."""
OTHERS: Final = 0o027
"""What a database's mode must not let others do: nobody but its owner writes it, and of the rest
at most a group reads it, as one that makes backups does."""

State = Literal["empty", "older", "current", "newer", "foreign"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A store that is ready, and the server's half of its secrets."""

    store: Store
    secrets: Secrets


def open_store(
    database_url: str,
    secret_file: Path | None,
    now: datetime,
    entropy: Entropy,
    observe: Observer = unobserved,
) -> Opened:
    """Open a database, or make one where there is none; `observe` is told of each commit.

    Raises SettingsError for an address that isn't one, SchemaOlder, SchemaNewer, SecretFileError
    where the secret file is missing or another database's, Unavailable.
    """
    path = sqlite_path(database_url)
    key_path = secret_path(path, secret_file)
    with _exclusive(path) as db:
        found = state(db)
        if found == "older":
            raise SchemaOlder("the database is from an older lastcall; run: lastcall migrate")
        if found == "newer":
            raise SchemaNewer(
                "the database is from a newer lastcall; upgrade lastcall, "
                "or open it with the version that made it"
            )
        if found == "foreign":
            raise StoreError(f"{path} holds tables that are not lastcall's; name another database")
        if found == "empty":
            secrets = _first_secrets(key_path, entropy)
            _upgrade(db)
            _give_birth(db, secrets, now, entropy)
        else:
            secrets = secretfile.read(key_path)
        check = db.execute(select(installation.c.secret_check)).scalar_one()
        require_pair(check, secrets, key_path)
    return Opened(sqlite.SqliteStore(path, observe), secrets)


def migrate(database_url: str) -> tuple[str | None, str]:
    """Bring a database to this version's schema, whole or not at all; any number at once.

    Gives the schema before and after. Raises SchemaNewer, StoreError, Unavailable.
    """
    path = sqlite_path(database_url)
    if not path.exists():
        raise StoreError(f"there is no database at {path}; `lastcall serve` makes one")
    with _exclusive(path) as db:
        found = state(db)
        if found == "newer":
            raise SchemaNewer("the database is from a newer lastcall; upgrade lastcall")
        if found in ("empty", "foreign"):
            raise StoreError(f"{path} is not a lastcall database; `lastcall serve` makes one")
        before, after = revisions(db)
        _upgrade(db)
        return before, after


def secret_path(database: Path, secret_file: Path | None) -> Path:
    """Tell where a database's secret file lies: where the setting says, else beside it."""
    return secret_file or database.parent / "lastcall.key"


def require_pair(check: bytes, secrets: Secrets, path: Path) -> None:
    """Raise SecretFileError unless a database, which holds this `check`, was born with these."""
    if not same(check, secrets.check):
        raise SecretFileError(f"{path} is the secret file of another database; put its own back")


def sqlite_path(database_url: str) -> Path:
    """Read `sqlite:///relative` or `sqlite:////absolute`; raises SettingsError."""
    prefix = "sqlite:///"
    if database_url.startswith(("postgresql:", "postgres:")):
        raise SettingsError(
            "LASTCALL_DATABASE_URL: PostgreSQL is not supported yet; use sqlite:///"
        )
    rest = database_url.removeprefix(prefix)
    if not database_url.startswith(prefix) or not rest or rest == ":memory:" or "?" in rest:
        raise SettingsError(
            "LASTCALL_DATABASE_URL takes sqlite:///relative.db or sqlite:////absolute.db"
        )
    return Path(rest)


@contextmanager
def _exclusive(path: Path) -> Iterator[Connection]:
    """Hold the database's write lock, so that of several processes that start one does the work."""
    try:
        # Readable by its owner alone, and so what SQLite puts beside it: it holds addresses.
        path.touch(0o600)
        _require_private(path)
    except OSError as error:
        raise Unavailable(f"can't open the database {path}: {error.strerror}") from error
    try:
        with sqlite.engine(path).connect() as db:
            db.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.exec_driver_sql("ROLLBACK")
                raise
            db.exec_driver_sql("COMMIT")
    except DBAPIError as error:
        raise unavailable(error) from error


def _require_private(path: Path) -> None:
    """Raise StoreError where others may use the database, or what SQLite keeps beside it."""
    for file in (path, *inspection.beside(path)):
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except FileNotFoundError:  # SQLite removes it when the last process lets go
            continue
        if mode & OTHERS:
            raise StoreError(
                f"the database {file} can be read or written by others; run: chmod 600 {file}"
            )


def _config(db: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = db
    return config


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return str(head)


def _upgrade(db: Connection) -> None:
    command.upgrade(_config(db), "head")


def state(db: Connection) -> State:
    """Tell what a database holds: nothing, a lastcall's of which age, or somebody else's. Reads."""
    tables = inspect(db).get_table_names()
    if not tables:
        return "empty"
    current = MigrationContext.configure(db).get_current_revision()
    if current is None:
        return "foreign"
    if current == _head():
        return "current"
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return "older" if current in known else "newer"


def revisions(db: Connection) -> tuple[str | None, str]:
    """Name a database's schema and this version's. Reads."""
    return MigrationContext.configure(db).get_current_revision(), _head()


def _first_secrets(path: Path, entropy: Entropy) -> Secrets:
    return secretfile.read(path) if path.exists() else secretfile.create(path, entropy)


def _give_birth(db: Connection, secrets: Secrets, now: datetime, entropy: Entropy) -> None:
    """Write what a database carries from its first moment: its cell, the log and its opening event.
    A new store is born settled (rule 6)."""
    position = Position(encode(entropy(9)), Timeline(1, encode(entropy(9))), 1)
    db.execute(
        insert(installation).values(
            id=1, cell=CELL, secret_check=secrets.check, issuer=None, created_at=rows.micros(now)
        )
    )
    db.execute(
        insert(log).values(
            id=1,
            epoch=position.epoch,
            timeline_number=position.timeline.number,
            timeline_name=position.timeline.name,
            seq=position.seq,
            floor=0,
        )
    )
    opening = Event(position, "timeline_opened", now, actor=SYSTEM)
    db.execute(insert(events).values(rows.event_row(opening)))
