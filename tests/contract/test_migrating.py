"""Schemas: each is migrated whole or not at all, and the last is what the code means."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    delete,
    insert,
    select,
    update,
)

from lastcall import secretfile
from lastcall.clock import system_entropy
from lastcall.errors import SchemaOlder
from lastcall.ids import AccountId, UserId
from lastcall.stores import base, opening, place
from lastcall.stores.opening import migrate
from lastcall.stores.schema import metadata
from tests.support.backends import Backend, ask, described, dump, rows, run
from tests.support.together import together
from tests.support.values import everybody

NEWEST = "0006"
"""The newest schema."""

CONFIG = Config()
CONFIG.set_main_option("script_location", str(Path(opening.__file__).parent / "migrations"))
CONFIG.set_main_option("path_separator", "os")


def upgrade(db: Connection, revision: str) -> None:
    CONFIG.attributes["connection"] = db
    command.upgrade(CONFIG, revision)


def make(backend: Backend, revision: str) -> MetaData:
    """Make a database as the version with that schema did; give its tables."""
    secrets = secretfile.create(backend.secret_file, system_entropy)
    tables = MetaData()

    def act(db: Connection) -> None:
        upgrade(db, revision)
        tables.reflect(db)
        place = {"epoch": "epoch-------", "timeline_number": 1, "timeline_name": "first", "seq": 1}
        for table, row in {
            "installation": {"id": 1, "cell": "c1", "secret_check": secrets.check, "created_at": 1},
            "log": {**place, "id": 1, "floor": 0},
            "events": {
                **place,
                "kind": "timeline_opened",
                "at": 1,
                "actor_kind": "system",
                "ended": 0,
            },
        }.items():
            db.execute(insert(tables.tables[table]).values(**row))

    place.find(backend.url).exclusively(act)
    return tables


# What a schema is

INDEXES = {
    "sqlite": "SELECT name, substr(sql, instr(sql, ' WHERE ')) AS what FROM sqlite_master"
    " WHERE sql LIKE 'CREATE%INDEX% WHERE %'",
    "postgresql": "SELECT indexname AS name, indexdef AS what FROM pg_indexes"
    " WHERE schemaname = 'public'",
}
"""Each with its condition."""


def indexes(backend: Backend) -> dict[str, str]:
    question = INDEXES[backend.do(lambda db: db.dialect.name)]
    found = {row["name"]: " ".join(row["what"].split()) for row in ask(backend, question)}
    found.pop("alembic_version_pkc", None)
    return found


def tables(db: Connection) -> dict[str, object]:
    return {name: what for name, what in described(db).items() if name != "alembic_version"}


# An index of an expression is compared by its definition: Alembic can't on SQLite, and warns.
@pytest.mark.filterwarnings("ignore:autogenerate skipping .*'ix_users_search'")
async def test_the_schema_is_the_sum_of_its_migrations(make_empty: Callable[[], Backend]) -> None:
    migrated, direct = make_empty(), make_empty()
    await migrated.open().close()
    direct.do(metadata.create_all)
    assert migrated.do(tables) == direct.do(tables)
    assert len(indexes(direct)) >= 3
    assert indexes(migrated) == indexes(direct)
    compared = migrated.do(lambda db: compare_metadata(MigrationContext.configure(db), metadata))
    assert compared == []


def a_value(column: Column[Any]) -> object:
    """Something for a column; the same in whatever refers to it."""
    for key in column.foreign_keys:
        return a_value(key.column)
    match column.type:
        case Boolean():
            return True
        case BigInteger() | Integer():
            return 2
        case LargeBinary():
            return f"{column}".encode()
        case _:
            return f"{column}"


def there(db: Connection, table: Table) -> list[dict[str, Any]]:
    return [dict(row) for row in db.execute(select(table)).mappings()]


REVISIONS = [
    one.revision for one in reversed([*ScriptDirectory.from_config(CONFIG).walk_revisions()])
]


def test_the_migrations_files_name_the_schemas_in_their_order() -> None:
    """So that a database is known without Alembic."""
    assert opening.schemas() == REVISIONS
    assert REVISIONS[-1] == NEWEST


@pytest.mark.parametrize(("before", "after"), list(pairwise(REVISIONS)))
def test_what_runs_on_a_schema_runs_on_the_next_one_too(
    empty: Backend, before: str, after: str
) -> None:
    """While nodes are replaced one by one, those of the version before go on: they write and read
    all that they know, and nothing else."""
    old = make(empty, before)
    place.find(empty.url).exclusively(lambda db: upgrade(db, after))

    def use(db: Connection) -> None:
        for table in old.sorted_tables:
            if table.name == "alembic_version":
                continue
            row = {column.name: a_value(column) for column in table.columns}
            own = [column == row[column.name] for column in table.primary_key]
            others = there(db, table)
            db.execute(insert(table).values(row))
            assert [one for one in there(db, table) if one not in others] == [row], table
            assert db.execute(update(table).where(*own).values(row)).rowcount == 1
        for table in reversed(old.sorted_tables):
            if table.name != "alembic_version":
                own = [column == a_value(column) for column in table.primary_key]
                assert db.execute(delete(table).where(*own)).rowcount == 1

    empty.do(use)


# Migrating

OLD_ROWS = (
    "INSERT INTO accounts VALUES ('a_acme', 'acme', 1, 7, 's_c1_one')",
    """
INSERT INTO users (id, account_id, email, email_key, external_id, name, role, status,
    password_hash, password_changed_at, created_at, ended_seq, ended_spared, stale_seq) VALUES
    ('u_1', 'a_acme', 'Ada@Example.com', 'ada@example.com', NULL, 'ÉMILE Straße', 'owner', 'active',
        'hash', 5, 4, 3, 's_c1_one', 2),
    ('u_2', 'a_acme', NULL, NULL, 'App-42', NULL, 'member', 'suspended', NULL, NULL, 6, 0, NULL, 0),
    ('u_3', 'a_acme', NULL, NULL, NULL, NULL, 'member', 'active', NULL, NULL, 7, 0, NULL, 0)
""",
)


@pytest.fixture
def first_schema(empty: Backend) -> Backend:
    """A database as the first version made and filled it."""
    single_use = make(empty, "0001").tables["single_use"]
    run(empty, *OLD_ROWS)
    link = {"secret_hash": b"1", "purpose": "invitation", "user_id": "u_2", "expires_at": 9}
    empty.do(lambda db: db.execute(insert(single_use).values(link)))
    return empty


async def test_migrating_the_first_schema_loses_nothing_and_makes_its_users_searchable(
    first_schema: Backend,
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
    first_schema: Backend, monkeypatch: pytest.MonkeyPatch
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


MIGRATE = """
import sys
from lastcall.stores.opening import migrate
print(*migrate(sys.argv[1]))
"""


def test_of_ten_that_migrate_at_once_one_does_it_and_the_others_wait(first_schema: Backend) -> None:
    told = sorted(together(MIGRATE, 10, first_schema.url))
    assert told == [f"0001 {NEWEST}", *[f"{NEWEST} {NEWEST}"] * 9]
    before = dump(first_schema)
    assert migrate(first_schema.url) == (NEWEST, NEWEST)
    assert dump(first_schema) == before
