"""Reads on in the audit log without missing a record whose number is smaller than those before it
that can be seen already (see `stores.newest`)."""

from sqlalchemy import Connection, text

from lastcall.stores import records
from lastcall.stores.base import Changes
from lastcall.stores.prepared import Prepared

# Whoever inserts holds this from before it asks for a number until its end.
_INSERTING = Prepared(
    text(
        "SELECT virtualtransaction AS inserting FROM pg_locks"
        " WHERE relation = 'audit'::regclass AND mode = 'RowExclusiveLock'"
    )
)


class Gaps:
    """The numbers that somebody has taken and nobody can see. They come, or, where their
    transaction was rolled back, never will."""

    def __init__(self) -> None:
        self._inserting: dict[int, frozenset[str]] = {}
        """Of each gap's first number, who inserted when it was first seen."""

    def changes(self, db: Connection, after: int) -> Changes:
        """List what was recorded after a number, up to the first gap that may still be filled."""
        still = _inserting(db) if self._inserting else frozenset()
        found = records.read_on(db, after)
        expected = after + 1
        for place, row in enumerate(found):
            if row["number"] != expected and not self._passed(db, expected, still):
                return records.changes_of(found[:place], after)
            expected = row["number"] + 1
        self._inserting.clear()
        return records.changes_of(found, after)

    def _passed(self, db: Connection, gap: int, still: frozenset[str]) -> bool:
        """Whether all who could have filled a gap had ended before it was looked at again."""
        if gap not in self._inserting:
            self._inserting[gap] = _inserting(db)
            return False
        return not self._inserting[gap] & still


def _inserting(db: Connection) -> frozenset[str]:
    return frozenset(row["inserting"] for row in _INSERTING.rows(db))
