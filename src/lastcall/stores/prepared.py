"""Statements that are compiled once, for the paths where building them anew, and wrapping what they
give, would cost more than running them."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Dialect
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql.expression import ClauseElement

from lastcall.stores.rows import Row

_POSTGRES: Final[Dialect] = asyncpg.dialect()  # type: ignore[no-untyped-call]


def plain(value: object) -> object:
    """Give a value as PostgreSQL can keep it: text there holds no NUL."""
    if isinstance(value, str) and "\0" in value:
        return value.replace("\0", "\ufffd")
    return value


class _Compiled(NamedTuple):
    """A statement as a driver takes it, with the values that are always the same, and the order of
    all."""

    sql: str
    fixed: dict[str, Any]
    order: tuple[str, ...]


class Prepared:
    """A statement with named parameters, run by the driver itself. What it returns is not
    converted: tables hold only integers, text, bytes and truth values."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, db: Connection, **values: object) -> Sequence[Row]:
        """Execute with these values; give the rows by the names of their columns."""
        sql, given = self._with(db.dialect, values)
        driver: Any = db.connection.driver_connection
        if db.dialect.name == "postgresql":
            found: Sequence[Row] = _await(db, lambda raw: raw.fetch(sql, *map(plain, given)))
            return found
        cursor = driver.execute(sql, given)
        names = [column[0] for column in cursor.description]
        # All are read: a statement that is not at its end holds its snapshot past the commit.
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    async def rows_over(self, driver: Any, **values: object) -> Sequence[Row]:  # noqa: ANN401
        """Do the same on asyncpg's own connection, without going by way of SQLAlchemy's."""
        sql, given = self._with(_POSTGRES, values)
        found: Sequence[Row] = await driver.fetch(sql, *map(plain, given))
        return found

    def change(self, db: Connection, **values: object) -> int:
        """Execute with these values; tell how many rows that changed."""
        sql, given = self._with(db.dialect, values)
        driver: Any = db.connection.driver_connection
        if db.dialect.name == "postgresql":
            done: str = _await(db, lambda raw: raw.execute(sql, *map(plain, given)))
            return int(done.rpartition(" ")[2])  # as in "UPDATE 1"
        changed: int = driver.execute(sql, given).rowcount
        return changed

    def _with(self, dialect: Dialect, values: dict[str, object]) -> tuple[str, list[object]]:
        sql, fixed, order = self._compiled.get(dialect.name) or self._compile(dialect)
        named = {**fixed, **values}
        return sql, [named[name] for name in order]

    def _compile(self, dialect: Dialect) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect)
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        order = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
        self._compiled[dialect.name] = made = _Compiled(str(compiled), fixed, order)
        return made


def _await(db: Connection, do: Any) -> Any:  # noqa: ANN401  asyncpg's own types
    """Have the driver do something, from code that SQLAlchemy runs beside an event loop."""
    adapted: Any = db.connection.dbapi_connection
    return adapted.run_async(do)
