"""A machine whose server can be killed anywhere, and the world that it serves."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastcall.clock import system_entropy
from tests.faults.machine import BOB, Machine, Template, World, invite, launched, sign_in
from tests.faults.stage import Prepared
from tests.support.fakes import FakeClock
from tests.support.mortal import ADDRESS, address
from tests.support.nodes import EMAIL, PASSWORD, open_node
from tools.postgres import Server


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """What a stage of servers and verifiers begins with."""
    return Prepared.make(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A machine on which nothing is served yet."""
    with launched() as one:
        yield one


@pytest.fixture(scope="session")
def neighbour() -> Iterator[Machine]:
    """Another one."""
    with launched() as one:
        yield one


@pytest.fixture(scope="session")
def world(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that was killed, so that its log is still beside the database."""
    return _world(machine, tmp_path_factory.mktemp("world"), None)


@pytest.fixture(scope="session")
def world_elsewhere(
    machine: Machine, tmp_path_factory: pytest.TempPathFactory, postgres: Server
) -> Iterator[World]:
    """One whose database is PostgreSQL's."""
    folder = tmp_path_factory.mktemp("world")
    template = Template(postgres, f"world_{secrets.token_hex(8)}")
    (folder / ADDRESS).write_text(postgres.create_database(template.name))
    yield _world(machine, folder, template)
    machine.close()
    template.drop()


def _world(machine: Machine, folder: Path, template: Template | None) -> World:
    users = dict(zip(("ada", "bob"), asyncio.run(_fill(folder)), strict=True))
    machine.start(folder)
    emails = {"ada": EMAIL, "bob": BOB}
    devices = {
        f"{name}{kind}": sign_in(machine, emails[name], users[name])
        for name in users
        for kind in ("", "_phone")
    }
    world = World(folder, devices, invite(machine, devices["ada"].access), template)
    machine.close()
    return world


async def _fill(folder: Path) -> list[str]:
    node = await open_node(
        folder, FakeClock(), system_entropy, serving=False, database_url=address(folder)
    )
    account = await node.identity.add_account("Acme")
    added = [
        await node.identity.add_user(account.id, email, password=PASSWORD) for email in (EMAIL, BOB)
    ]
    await node.close()
    return [user.id for user in added]
