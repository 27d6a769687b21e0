"""The reads of the audit log, each one statement, for every database."""

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, func, or_, select

from lastcall.audit import UNUSUAL, Record
from lastcall.stores import rows
from lastcall.stores.base import CHANGES_MOST, Change, Changes, RecordQuery
from lastcall.stores.columns import constant
from lastcall.stores.newest import Newest
from lastcall.stores.prepared import Prepared
from lastcall.stores.rows import micros
from lastcall.stores.schema import audit

_END = Prepared(select(Newest().label("number")))
_AFTER = Prepared(
    select(audit.c.number, audit.c.type, audit.c.account_id, audit.c.user_id)
    .where(audit.c.number > bindparam("after"))
    .order_by(audit.c.number)
    .limit(CHANGES_MOST)
)


def list_records(db: Connection, query: RecordQuery) -> tuple[Record, ...]:
    """List records, newest first."""
    found = select(audit).where(*_wanted(query)).order_by(audit.c.number.desc())
    if query.before is not None:
        found = found.where(audit.c.number < query.before)
    return tuple(rows.record_of(row) for row in db.execute(found.limit(query.limit)).mappings())


def count_records(db: Connection, query: RecordQuery) -> int:
    """Count records."""
    counted = select(func.count()).select_from(audit).where(*_wanted(query))
    return int(db.execute(counted).scalar_one())


def _wanted(query: RecordQuery) -> Iterator[ColumnElement[bool]]:
    if query.account_id is not None:
        yield audit.c.account_id == query.account_id
    if query.user_id is not None:
        yield audit.c.user_id == query.user_id
    if query.types:
        # Not `IN`, by which SQLite finds no index of one type.
        yield or_(*(audit.c.type == constant(one) for one in query.types))
    if query.outcome is not None:
        yield audit.c.outcome == query.outcome
    if query.unusual:
        yield or_(audit.c.outcome == "failure", audit.c.type.in_(UNUSUAL))
    if query.people is not None:
        yield or_(audit.c.user_id.in_(query.people), audit.c.actor_id.in_(query.people))
    if query.since is not None:
        yield audit.c.at >= micros(query.since)
    if query.until is not None:
        yield audit.c.at < micros(query.until)


def changes(db: Connection, after: int | None) -> Changes:
    """List who is concerned by what was recorded after a number, oldest first."""
    if after is None:
        return Changes(int(_END.rows(db)[0]["number"]), ())
    return changes_of(read_on(db, after), after)


def read_on(db: Connection, after: int) -> Sequence[rows.Row]:
    """Give the next records after a number, as they can be seen."""
    return _AFTER.rows(db, after=after)


def changes_of(found: Sequence[rows.Row], after: int) -> Changes:
    """Tell who is concerned by these records."""
    return Changes(
        found[-1]["number"] if found else after,
        tuple(Change(row["type"], row["account_id"], row["user_id"]) for row in found),
    )
