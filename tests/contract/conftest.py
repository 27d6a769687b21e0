"""Every store runs the same suite: a factory more, and another one is held to it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lastcall.stores import base
from lastcall.stores.base import Store
from tests.support.backends import Backend, SqliteBackend
from tests.support.values import a_user, an_account

BACKENDS: dict[str, Callable[[Path], Backend]] = {"sqlite": SqliteBackend}


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """An empty database."""
    return BACKENDS[request.param](tmp_path)


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
