"""One commit under way: its events and its guards, for every database."""

from datetime import datetime
from typing import TypedDict, Unpack

from sqlalchemy import (
    Connection,
    Executable,
    bindparam,
    insert,
    select,
    update,
)

from lastcall.errors import LostRace
from lastcall.events import Actor, EndReason, Event, EventKind, Position, Timeline
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.stores import reads, rows
from lastcall.stores.prepared import Prepared
from lastcall.stores.schema import events, log, sessions

_NEXT = Prepared(update(log).values(seq=log.c.seq + 1).returning(log))
_APPEND = Prepared(insert(events).values({one.name: bindparam(one.name) for one in events.c}))
# Whoever ends a session, or all of a user's or an account's, locks that row FOR UPDATE, and so
# waits for those who act by it. Those don't wait for each other.
_ACTING = Prepared(
    select(sessions.c.id)
    .select_from(reads.OWNED)
    .where(sessions.c.id == bindparam("session_id"), reads.may_act())
    .with_for_update(read=True, key_share=True)
)


class Details(TypedDict, total=False):
    """What an event says beside its kind and time."""

    account_id: AccountId
    user_id: UserId
    session_id: SessionId
    spared: SessionId | None
    reason: EndReason
    actor: Actor
    ended: int
    key_id: str


class Transaction:
    """One commit under way: a connection, and the events that it has appended."""

    def __init__(self, db: Connection) -> None:
        self.db = db
        self.events: list[Event] = []

    def append(self, kind: EventKind, at: datetime, **details: Unpack[Details]) -> Event:
        """Append an event. Its number comes from the log's row, whose lock is held until the
        commit: the order of numbers is the order of commits (rule 1)."""
        row = _NEXT.rows(self.db)[0]
        timeline = Timeline(row["timeline_number"], row["timeline_name"])
        event = Event(Position(row["epoch"], timeline, row["seq"]), kind, at, **details)
        _APPEND.change(self.db, **rows.event_row(event))
        self.events.append(event)
        return event

    def require(self, statement: Executable) -> None:
        """Execute a guarded statement; raises LostRace where it changes nothing."""
        require_change(self.db.execute(statement).rowcount)

    def require_alive(self, session_id: SessionId) -> None:
        """Raise LostRace unless the session lives, and will until this is committed (rule 2)."""
        if not _ACTING.rows(self.db, session_id=session_id):
            raise LostRace("the session has ended")


def require_change(rows: int) -> None:
    """Raise LostRace where a guarded statement has changed nothing."""
    if rows == 0:
        raise LostRace("what this rested on has changed")
