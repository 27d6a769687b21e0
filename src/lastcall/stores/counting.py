"""Counting an account's active sessions in parts, none of which takes long, however many there are
and wherever they lie."""

from datetime import datetime
from functools import cache
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, select, true, tuple_

from lastcall.ids import AccountId, SessionId, UserId
from lastcall.sessions.policy import Policy
from lastcall.stores.base import CountPart
from lastcall.stores.columns import TEXT, at_most
from lastcall.stores.prepared import Prepared
from lastcall.stores.reads import active, times
from lastcall.stores.schema import accounts, sessions, users

USERS: Final = 200
"""Of how many users a part is at most: where each has ten sessions, and none is in memory, two
thousand pages are fetched, which may take a second."""
SESSIONS: Final = 50_000
"""How many rows a part looks at at most, a user without any session being one too."""

_ACCOUNT = bindparam("account_id", type_=TEXT)


@cache
def _part(most_users: int, most_sessions: int, *, lateral: bool) -> Prepared:
    """Select the next users, each with how many rows were looked at and how many are active."""
    place = (users.c.account_id, users.c.id)
    page = (
        # By the index of both and no other: a server that plans for any account may look for a
        # small one's users among all of a large one's.
        select(*place, users.c.ended_seq, users.c.ended_spared)
        .where(tuple_(*place) > tuple_(_ACCOUNT, bindparam("after", type_=TEXT)))
        .order_by(*place)
        .limit(at_most(most_users))
        .subquery("page")
    )
    owners = page.join(accounts, accounts.c.id == page.c.account_id)
    own = sessions.c.user_id == page.c.id
    counts = and_(sessions.c.id != bindparam("without"), active(page))
    counted: ColumnElement[int] = case((counts, 1), else_=0)
    if lateral:
        # User by user: a server that may join as it likes may read the whole table for each part.
        found = select(counted.label("active")).where(own).limit(at_most(most_sessions))
        each = found.lateral("each")
        joined, counted = owners.outerjoin(each, true()), func.coalesce(each.c.active, 0)
    else:  # SQLite has no such word, and joins in no other way
        joined = owners.outerjoin(sessions, own)
    looked = (
        select(page.c.id, counted.label("active"))
        .select_from(joined)
        .where(page.c.account_id == _ACCOUNT)
        .order_by(page.c.id)
        .limit(at_most(most_sessions))
        .subquery("looked")
    )
    return Prepared(
        select(
            looked.c.id,
            func.count().label("looked"),
            func.sum(looked.c.active).label("active"),
        )
        .group_by(looked.c.id)
        .order_by(looked.c.id)
    )


def count(
    db: Connection,
    account_id: AccountId,
    spared: SessionId | None,
    policy: Policy,
    now: datetime,
    after: UserId | None,
) -> CountPart:
    """Count the active sessions, but the spared one, of an account's next users after one."""
    part = _part(USERS, SESSIONS, lateral=db.dialect.name == "postgresql")
    found = part.rows(
        db,
        account_id=account_id,
        after=after or "",
        without=spared or "",
        **times(policy, now),
    )
    full = sum(row["looked"] for row in found) == SESSIONS
    # The last one may have more than were looked at: the next part's then, unless it is too large
    # for any.
    whole = found[:-1] if full and len(found) > 1 else found
    more = full or len(found) == USERS
    return CountPart(sum(row["active"] for row in whole), whole[-1]["id"] if more else None)
