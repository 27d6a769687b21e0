"""One commit: its guards and writes in order, for every database."""

from sqlalchemy import Connection

from lastcall.ids import SessionId
from lastcall.stores import (
    apply_identity,
    apply_nodes,
    apply_purge,
    apply_sessions,
    apply_throttle,
    base,
    reads,
)
from lastcall.stores.apply import apply
from lastcall.stores.transaction import Transaction

FORMS = (apply_identity, apply_nodes, apply_purge, apply_sessions, apply_throttle)
"""Where each write's form is registered."""


def commit(
    db: Connection, writes: tuple[base.Write, ...], actor: SessionId | None
) -> base.Committed:
    """Apply the writes in order. The caller rolls all of them back when this raises."""
    transaction = Transaction(db)
    if actor is not None:
        transaction.require_alive(actor)
    for write in writes:
        apply(write, transaction)
    return base.Committed(reads.log_end(db).position, tuple(transaction.events))
