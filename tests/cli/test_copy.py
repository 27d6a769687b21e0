"""`lastcall copy`: from SQLite to PostgreSQL, whole or not at all."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, Table, select

from lastcall.cli.root import root
from lastcall.clock import system_entropy
from lastcall.errors import SessionEnded, StoreError
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.settings import Settings
from lastcall.stores import copying, opening, place
from lastcall.stores.schema import metadata
from tests.support.fakes import FakeClock
from tests.support.nodes import DATABASE, SEEN, calls, open_node, set_up, sign_in
from tools.postgres import Server

Rows = dict[str, list[tuple[Any, ...]]]


def rows(where: place.Place) -> Rows:
    """All that a database holds, but what belongs to its servers and the log's own row."""

    def read(db: Connection) -> Rows:
        return {
            table.name: [tuple(row) for row in db.execute(_in_order(table))]
            for table in metadata.sorted_tables
            if table.name not in ("nodes", "log")
        }

    return where.exclusively(read)


def _in_order(table: Table) -> Any:  # noqa: ANN401
    return select(table).order_by(*table.primary_key.columns)


@pytest.fixture
async def kept(tmp_path: Path) -> tuple[Tokens, Tokens]:
    """The tokens of a session that lives and of one that has ended, in a database whose server has
    stopped."""
    node = await open_node(tmp_path, FakeClock(), system_entropy)
    living = await set_up(node)
    ended = await sign_in(node)
    await node.sessions.refresh(living.refresh_token, "198.51.100.7")
    living = await node.sessions.refresh(living.refresh_token, "198.51.100.7")
    caller = await calls(node, ended)
    await node.sessions.endings.sign_out(ended.session.id, node.sessions.origin(caller, SEEN.ip))
    await node.close()
    return living, ended


async def on_postgres(tmp_path: Path, database: str) -> Node:
    settings = Settings(database_url=database, secret_file=tmp_path / "lastcall.key")
    passwords = Passwords(CHEAP, threads=1)
    return await Node.open(settings, clock=FakeClock(), passwords=passwords, serving=True)


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(root, ["copy", *arguments])
    return done.exit_code, done.stdout, done.stderr


async def test_everything_is_moved_and_users_stay_signed_in(
    kept: tuple[Tokens, Tokens], tmp_path: Path, database: str
) -> None:
    old, new = place.SqlitePlace(tmp_path / DATABASE), place.find(database)
    before = rows(old)
    status, out, err = run("--from", f"sqlite:///{old.path}", "--to", database)
    assert (status, out.startswith("Copied ")) == (0, True), (out, err)
    assert "lastcall.key" in err
    after = rows(new)
    # But for the event that opens the timeline on which the log goes on.
    assert after.pop("events")[:-1] == before.pop("events")
    assert after == before
    living, ended = kept
    node = await on_postgres(tmp_path, database)
    fresh = await node.sessions.refresh(living.refresh_token, "198.51.100.7")
    assert (await calls(node, fresh)).session.id == living.session.id
    with pytest.raises(SessionEnded):
        await node.sessions.refresh(ended.refresh_token, None)
    again = await sign_in(node)  # by the same password; its record goes on in the audit log
    assert (await calls(node, again)).user.id == fresh.user.id
    assert len(rows(new)["audit"]) == len(before["audit"]) + 1
    await node.close()


async def test_the_server_knows_how_large_what_was_moved_is(
    kept: tuple[Tokens, Tokens], tmp_path: Path, database: str, postgres: Server
) -> None:
    """Else it might read whole tables for each refresh, until it looks for itself."""
    assert run("--from", f"sqlite:///{tmp_path / DATABASE}", "--to", database)[0] == 0
    known = "SELECT array_agg(reltuples::int) FROM pg_class WHERE relname IN ('sessions', 'users')"
    name = urlsplit(database).path.removeprefix("/")
    assert sorted(postgres.value(known, database=name)) == [1, 2]


async def test_what_was_leased_before_counts_for_as_long_as_it_may_be_used(
    kept: tuple[Tokens, Tokens], tmp_path: Path, database: str
) -> None:
    """The servers of before are not in the new database: rows there say nothing yet (rule 6)."""
    del kept
    before = await open_node(tmp_path, FakeClock(), system_entropy)
    end = await before.store.log_end()
    await before.close()
    assert run("--from", f"sqlite:///{tmp_path / DATABASE}", "--to", database)[0] == 0
    node = await on_postgres(tmp_path, database)
    log = await node.store.log_end()
    assert not log.settled
    assert log.position.seq == end.position.seq + 1
    assert log.position.timeline.number == end.position.timeline.number + 1
    await node.close()


def test_programs_are_told_the_counts(
    kept: tuple[Tokens, Tokens], tmp_path: Path, database: str
) -> None:
    del kept
    status, out, err = run("--from", f"sqlite:///{tmp_path / DATABASE}", "--to", database, "--json")
    assert (status, err) == (0, "")
    copied = json.loads(out)["copied"]
    assert (copied["users"], copied["sessions"], copied["sign_ins"]) == (1, 2, 2)


def test_a_database_that_holds_something_is_left_alone(
    kept: tuple[Tokens, Tokens], tmp_path: Path, database: str
) -> None:
    del kept
    source = f"sqlite:///{tmp_path / DATABASE}"
    assert run("--from", source, "--to", database)[0] == 0
    before = rows(place.find(database))
    status, _, err = run("--from", source, "--to", database)
    assert status == 1
    assert "empty database" in err
    assert rows(place.find(database)) == before


def test_a_copy_that_fails_leaves_nothing_behind(
    kept: tuple[Tokens, Tokens],
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever table it is that fails."""
    del kept
    source, target = place.SqlitePlace(tmp_path / DATABASE), place.find(database)
    before = rows(source)
    filled = [name for name, number in copying.count(source).items() if number]
    assert len(filled) > 5
    for failing in filled:

        def watch(table: str, _: int, failing: str = failing) -> None:
            if table == failing:
                raise StoreError("planted")

        with pytest.raises(StoreError, match="planted"):
            copying.copy(source, target, system_entropy, watch)
        assert target.exclusively(opening.state) == "empty"
    monkeypatch.setattr(copying, "_count", lambda _db, _table: 3)
    with pytest.raises(StoreError, match="lacks rows"):
        copying.copy(source, target, system_entropy, lambda *_: None)
    assert target.exclusively(opening.state) == "empty"
    assert rows(source) == before


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("sqlite:///no.db", "postgresql://x/y", "there is no database"),
        ("sqlite:///no.db", "sqlite:///other.db", "postgresql://"),
        ("postgresql://x/y", "postgresql://x/z", "pg_dump"),
        ("mysql://x/y", "postgresql://x/y", "sqlite:///"),
    ],
)
def test_wrong_addresses_are_told(source: str, target: str, says: str) -> None:
    status, _, err = run("--from", source, "--to", target)
    assert status == 1
    assert says in err
