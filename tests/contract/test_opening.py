"""Opening a database in every state that it may be in, by however many at once."""

import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Inspector, create_engine, inspect

from lastcall.clock import system_entropy
from lastcall.errors import (
    SchemaNewer,
    SchemaOlder,
    SecretFileError,
    SettingsError,
    StoreError,
    Unavailable,
)
from lastcall.events import Event
from lastcall.ids import AccountId, UserId
from lastcall.stores import base, opening, sqlite
from lastcall.stores import rows as rows_of
from lastcall.stores.opening import migrate, open_store, sqlite_path
from lastcall.stores.schema import metadata
from tests.conftest import ROOT
from tests.support.backends import SqliteBackend
from tests.support.fakes import START
from tests.support.values import everybody


@pytest.fixture
def backend(tmp_path: Path) -> SqliteBackend:
    return SqliteBackend(tmp_path)


@pytest.fixture
async def born(backend: SqliteBackend) -> SqliteBackend:
    """A database that was made and closed."""
    await backend.open().close()
    return backend


def run(backend: SqliteBackend, script: str) -> None:
    db = sqlite3.connect(backend.path)
    db.executescript(script)
    db.commit()
    db.close()


def dump(backend: SqliteBackend) -> list[str]:
    db = sqlite3.connect(backend.path)
    lines = list(db.iterdump())
    db.close()
    return lines


