"""Statements that are compiled once a dialect, for the paths where building them anew would cost
more than running them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.sql.expression import ClauseElement


class Prepared:
    """A statement with named parameters. What it returns is not converted: tables hold only
    integers, text and bytes."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, dict[str, Any], tuple[str, ...] | None]] = {}

    def run(self, db: Connection, **values: object) -> CursorResult[*tuple[Any, ...]]:
        """Execute with these values."""
        sql, fixed, order = self._compiled.get(db.dialect.name) or self._compile(db)
        named: Mapping[str, Any] = {**fixed, **values}
        if order is None:
            return db.exec_driver_sql(sql, dict(named))
        return db.exec_driver_sql(sql, tuple(named[name] for name in order))

    def rows(self, db: Connection, **values: object) -> list[dict[str, Any]]:
        """Execute with these values; give the rows by the names of their columns."""
        result = self.run(db, **values)
        names = tuple(result.keys())
        return [dict(zip(names, row, strict=True)) for row in result]

    def _compile(self, db: Connection) -> tuple[str, dict[str, Any], tuple[str, ...] | None]:
        compiled = self._statement.compile(dialect=db.dialect)
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        order = getattr(compiled, "positiontup", None)
        prepared = (str(compiled), fixed, tuple(order) if order else None)
        self._compiled[db.dialect.name] = prepared
        return prepared
