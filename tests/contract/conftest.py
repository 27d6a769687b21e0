"""Every store runs the same suite: a factory more, and another one is held to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

import pytest

from lastcall.stores import base
from lastcall.stores.base import Store
from tests.support.backends import Backend, Born, PostgresBackend, SqliteBackend
from tests.support.values import a_user, an_account
from tools.postgres import Server


@pytest.fixture(scope="session")
def born_file(tmp_path_factory: pytest.TempPathFactory) -> SqliteBackend:
    """A file to copy: to be born takes longer than most tests."""
    made = SqliteBackend(tmp_path_factory.mktemp("born"))
    asyncio.run(made.open().close())
    return made


@pytest.fixture(scope="session")
def born_database(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Born]:
    """A PostgreSQL database to copy."""
    made = Born.make(postgres, tmp_path_factory.mktemp("born"))
    yield made
    postgres.drop_database(made.name)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """A database that nobody has used."""
    if request.param == "sqlite":
        copied_file: SqliteBackend = request.getfixturevalue("born_file")
        yield copied_file.copy(tmp_path)
        return
    copied: Born = request.getfixturevalue("born_database")
    with copied.copy() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def make_empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Backend]]:
    """Gives a database more at each call, that nobody has opened yet."""
    with ExitStack() as made:

        def make() -> Backend:
            folder = Path(mkdtemp(dir=tmp_path))
            if request.param == "sqlite":
                return SqliteBackend(folder)
            server: Server = request.getfixturevalue("postgres")
            name = f"test_{token_hex(8)}"
            made.callback(server.drop_database, name)
            return PostgresBackend(server.create_database(name), folder)

        yield make


@pytest.fixture
def empty(make_empty: Callable[[], Backend]) -> Backend:
    """A database that nobody has opened yet."""
    return make_empty()


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[Store]:
    """A store with an account and its user Ada."""
    opened = backend.open()
    await opened.commit(
        base.AddAccount(an_account()), base.AddUser(a_user(), "hash of Ada's password")
    )
    yield opened
    await opened.close()


@pytest.fixture
async def other(store: Store, backend: Backend) -> AsyncIterator[Store]:
    """The same database, as another process has it."""
    opened = backend.open()
    yield opened
    await opened.close()
