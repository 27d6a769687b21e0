"""Moves a database from SQLite to PostgreSQL, whole or not at all."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, func, select, text

from lastcall.clock import Entropy
from lastcall.errors import SchemaNewer, SchemaOlder, StoreError
from lastcall.stores import opening
from lastcall.stores.place import Place
from lastcall.stores.postgres import timeline
from lastcall.stores.prepared import plain
from lastcall.stores.schema import metadata, nodes

CHUNK: Final = 5_000
"""How many rows are read and written at once."""
TABLES: Final = tuple(table for table in metadata.sorted_tables if table is not nodes)
"""What is copied, in the order of its references: all but the servers of now."""

_NUMBERS: Final = "SELECT setval(pg_get_serial_sequence('audit', 'number'), max(number)) FROM audit"
"""Has the audit log's numbers go on after those that were copied."""

_ANALYZE: Final = f"ANALYZE {', '.join(table.name for table in TABLES)}"
"""Has the server know how large its tables are: of what it knows nothing it may walk through."""

Watch = Callable[[str, int], None]
"""Is told of each piece: the table, and how many of its rows are done."""


def count(source: Place) -> dict[str, int]:
    """Count what would be copied, by table. Raises StoreError and its children, Unavailable."""
    source.require()

    def do(db: Connection) -> dict[str, int]:
        _require_current(db, source)
        return {table.name: _count(db, table) for table in TABLES}

    return source.exclusively(do)


def copy(source: Place, target: Place, entropy: Entropy, watch: Watch) -> dict[str, int]:
    """Copy all to a database that holds nothing yet; gives the number of rows, by table.

    Nobody can write to the source meanwhile, and the target has all or nothing. The log goes on
    there on a timeline of its own: what was leased before counts for as long as it may be used.

    Raises StoreError and its children, Unavailable.
    """
    source.require()

    def read(there: Connection) -> dict[str, int]:
        _require_current(there, source)
        return target.exclusively(lambda here: _copy(there, here, target, entropy, watch))

    return source.exclusively(read)


def _copy(
    there: Connection, here: Connection, target: Place, entropy: Entropy, watch: Watch
) -> dict[str, int]:
    if opening.state(here) != "empty":
        raise StoreError(f"{target.name} holds tables already; name an empty database")
    opening.upgrade(here)
    counts = {}
    for table in TABLES:
        done = 0
        for rows in _chunks(there, table):
            _insert(here, table, rows)
            done += len(rows)
            watch(table.name, done)
        counts[table.name] = _count(here, table)
        if not counts[table.name] == done == _count(there, table):
            raise StoreError(f"the copy of {table.name} lacks rows; nothing was kept of it")
    here.execute(text(_NUMBERS))
    timeline.lock(here, entropy)
    here.execute(text(_ANALYZE))
    return counts


def _require_current(db: Connection, source: Place) -> None:
    match opening.state(db):
        case "current":
            return
        case "older":
            raise SchemaOlder(
                f"{source.name} is from an older lastcall; run first: lastcall migrate"
            )
        case "newer":
            raise SchemaNewer(f"{source.name} is from a newer lastcall; upgrade lastcall")
        case "empty" | "foreign":
            raise StoreError(f"{source.name} is not a lastcall database")


def _chunks(db: Connection, table: Table) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Read a table in the order of its key, a piece at a time."""
    found = db.execute(select(table).order_by(*table.primary_key.columns)).yield_per(CHUNK)
    for rows in found.partitions(CHUNK):
        yield [tuple(row) for row in rows]


def _insert(db: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    adapted: Any = db.connection.dbapi_connection
    records = [tuple(map(plain, row)) for row in rows]
    names = [column.name for column in table.columns]
    adapted.run_async(
        lambda raw: raw.copy_records_to_table(table.name, records=records, columns=names)
    )


def _count(db: Connection, table: Table) -> int:
    return int(db.execute(select(func.count()).select_from(table)).scalar_one())
