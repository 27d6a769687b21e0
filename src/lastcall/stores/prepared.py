"""Statements that are compiled once, for the paths where building them anew, and wrapping what they
give, would cost more than running them."""

import sqlite3
from typing import Any, cast

from sqlalchemy import Connection
from sqlalchemy.sql.expression import ClauseElement


class Prepared:
    """A statement with named parameters, run by the driver itself. What it returns is not
    converted: tables hold only integers, text and bytes."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: tuple[str, dict[str, Any], tuple[str, ...]] | None = None

    def rows(self, db: Connection, **values: object) -> list[dict[str, Any]]:
        """Execute with these values; give the rows by the names of their columns."""
        cursor = self._execute(db, values)
        names = [column[0] for column in cursor.description]
        # All are read: a statement that is not at its end holds its snapshot past the commit.
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def change(self, db: Connection, **values: object) -> int:
        """Execute with these values; tell how many rows that changed."""
        return self._execute(db, values).rowcount

    def _execute(self, db: Connection, values: dict[str, object]) -> sqlite3.Cursor:
        sql, fixed, order = self._compiled or self._compile(db)
        driver = cast("sqlite3.Connection", db.connection.driver_connection)
        named = {**fixed, **values}
        return driver.execute(sql, [named[name] for name in order])

    def _compile(self, db: Connection) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        compiled = self._statement.compile(dialect=db.dialect)
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        order = tuple(compiled.positiontup or ())  # type: ignore[attr-defined]
        self._compiled = (str(compiled), fixed, order)
        return self._compiled