def together(code: str, count: int, *arguments: str) -> list[str]:
    """What several processes print that are started at once."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [
        (process.returncode, error) for process, (_, error) in zip(processes, outputs, strict=True)
    ] == [(0, "")] * count
    return [output.strip() for output, _ in outputs]


NEWEST = "0004"
"""The newest schema."""
OPEN = """
import asyncio, sys
from lastcall.clock import system_entropy
from lastcall.stores.opening import open_store
from tests.support.fakes import START
print("ready", flush=True)
sys.stdin.readline()
opened = open_store(sys.argv[1], None, START, system_entropy)
end = asyncio.run(opened.store.log_end()).position
print(opened.secrets.check.hex(), end.epoch, end.timeline, end.seq)
"""

MIGRATE = """
import sys
from lastcall.stores.opening import migrate
print("ready", flush=True)
sys.stdin.readline()
print(*migrate(sys.argv[1]))
"""


# Where there is nothing


def test_of_several_processes_that_start_on_nothing_one_makes_the_database_for_all(
    backend: SqliteBackend,
) -> None:
    (told,) = set(together(OPEN, 4, backend.url))
    assert told.endswith(" 1")
    files = {file.name for file in backend.folder.iterdir()}
    assert {"lastcall.db", "lastcall.key"} <= files
    assert files <= {"lastcall.db", "lastcall.key", "lastcall.db-wal", "lastcall.db-shm"}


async def test_a_database_is_born_with_its_cell_its_log_and_no_issuer(
    born: SqliteBackend,
) -> None:
    store = born.open()
    installation = await store.installation()
    assert (installation.cell, installation.issuer) == ("c1", None)
    end = await store.log_end()
    assert (end.position.seq, end.floor, end.position.timeline.number) == (1, 0, 1)
    await store.close()


async def test_two_databases_are_never_on_one_log(tmp_path: Path) -> None:
    ends = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        store = SqliteBackend(tmp_path / name).open()
        ends.append((await store.log_end()).position)
        await store.close()
    assert ends[0].epoch != ends[1].epoch
    assert ends[0].timeline.name != ends[1].timeline.name


def test_a_birth_that_fails_leaves_nothing_that_looks_born(backend: SqliteBackend) -> None:
    """No key can be written: the next start, where it can, makes the database."""
    missing = backend.folder / "missing" / "lastcall.key"
    with pytest.raises(SecretFileError):
        open_store(backend.url, missing, START, system_entropy)
    missing.parent.mkdir()
    opened = open_store(backend.url, missing, START, system_entropy)
    assert opened.secrets.check


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing/lastcall.db"
    with pytest.raises(Unavailable, match="folder"):
        open_store(url, None, START, system_entropy)
    assert not (tmp_path / "missing").exists()


# The key


@pytest.mark.parametrize("what", ["missing", "another database's", "damaged", "open to others"])
def test_a_database_without_its_own_key_is_refused_and_never_given_a_new_one(
    born: SqliteBackend, what: str
) -> None:
    key = born.folder / "lastcall.key"
    before = dump(born)
    match what:
        case "missing":
            key.unlink()
        case "another database's":
            (born.folder / "other").mkdir()
            SqliteBackend(born.folder / "other").open()
            shutil.copy2(born.folder / "other" / "lastcall.key", key)
        case "damaged":
            key.write_text("lastcall-secret-1:AAAA\n")
        case _:
            key.chmod(0o644)
    text = key.read_text() if key.exists() else None
    with pytest.raises(SecretFileError) as caught:
        born.open()
    assert str(key) in str(caught.value)
    assert (key.read_text() if key.exists() else None) == text
    assert dump(born) == before


async def test_the_key_may_lie_elsewhere(born: SqliteBackend, tmp_path: Path) -> None:
    elsewhere = tmp_path / "safe.key"
    (born.folder / "lastcall.key").rename(elsewhere)
    opened = open_store(born.url, elsewhere, START, system_entropy)
    await opened.store.close()


# The schema


def test_a_database_of_a_newer_version_is_refused_and_left_alone(born: SqliteBackend) -> None:
    run(born, "UPDATE alembic_version SET version_num = '9999'")
    before = dump(born)
    with pytest.raises(SchemaNewer):
        born.open()
    with pytest.raises(SchemaNewer):
        migrate(born.url)
    assert dump(born) == before


def test_a_database_of_an_older_version_is_migrated_on_request_only(
    born: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(born)
    monkeypatch.setattr("lastcall.stores.opening._head", lambda: "a later one")
    with pytest.raises(SchemaOlder, match="lastcall migrate"):
        born.open()
    assert dump(born) == before


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE theirs (id INTEGER)",
        "CREATE TABLE users (id INTEGER)",
        "CREATE TABLE alembic_version (version_num TEXT)",
    ],
)
def test_a_database_of_somebody_else_is_refused_and_left_alone(
    backend: SqliteBackend, script: str
) -> None:
    run(backend, script)
    before = dump(backend)
    with pytest.raises(StoreError):
        backend.open()
    with pytest.raises(StoreError):
        migrate(backend.url)
    assert dump(backend) == before
    assert not (backend.folder / "lastcall.key").exists()


def test_a_file_that_is_no_database_is_refused_and_left_alone(backend: SqliteBackend) -> None:
    backend.path.write_bytes(b"this is no database, but long enough to be one" * 99)
    before = backend.path.read_bytes()
    for act in (backend.open, lambda: migrate(backend.url)):
        with pytest.raises((StoreError, Unavailable)):
            act()
    assert backend.path.read_bytes() == before


def test_migrating_nothing_is_refused_and_makes_nothing(backend: SqliteBackend) -> None:
    with pytest.raises(StoreError, match="lastcall serve"):
        migrate(backend.url)
    assert list(backend.folder.iterdir()) == []


def test_several_may_migrate_at_once(born: SqliteBackend) -> None:
    before = dump(born)
    (told,) = set(together(MIGRATE, 3, born.url))
    assert told == f"{NEWEST} {NEWEST}"
    assert dump(born) == before


def test_a_database_that_somebody_holds_is_unavailable(
    born: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.02)
    lock = sqlite3.connect(born.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    for act in (born.open, lambda: migrate(born.url)):
        with pytest.raises(Unavailable, match="busy"):
            act()
    lock.close()


def described(inspector: Inspector) -> dict[str, object]:
    """All that a database knows about its tables."""
    return {
        table: (
            [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            inspector.get_pk_constraint(table),
            sorted(inspector.get_foreign_keys(table), key=str),
            sorted(inspector.get_unique_constraints(table), key=str),
            sorted(
                (
                    (index["name"], index["column_names"], index["unique"])
                    for index in inspector.get_indexes(table)
                ),
                key=str,
            ),
        )
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def wheres(path: Path) -> dict[str, str]:
    """The condition of each partial index."""
    db = sqlite3.connect(path)
    found = {
        name: " ".join(sql.partition("WHERE")[2].split())
        for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
        if sql
    }
    db.close()
    return found


def test_the_schema_is_the_sum_of_its_migrations(born: SqliteBackend, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(engine)
    migrated = create_engine(f"sqlite:///{born.path}")
    assert described(inspect(migrated)) == described(inspect(engine))
    assert wheres(born.path) == wheres(tmp_path / "direct.db")
    with migrated.connect() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
    engine.dispose()
    migrated.dispose()


OLD_ROWS = """
INSERT INTO accounts VALUES ('a_acme', 'acme', 1, 7, 's_c1_one');
INSERT INTO users (id, account_id, email, email_key, external_id, name, role, status,
    password_hash, password_changed_at, created_at, ended_seq, ended_spared, stale_seq) VALUES
    ('u_1', 'a_acme', 'Ada@Example.com', 'ada@example.com', NULL, 'ÉMILE Straße', 'owner', 'active',
        'hash', 5, 4, 3, 's_c1_one', 2),
    ('u_2', 'a_acme', NULL, NULL, 'App-42', NULL, 'member', 'suspended', NULL, NULL, 6, 0, NULL, 0),
    ('u_3', 'a_acme', NULL, NULL, NULL, NULL, 'member', 'active', NULL, NULL, 7, 0, NULL, 0);
