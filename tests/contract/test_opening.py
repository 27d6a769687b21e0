"""Opening a database in every state that it may be in, by however many at once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lastcall.clock import system_entropy
from lastcall.errors import SchemaNewer, SchemaOlder, SecretFileError, StoreError
from lastcall.stores import opening
from lastcall.stores.opening import migrate, open_store
from tests.support.backends import Backend, SqliteBackend, dump, run
from tests.support.fakes import START
from tests.support.together import together


@pytest.fixture
async def born(empty: Backend) -> Backend:
    """A database that was made and closed."""
    await empty.open().close()
    return empty


OPEN = """
import asyncio, sys
from pathlib import Path
from lastcall.clock import system_entropy
from lastcall.stores.opening import open_store
from tests.support.fakes import START

async def tell():
    opened = open_store(sys.argv[1], Path(sys.argv[2]), START, system_entropy)
    end = (await opened.store.log_end()).position
    print(opened.secrets.check.hex(), end.epoch, end.timeline, end.seq)
    await opened.store.close()

asyncio.run(tell())
"""


# Where there is nothing


def test_of_several_processes_that_start_on_nothing_one_makes_the_database_for_all(
    empty: Backend,
) -> None:
    outputs = together(OPEN, 4, empty.url, str(empty.secret_file))
    assert len(outputs) == 4
    (told,) = set(outputs)
    assert told.endswith(" 1")
    files = {file.name for file in empty.secret_file.parent.iterdir()}
    assert "lastcall.key" in files
    assert files <= {"lastcall.db", "lastcall.key", "lastcall.db-wal", "lastcall.db-shm"}


async def test_a_database_is_born_with_its_cell_its_log_and_no_issuer(
    born: Backend,
) -> None:
    store = born.open()
    installation = await store.installation()
    assert (installation.cell, installation.issuer) == ("c1", None)
    end = await store.log_end()
    assert (end.position.seq, end.floor, end.position.timeline.number) == (1, 0, 1)
    await store.close()


async def test_two_databases_are_never_on_one_log(make_empty: Callable[[], Backend]) -> None:
    ends = []
    for _ in range(2):
        store = make_empty().open()
        ends.append((await store.log_end()).position)
        await store.close()
    assert ends[0].epoch != ends[1].epoch
    assert ends[0].timeline.name != ends[1].timeline.name


def test_a_birth_that_fails_leaves_nothing_that_looks_born(empty: Backend) -> None:
    """No key can be written: the next start, where it can, makes the database."""
    missing = empty.secret_file.parent / "missing" / "lastcall.key"
    with pytest.raises(SecretFileError):
        open_store(empty.url, missing, START, system_entropy)
    missing.parent.mkdir()
    opened = open_store(empty.url, missing, START, system_entropy)
    assert opened.secrets.check


# The key


@pytest.mark.parametrize("what", ["missing", "another database's", "damaged", "open to others"])
def test_a_database_without_its_own_key_is_refused_and_never_given_a_new_one(
    born: Backend, tmp_path: Path, what: str
) -> None:
    key = born.secret_file
    before = dump(born)
    match what:
        case "missing":
            key.unlink()
        case "another database's":
            another = SqliteBackend(tmp_path)
            another.open()
            shutil.copy2(another.secret_file, key)
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


async def test_the_key_may_lie_elsewhere(born: Backend, tmp_path: Path) -> None:
    elsewhere = tmp_path / "safe.key"
    born.secret_file.rename(elsewhere)
    opened = open_store(born.url, elsewhere, START, system_entropy)
    await opened.store.close()


# The schema


def test_a_database_of_a_newer_version_is_refused_and_left_alone(born: Backend) -> None:
    run(born, "UPDATE alembic_version SET version_num = '9999'")
    before = dump(born)
    with pytest.raises(SchemaNewer):
        born.open()
    with pytest.raises(SchemaNewer):
        migrate(born.url)
    assert dump(born) == before


def test_a_database_of_an_older_version_is_migrated_on_request_only(
    born: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump(born)
    later = [*opening.schemas(), "a later one"]
    monkeypatch.setattr(opening, "schemas", lambda: later)
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
def test_a_database_of_somebody_else_is_refused_and_left_alone(empty: Backend, script: str) -> None:
    run(empty, script)
    before = dump(empty)
    with pytest.raises(StoreError):
        empty.open()
    with pytest.raises(StoreError):
        migrate(empty.url)
    assert dump(empty) == before
    assert not (empty.secret_file).exists()


def test_migrating_nothing_is_refused_and_makes_nothing(empty: Backend) -> None:
    with pytest.raises(StoreError, match="lastcall serve"):
        migrate(empty.url)
    assert not empty.secret_file.exists()
    assert dump(empty) == ({}, {})
