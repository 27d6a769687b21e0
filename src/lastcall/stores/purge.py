"""What may be deleted for good: the conditions, one for each kind, and the read that walks a table
in the order of its key, a bounded piece at a time."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    and_,
    bindparam,
    exists,
    or_,
    select,
    true,
)

from lastcall.stores.base import PurgeKind, PurgePage, PurgeQuery
from lastcall.stores.prepared import Prepared
from lastcall.stores.reads import ENDED, ENDING
from lastcall.stores.rows import micros
from lastcall.stores.schema import (
    audit,
    events,
    service_keys,
    sessions,
    single_use,
    users,
)

_BEFORE: ColumnElement[int] = bindparam("before")
_LATER = events.alias("later")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rows: their key, where they are read from, and which of them are over."""

    key: ColumnElement[Any]
    source: FromClause
    over: ColumnElement[bool]
    old: ColumnElement[bool]
    """Holds for rows that are old enough to be over. Where keys sort by age, the walk stops at the
    first for which it doesn't."""
    first: str | int | bytes
    """Sorts before every key."""


def _ended_a_kept_session() -> ColumnElement[bool]:
    """Hold for an event that a session in the database was ended by, or may have been: what covers
    a session is found by looking for the first event that does (see `reads.ENDED`)."""
    covers = and_(
        sessions.c.begun_seq < events.c.seq,
        or_(events.c.spared.is_(None), events.c.spared != sessions.c.id),
    )
    return or_(
        and_(
            events.c.kind == "session_ended",
            exists().where(
                sessions.c.id == events.c.session_id, sessions.c.ended_seq == events.c.seq
            ),
        ),
        and_(
            events.c.kind == "user_ended",
            exists().where(sessions.c.user_id == events.c.user_id, covers),
        ),
        and_(
            events.c.kind == "account_ended",
            _first_covered_user(covers).is_not(None),
        ),
    )


def _first_covered_user(covers: ColumnElement[bool]) -> ScalarSelect[str]:
    """Find the first user of an event's account who has a session that it covers. User by user, as
    this can't be planned otherwise: no index has the account of a session, and to look at all of
    them takes seconds, in which no session can be ended."""
    one = select(sessions.c.id).where(sessions.c.user_id == users.c.id, covers).limit(1)
    return (
        select(users.c.id)
        .where(
            users.c.account_id == events.c.account_id,
            one.correlate(users, events).scalar_subquery().is_not(None),
        )
        .order_by(users.c.id)
        .limit(1)
        .correlate(events)
        .scalar_subquery()
    )


def _next_at() -> ColumnElement[int]:
    """Find when the log went on after an event: from then on no sign-in starts at it, and every
    access token from before it, or of its position, is from before that moment."""
    return (
        select(_LATER.c.at)
        .where(_LATER.c.seq > events.c.seq)
        .order_by(_LATER.c.seq)
        .limit(1)
        .scalar_subquery()
    )


KINDS: dict[PurgeKind, Kind] = {
    "sessions": Kind(
        sessions.c.id,
        ENDED,
        or_(
            sessions.c.idle_expires_at < _BEFORE,
            sessions.c.absolute_expires_at < _BEFORE,
            ENDING.c.at < _BEFORE,
        ),
        sessions.c.created_at < _BEFORE,
        "",
    ),
    "users": Kind(
        users.c.id,
        users,
        and_(users.c.status == "removed", ~exists().where(sessions.c.user_id == users.c.id)),
        true(),
        "",
    ),
    "links": Kind(
        single_use.c.secret_hash,
        single_use,
        or_(single_use.c.used_at < _BEFORE, single_use.c.expires_at < _BEFORE),
        true(),
        b"",
    ),
    "keys": Kind(service_keys.c.id, service_keys, service_keys.c.revoked_at < _BEFORE, true(), ""),
    "records": Kind(audit.c.number, audit, audit.c.at < _BEFORE, audit.c.at < _BEFORE, 0),
    "events": Kind(
        events.c.seq,
        events,
        and_(
            events.c.kind != "timeline_opened",
            events.c.at < _BEFORE,
            _next_at() < _BEFORE,
            ~_ended_a_kept_session(),
        ),
        events.c.at < _BEFORE,
        0,
    ),
}


def _walk(kind: Kind) -> Prepared:
    return Prepared(
        select(
            kind.key.label("key"),
            kind.old.label("old"),
            and_(kind.old, kind.over).label("over"),
        )
        .select_from(kind.source)
        .where(kind.key > bindparam("after"))
        .order_by(kind.key)
        .limit(bindparam("most"))
    )


_WALKS = {name: _walk(kind) for name, kind in KINDS.items()}


def over(db: Connection, query: PurgeQuery) -> PurgePage:
    """List what may be deleted for good, in the order of its keys."""
    after = KINDS[query.kind].first if query.after is None else query.after
    found = _WALKS[query.kind].rows(db, after=after, before=micros(query.before), most=query.limit)
    old = [row for row in found if row["old"]]
    more = len(found) == query.limit and len(old) == len(found)
    return PurgePage(
        tuple(row["key"] for row in old if row["over"]), old[-1]["key"] if more else None
    )
