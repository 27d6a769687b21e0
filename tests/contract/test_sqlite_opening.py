"""Opening a file in every state that it may be in."""

import sqlite3
from pathlib import Path

import pytest

from lastcall.clock import system_entropy
from lastcall.errors import SettingsError, StoreError, Unavailable
from lastcall.stores import sqlite
from lastcall.stores.opening import migrate, open_store
from lastcall.stores.place import sqlite_path
from tests.support.backends import SqliteBackend
from tests.support.fakes import START
from tests.support.together import together


@pytest.fixture
def backend(tmp_path: Path) -> SqliteBackend:
    return SqliteBackend(tmp_path)


FRESH = """
import sys
from pathlib import Path
from lastcall.stores.sqlite import engine
for number in range(400):
    with engine(Path(sys.argv[1]) / f"{number}.db").connect() as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        db.exec_driver_sql("BEGIN IMMEDIATE")
        db.exec_driver_sql("CREATE TABLE IF NOT EXISTS made (at INTEGER)")
        db.exec_driver_sql("COMMIT")
"""


def test_whoever_opens_a_new_file_at_the_same_time_waits_for_the_others(tmp_path: Path) -> None:
    """SQLite fails some of them at once when they ask for its log, however long they would wait."""
    together(FRESH, 4, str(tmp_path))


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing/lastcall.db"
    with pytest.raises(Unavailable, match="folder"):
        open_store(url, None, START, system_entropy)
    assert not (tmp_path / "missing").exists()


def test_a_file_that_is_no_database_is_refused_and_left_alone(backend: SqliteBackend) -> None:
    backend.path.write_bytes(b"this is no database, but long enough to be one" * 99)
    before = backend.path.read_bytes()
    for act in (backend.open, lambda: migrate(backend.url)):
        with pytest.raises((StoreError, Unavailable)):
            act()
    assert backend.path.read_bytes() == before


def test_migrating_no_file_makes_none(backend: SqliteBackend) -> None:
    with pytest.raises(StoreError, match="lastcall serve"):
        migrate(backend.url)
    assert list(backend.folder.iterdir()) == []


def test_a_database_that_somebody_holds_is_unavailable(
    backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.open()
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.02)
    lock = sqlite3.connect(backend.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    for act in (backend.open, lambda: migrate(backend.url)):
        with pytest.raises(Unavailable, match="busy"):
            act()
    lock.close()


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
