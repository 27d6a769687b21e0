"""Opening a database: an empty one is born, an older one migrated on request, others refused."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Connection, insert, inspect, select, text

from lastcall import secretfile
from lastcall.clock import Entropy
from lastcall.digests import encode, same
from lastcall.errors import (
    SchemaNewer,
    SchemaOlder,
    SecretFileError,
    StoreError,
)
from lastcall.events import SYSTEM, Event, Position, Timeline
from lastcall.secretfile import Secrets
from lastcall.stores import place, rows
from lastcall.stores.base import Observer, Store, unobserved
from lastcall.stores.schema import events, installation, log

CELL: Final = "c1"
"""The cell's name until there are several."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"

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
    where = place.find(database_url)
    key_path = secret_file or where.secret_file

    def prepare(db: Connection) -> Secrets:
        found = state(db)
        if found == "older":
            raise SchemaOlder("the database is from an older lastcall; run: lastcall migrate")
        if found == "newer":
            raise SchemaNewer(
                "the database is from a newer lastcall; upgrade lastcall, "
                "or open it with the version that made it"
            )
        if found == "foreign":
            raise StoreError(
                f"{where.name} holds tables that are not lastcall's; name another database"
            )
        if found == "empty":
            secrets = _first_secrets(key_path, entropy)
            upgrade(db)
            _give_birth(db, secrets, where.server(db), now, entropy)
        else:
            secrets = secretfile.read(key_path)
        check = db.execute(select(installation.c.secret_check)).scalar_one()
        require_pair(check, secrets, key_path)
        return secrets

    secrets = where.exclusively(prepare)
    return Opened(where.open(entropy, observe), secrets)


def migrate(database_url: str) -> tuple[str | None, str]:
    """Bring a database to this version's schema, whole or not at all; any number at once.

    Gives the schema before and after. Raises SchemaNewer, StoreError, Unavailable.
    """
    where = place.find(database_url)
    where.require()

    def bring(db: Connection) -> tuple[str | None, str]:
        found = state(db)
        if found == "newer":
            raise SchemaNewer("the database is from a newer lastcall; upgrade lastcall")
        if found in ("empty", "foreign"):
            raise StoreError(f"{where.name} is not a lastcall database; `lastcall serve` makes one")
        before, after = revisions(db)
        if found == "older":
            upgrade(db)
        return before, after

    return where.exclusively(bring)


def require_pair(check: bytes, secrets: Secrets, path: Path) -> None:
    """Raise SecretFileError unless a database, which holds this `check`, was born with these."""
    if not same(check, secrets.check):
        raise SecretFileError(f"{path} is the secret file of another database; put its own back")


def upgrade(db: Connection) -> None:
    """Bring a database to this version's schema, in the transaction that is under way."""
    # It is long in importing, and most starts find nothing to migrate.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = db
    command.upgrade(config, "head")


def schemas() -> list[str]:
    """Name the schemas that this version knows, its own last, by the migrations' files."""
    return sorted(file.name.partition("_")[0] for file in MIGRATIONS.glob("versions/[0-9]*.py"))


def state(db: Connection) -> State:
    """Tell what a database holds: nothing, a lastcall's of which age, or somebody else's. Reads."""
    if not inspect(db).get_table_names():
        return "empty"
    current, ours = revisions(db)
    if current is None:
        return "foreign"
    if current == ours:
        return "current"
    return "older" if current in schemas() else "newer"


def revisions(db: Connection) -> tuple[str | None, str]:
    """Name a database's schema and this version's. Reads."""
    if not inspect(db).has_table("alembic_version"):
        return None, schemas()[-1]
    found = db.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return found[0] if len(found) == 1 else None, schemas()[-1]


def _first_secrets(path: Path, entropy: Entropy) -> Secrets:
    return secretfile.read(path) if path.exists() else secretfile.create(path, entropy)


def _give_birth(
    db: Connection, secrets: Secrets, server: str | None, now: datetime, entropy: Entropy
) -> None:
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
            **({} if server is None else {"server": server}),
        )
    )
    opening = Event(position, "timeline_opened", now, actor=SYSTEM)
    db.execute(insert(events).values(rows.event_row(opening)))