INSERT INTO single_use VALUES (X'01', 'invitation', 'u_2', 9, NULL);
"""


@pytest.fixture
def first_schema(backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch) -> SqliteBackend:
    """A database as the first version made and filled it."""

    def upgrade(db: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(opening.__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = db
        command.upgrade(config, "0001")

    event_row = rows_of.event_row

    def first_event_row(event: Event) -> dict[str, object]:
        return {name: value for name, value in event_row(event).items() if name != "key_id"}

    with monkeypatch.context() as patch:
        patch.setattr("lastcall.stores.opening._upgrade", upgrade)
        patch.setattr("lastcall.stores.rows.event_row", first_event_row)
        with pytest.raises(Unavailable):  # it is born, and this version can't read it
            backend.open()
    run(backend, OLD_ROWS)
    return backend


def rows(backend: SqliteBackend) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, by the names of its columns."""
    db = sqlite3.connect(backend.path)
    db.row_factory = sqlite3.Row
    names = [row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    found = {
        name: [dict(row) for row in db.execute(f'SELECT * FROM "{name}"')]  # noqa: S608  its own
        for name in names
    }
    db.close()
    return found


async def test_migrating_the_first_schema_loses_nothing_and_makes_its_users_searchable(
    first_schema: SqliteBackend,
) -> None:
    with pytest.raises(SchemaOlder, match="lastcall migrate"):
        first_schema.open()
    before = rows(first_schema)
    assert migrate(first_schema.url) == ("0001", NEWEST)
    after = rows(first_schema)
    for table, old in before.items():
        if table != "alembic_version":
            kept = [{name: new[name] for name in old[0]} for new in after[table]] if old else []
            assert kept == old, table
    assert after["audit"] == []
    assert after["nodes"] == []
    assert [row["unknown_sign_ins"] for row in after["installation"]] == [0]
    assert [row["search"] for row in after["users"]] == [
        "ada@example.com\némile strasse",
        "app-42",
        "",
    ]
    store = first_schema.open()
    for text, who in (("émile", "u_1"), ("strasse", "u_1"), ("app-4", "u_2")):
        query = replace(everybody(AccountId("a_acme")), text=text)
        assert [one.user.id for one in await store.list_users(query)] == [who]
    await store.commit(base.SetName(UserId("u_1"), "ÉMILE Straße"))
    await store.close()
    # What is folded by the migration is folded as it is ever after.
    assert rows(first_schema)["users"] == after["users"]


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    first_schema: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(first_schema)

    def fail(*_: object) -> str:
        raise ValueError("while users are folded")

    with monkeypatch.context() as patch:
        patch.setattr("unicodedata.normalize", fail)
        with pytest.raises(ValueError, match="folded"):
            migrate(first_schema.url)
    assert dump(first_schema) == before
    assert migrate(first_schema.url) == ("0001", NEWEST)


# Addresses


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///lastcall.db", "lastcall.db"),
        ("sqlite:////srv/x.db", "/srv/x.db"),
        ("sqlite:///a b/é.db", "a b/é.db"),
    ],
)
def test_an_address_names_a_file(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "lastcall.db",
        "mysql://x",
        "postgresql://ada:hunter2@db/x",
        "postgres://ada:hunter2@db/x",
    ],
)
def test_any_other_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="LASTCALL_DATABASE_URL") as caught:
        sqlite_path(url)
    assert "hunter2" not in str(caught.value)
