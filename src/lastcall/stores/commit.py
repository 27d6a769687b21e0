"""One commit: its guards and writes in order, for every database."""

from collections.abc import Sequence

from sqlalchemy import Connection

from lastcall.events import Position
from lastcall.ids import SessionId
from lastcall.stores import (
    apply_identity,
    apply_log,
    apply_nodes,
    apply_purge,
    apply_sessions,
    apply_throttle,
    base,
    reads,
)
from lastcall.stores.apply import apply
from lastcall.stores.transaction import Transaction

FORMS = (apply_identity, apply_log, apply_nodes, apply_purge, apply_sessions, apply_throttle)
"""Where each write's form is registered."""


_APPENDING = (
    base.DropKeys,
    base.EndAccount,
    base.EndSession,
    base.EndUser,
    base.MarkStale,
    base.OpenEpoch,
    base.PublishKey,
    base.SetRole,
)


def appends(writes: Sequence[base.Write]) -> bool:
    """Whether a commit appends to the log, or forgets some of it: it needs the log's lock."""
    return any(
        isinstance(write, _APPENDING) or (isinstance(write, base.Drop) and write.kind == "events")
        for write in writes
    )


def commit(
    db: Connection,
    writes: tuple[base.Write, ...],
    actor: SessionId | None,
    seen: Position | None = None,
) -> base.Committed:
    """Apply the writes in order. The caller rolls all of them back when this raises. `seen` is the
    log's end, for a caller who holds its lock and knows it."""
    transaction = Transaction(db)
    # Before what is checked, so that no token is of a later position than its checks (rule 2).
    seen = seen or reads.log_end(db).position
    if actor is not None:
        transaction.require_alive(actor)
    for write in writes:
        apply(write, transaction)
    events = tuple(transaction.events)
    return base.Committed(events[-1].position if events else seen, events)
