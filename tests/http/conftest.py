"""Servers that tests talk to."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lastcall.http import api
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.server import create_app
from lastcall.settings import Settings
from lastcall.stores.place import KEY_FILE
from tests.http.company import Company
from tests.http.feeding import Fed, listening
from tests.http.office import Office
from tests.http.serving import NOON, Native, Served
from tests.support.fakes import FakeClock
from tests.support.nodes import DATABASE, EMAIL, PASSWORD
from tools.postgres import Server

on_each_store = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
"""Has a module's tests run on every kind of database."""
Serve = Callable[[Settings], Awaitable[Served]]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database with one account and its owner, which no server has started on."""
    folder = tmp_path_factory.mktemp("filled")
    asyncio.run(_fill(Settings(database_url=f"sqlite:///{folder / DATABASE}")))
    return folder


async def _fill(settings: Settings) -> None:
    passwords = Passwords(CHEAP, threads=1)
    node = await Node.open(settings, clock=FakeClock(NOON), passwords=passwords)
    account = await node.identity.add_account("Acme")
    await node.identity.add_user(account.id, EMAIL, name="Ada", password=PASSWORD)
    await node.close()


@pytest.fixture(scope="session")
def filled_postgres(filled: Path, postgres: Server) -> Iterator[str]:
    """The name of the same on PostgreSQL, with the same secret file."""
    name = f"filled_{secrets.token_hex(8)}"
    url = postgres.create_database(name)
    asyncio.run(_fill(Settings(database_url=url, secret_file=filled / KEY_FILE)))
    yield name
    postgres.drop_database(name)


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A database with one account and its owner. Its kind is the parameter, else that of
    LASTCALL_TEST_STORE, else "sqlite"."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    kind = getattr(request, "param", os.environ.get("LASTCALL_TEST_STORE", "sqlite"))
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / DATABASE}"
        return
    monkeypatch.chdir(tmp_path)  # where the secret file is looked for
    server: Server = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("filled_postgres")
    name = f"test_{secrets.token_hex(8)}"
    yield server.create_database(name, template)
    server.drop_database(name)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts servers, without pages, with settings of one's own."""
    async with AsyncExitStack() as stack:

        async def start(settings: Settings) -> Served:
            clock = FakeClock(NOON)
            node = await Node.open(
                settings, clock=clock, passwords=Passwords(CHEAP, threads=1), serving=True
            )
            stack.push_async_callback(node.close)
            app = create_app(settings, node=node, endpoints=api.ENDPOINTS, error_page=None)
            account, *_ = await node.store.list_accounts()
            ada = await node.identity.find_by_email(EMAIL)
            return Served(app, node, settings, clock, account, ada)

        yield start


@pytest.fixture
async def served(serve: Serve, database_url: str) -> Served:
    """A server on http://localhost:8000."""
    return await serve(Settings(database_url=database_url))


@pytest.fixture
async def secured(serve: Serve, filled: Path, tmp_path: Path) -> Served:
    """A server behind TLS."""
    shutil.copytree(filled, tmp_path / "secured")
    url = f"sqlite:///{tmp_path / 'secured' / DATABASE}"
    return await serve(Settings(database_url=url, public_url="https://id.example.com"))


@pytest.fixture
async def native_elsewhere(serve: Serve, filled: Path, tmp_path: Path) -> Native:
    """A client of another server with the same name."""
    shutil.copytree(filled, tmp_path / "elsewhere")
    url = f"sqlite:///{tmp_path / 'elsewhere' / DATABASE}"
    return await (await serve(Settings(database_url=url))).native()


@pytest.fixture
async def fed(served: Served) -> AsyncIterator[Fed]:
    """A server that listens, and a key to follow its feed with."""
    await served.node.leases.start()
    app = create_app(served.settings, node=served.node)
    await app.open()
    async with listening(app) as port:
        yield Fed(served.at(app), port, await served.key("verify"))


@pytest.fixture
async def office(served: Served) -> Office:
    """An owner, a member with two sessions, and a service."""
    mia = await served.add_user("mia@example.com")
    key = await served.key("sessions")
    return Office(
        served,
        await served.native(),
        await served.native("mia@example.com"),
        await served.native("mia@example.com"),
        served.ada,
        mia,
        key,
    )


@pytest.fixture
async def company(served: Served) -> Company:
    """An owner and an admin who are signed in, and a member."""
    grace = await served.add_user("grace@example.com", role="admin")
    mia = await served.add_user("mia@example.com")
    signed_in = await served.native(), await served.native("grace@example.com")
    return Company(served, *signed_in, grace.id, mia)
