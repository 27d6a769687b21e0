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
        self._passed = 0
        """What cannot be seen up to this number never will be."""
        self._inserting: dict[int, frozenset[str]] = {}
        """Of each later gap's first number, who inserted when it was first seen."""

    def end(self, db: Connection) -> Changes:
        """Tell where the log ends, for somebody who is to read on from there."""
        end = records.changes(db, None)
        self._pass(end.number)
        return end

    def changes(self, db: Connection, after: int) -> Changes:
        """List what was recorded after a number, up to the first gap that may still be filled."""
        # As it is before the look: what somebody else learns meanwhile, this one doesn't see.
        passed, seen = self._passed, dict(self._inserting)
        still = _inserting(db) if seen else frozenset()
        found = records.read_on(db, after)
        expected = after + 1
        for place, row in enumerate(found):
            gap = max(expected, passed + 1)
            # It is over once all who could have filled it had ended before it was looked at again.
            if gap < row["number"] and (gap not in seen or seen[gap] & still):
                if gap not in seen:
                    self._inserting[gap] = _inserting(db)
                found = found[:place]
                break
            expected = row["number"] + 1
        changes = records.changes_of(found, after)
        if after <= passed:
            self._pass(changes.number)
        return changes

    def _pass(self, number: int) -> None:
        self._passed = max(self._passed, number)
        self._inserting = {gap: by for gap, by in self._inserting.items() if gap > self._passed}


def _inserting(db: Connection) -> frozenset[str]:
    return frozenset(row["inserting"] for row in _INSERTING.rows(db))
