"""What several of the unit tests ask for."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lastcall.clock import system_entropy
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from tests.support.doctor import Doctor, born, open_folder
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import add_user, calls, open_node, set_up
from tests.support.open_pages import Scene
from tests.support.rivals import PausedPasswords, Rival


@pytest.fixture
async def ada(node: Node) -> Tokens:
    """The owner of the first account, signed in by a browser."""
    return await set_up(node)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that every user may enter."""
    with open_folder() as made:
        yield made


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database in perfect order, to copy."""
    return born(Doctor(tmp_path_factory.mktemp("healthy"))).folder


@pytest.fixture
def doctor(folder: Path, healthy: Path) -> Doctor:
    """A doctor, and a database in perfect order."""
    for name in ("lastcall.db", "lastcall.key"):
        shutil.copy2(healthy / name, folder)
    return Doctor(folder)


@pytest.fixture
async def rival(node: Node, tmp_path: Path) -> AsyncIterator[Rival]:
    """Another process of the same server, whose next commit comes second."""
    made = Rival(node, tmp_path)
    yield made
    await made.store.close()


@pytest.fixture
def paused() -> PausedPasswords:
    """The passwords of `slow`."""
    return PausedPasswords()


@pytest.fixture
async def slow(
    node: Node, tmp_path: Path, clock: FakeClock, paused: PausedPasswords
) -> AsyncIterator[Node]:
    """Another process of the same server, whose hashing can be paused."""
    opened = await open_node(tmp_path, clock, FakeEntropy("slow"), passwords=paused)
    yield opened
    await opened.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A node whose owner Ada and member Bob open pages."""
    clock = FakeClock()
    node = await open_node(tmp_path, clock, system_entropy)
    ada = await set_up(node)
    owner = (await calls(node, ada)).user
    made = Scene(node, clock, ada, await add_user(node, owner, "bob@example.com"))
    yield made
    await made.live.close()
    await node.close()
