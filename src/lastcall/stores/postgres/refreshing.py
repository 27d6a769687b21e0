"""Refreshes, all that wait in one statement, each checked in it against the snapshot from which its
position is (instant-logout, rule 2).

Sound at READ COMMITTED: where the statement waits for a session's row and looks at it anew, the
user, the account and the log are still those of the snapshot, so that the token is from before
whatever has happened to them meanwhile.
"""

from typing import Any, Final

import asyncpg
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    Text,
    and_,
    bindparam,
    column,
    func,
    null,
    or_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from lastcall.stores import base, reads, rows
from lastcall.stores.prepared import Prepared
from lastcall.stores.rows import micros
from lastcall.stores.schema import accounts, log, sessions, users

_GIVEN: Final[dict[str, Any]] = {
    "id": Text(),
    "generation": BigInteger(),
    "shown": LargeBinary(),
    "successor": LargeBinary(),
    "sealed": LargeBinary(),
    "ip": Text(),
    "now": BigInteger(),
}
_POSITION: Final = ("epoch", "timeline_number", "timeline_name", "seq")
_given = (
    func.unnest(*(bindparam(name, type_=ARRAY(kind)) for name, kind in _GIVEN.items()))
    .table_valued(*(column(name, kind) for name, kind in _GIVEN.items()))
    .render_derived(name="given")
)
_REFRESH_LIFETIME = bindparam("refresh_lifetime", type_=BigInteger())
_ABSOLUTE_LIFETIME = bindparam("absolute_lifetime", type_=BigInteger())

# As `rules.ending` and `rules.refresh` have it; a test holds the two together.
_absolute = func.least(sessions.c.absolute_expires_at, sessions.c.auth_time + _ABSOLUTE_LIFETIME)
_active = func.greatest(_given.c.now, sessions.c.last_active_at)


def _running() -> ColumnElement[bool]:
    return and_(
        sessions.c.idle_expires_at > _given.c.now,
        sessions.c.last_active_at + _REFRESH_LIFETIME > _given.c.now,
        _absolute > _given.c.now,
    )


REFRESH: Final = Prepared(
    update(sessions)
    .where(
        sessions.c.id == _given.c.id,
        sessions.c.generation == _given.c.generation,
        sessions.c.secret_hash == _given.c.shown,
        users.c.id == sessions.c.user_id,
        accounts.c.id == users.c.account_id,
        log.c.id == 1,
        reads.may_act(),
        _running(),
        # One that has moved is told in the audit log, with the place that it moved to.
        or_(
            _given.c.ip.is_(None),
            sessions.c.ip == _given.c.ip,
            sessions.c.service_key.is_not(None),
        ),
    )
    .values(
        last_active_at=_active,
        idle_expires_at=func.least(_active + _REFRESH_LIFETIME, _absolute),
        absolute_expires_at=_absolute,
        generation=sessions.c.generation + 1,
        secret_hash=_given.c.successor,
        rotated_at=_given.c.now,
        previous_hash=sessions.c.secret_hash,
        sealed_successor=_given.c.sealed,
        repeats=0,
    )
    .returning(
        *sessions.c,
        *(null().label(f"end_{name}") for name in ("seq", "written")),
        *(users.c[name].label(f"u_{name}") for name in rows.USER_COLUMNS),
        *(log.c[name].label(f"l_{name}") for name in _POSITION),
    )
)


async def refresh(
    raw: "asyncpg.Connection[asyncpg.Record]", shown: list[base.Refresh]
) -> list[base.Refreshed | None]:
    """Rotate all that can be, in one statement; None for one that can't. All are of one policy."""
    policy = shown[0].policy
    found = await REFRESH.rows_over(
        raw,
        id=[one.session_id for one in shown],
        generation=[one.generation for one in shown],
        shown=[one.secret_hash for one in shown],
        successor=[one.successor_hash for one in shown],
        sealed=[one.sealed_successor for one in shown],
        ip=[one.ip for one in shown],
        now=[micros(one.now) for one in shown],
        refresh_lifetime=rows.length(policy.refresh_lifetime),
        absolute_lifetime=rows.length(policy.absolute_lifetime),
    )
    # By its successor: of two that show the same token, one is taken.
    done = {row["secret_hash"]: _refreshed(row) for row in found}
    return [done.get(one.successor_hash) for one in shown]


def _refreshed(row: rows.Row) -> base.Refreshed:
    end = {name: row[f"l_{name}"] for name in _POSITION}
    return base.Refreshed(rows.session_of(row), rows.user_of(row, "u_"), rows.position_of(end))
