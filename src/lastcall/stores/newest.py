"""The number of the audit log's newest record: of the last one before which none is under way.

PostgreSQL gives numbers as they are asked for, and shows rows as they are committed: below the
newest that is to be seen there may be one that is not yet. Who read on from there would miss it.
The 64 newest are looked at, more than are under way at once.
"""

from typing import Any

from sqlalchemy import ColumnElement, Integer
from sqlalchemy.ext.compiler import compiles


class Newest(ColumnElement[int]):
    """That number, 0 where there is no record. It may be too old, never too new."""

    inherit_cache = True  # type: ignore[mutable-override]
    type = Integer()  # type: ignore[mutable-override]


@compiles(Newest)
def _newest(_element: Newest, _compiler: Any, **_: Any) -> str:  # noqa: ANN401
    return "(SELECT coalesce(max(number), 0) FROM audit)"


@compiles(Newest, "postgresql")
def _newest_settled(_element: Newest, _compiler: Any, **_: Any) -> str:  # noqa: ANN401
    return (
        "(SELECT coalesce(min(before) FILTER (WHERE number > before + 1), max(number), 0) FROM"
        " (SELECT number, lag(number) OVER (ORDER BY number) AS before FROM"
        " (SELECT number FROM audit ORDER BY number DESC LIMIT 64) AS tail) AS pairs)"
    )
