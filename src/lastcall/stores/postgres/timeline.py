"""The log's lock, and the timeline that it goes on: another server, or a standby that was promoted,
goes on from a point that may lie before the log's end (instant-logout, rule 6)."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text, update

from lastcall.clock import Entropy
from lastcall.digests import encode
from lastcall.events import SYSTEM, Position
from lastcall.stores import rows
from lastcall.stores.prepared import Prepared
from lastcall.stores.schema import log
from lastcall.stores.transaction import Transaction

SERVER: Final = (
    "(SELECT system_identifier::text FROM pg_control_system())"
    " || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
)
"""Names what a database lies on: the cluster that was once initialised, and the timeline that its
server writes. `pg_control_checkpoint()` tells of a promotion too late."""

_LOCK = Prepared(
    text(f"SELECT *, {SERVER} AS now_on, now() AS at FROM log FOR UPDATE")  # noqa: S608  no words of others
)


def lock(db: Connection, entropy: Entropy) -> Position:
    """Take the log's lock, held until the commit, and give the log's end; on another server than
    that of the log's last event, the first event is the one that opens its timeline."""
    (row,) = _LOCK.rows(db)
    if row["server"] == row["now_on"]:
        return rows.position_of(row)
    transaction = Transaction(db)
    number = log.c.timeline_number + 1
    db.execute(
        update(log).values(
            timeline_number=number,
            timeline_name=encode(entropy(9)),
            server=row["now_on"],
            settled=False,
        )
    )
    at: datetime = row["at"]
    return transaction.append("timeline_opened", at.astimezone(UTC), actor=SYSTEM).position
