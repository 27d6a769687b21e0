"""What every test may ask for."""

import os
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sqlalchemy import Connection

from lastcall.node import Node
from lastcall.stores.lane import Lane
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import open_node
from tools.postgres import Cluster, Server

ROOT = Path(__file__).resolve().parent.parent

# A slow machine is no fault of the code; what failed once is printed so that it can be repeated.
# Whether a change passes is not for luck to decide: with a number of examples given, each run tries
# others.
hypothesis.settings.register_profile(
    "lastcall",
    deadline=None,
    print_blob=True,
    derandomize="LASTCALL_TEST_EXAMPLES" not in os.environ,
)
hypothesis.settings.load_profile("lastcall")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the quick tests last: workers that are handed files in this order end at about the same
    time."""
    items.sort(key=lambda item: item.path.is_relative_to(ROOT / "tests" / "unit"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of test data that is too large to keep here; skips where it doesn't exist."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "the shared test data (shared/data beside the repository) is not on this machine"
        )
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server; with `LASTCALL_TEST_PG_URL` the one there, as a user who may make
    databases."""
    given = os.environ.get("LASTCALL_TEST_PG_URL")
    if given:
        yield Server(given)
        return
    cluster = Cluster(fsync=False)  # tests of crashes have servers of their own
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    name = f"test_{secrets.token_hex(8)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until it is moved."""
    return FakeClock()


@pytest.fixture
def entropy() -> FakeEntropy:
    """Randomness that is the same in every run."""
    return FakeEntropy()


@pytest.fixture
async def node(tmp_path: Path, clock: FakeClock, entropy: FakeEntropy) -> AsyncIterator[Node]:
    """A node on an empty database of its own."""
    opened = await open_node(tmp_path, clock, entropy)
    yield opened
    await opened.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reads that reach the database, as they do, but for those of the node's own lease and log:
    they go on beside whatever is asked."""
    seen: list[str] = []
    own = ("FROM log", "FROM events", "FROM nodes", "FROM signing_keys")

    def note(statement: str) -> None:
        is_read = statement.lstrip().upper().startswith(("SELECT", "WITH"))
        if is_read and not any(f"\n{table}" in statement for table in own):
            seen.append(statement)

    def do_one(self: Lane, connection: Connection, db: sqlite3.Connection, work: Any) -> None:  # noqa: ANN401
        db.set_trace_callback(note)
        try:
            original(self, connection, db, work)
        finally:
            db.set_trace_callback(None)

    original = Lane._do_one  # noqa: SLF001  where all that asks the database passes
    monkeypatch.setattr(Lane, "_do_one", do_one)
    return seen
