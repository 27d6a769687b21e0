"""The reads, each one statement, for every database."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from lastcall.events import Event, Position
from lastcall.ids import SessionId, UserId
from lastcall.sessions.model import Session
from lastcall.sessions.policy import Policy
from lastcall.stores import rows
from lastcall.stores.base import Found, Installation, LogEnd, SessionQuery, SignInStart
from lastcall.stores.columns import TEXT, constant
from lastcall.stores.newest import Newest
from lastcall.stores.prepared import Prepared
from lastcall.stores.rows import micros
from lastcall.stores.schema import (
    accounts,
    events,
    installation,
    log,
    sessions,
    sign_ins,
    users,
)

T = TypeVar("T")

_LOG = (
    log.c.epoch,
    log.c.timeline_number,
    log.c.timeline_name,
    log.c.seq,
    log.c.floor,
    log.c.settled,
)


def alive(user: FromClause = users) -> ColumnElement[bool]:
    """Hold for a row of `sessions`, joined with its user (or a selection of users) and account,
    that nothing has ended: begun at or after the last event that ended its user's or account's
    sessions, or spared by it (rule 2)."""
    return and_(
        sessions.c.ended_seq.is_(None),
        *(_outlives(owner.c.ended_seq, owner.c.ended_spared) for owner in (user, accounts)),
    )


def _outlives(
    ended_seq: ColumnElement[int], ended_spared: ColumnElement[str | None]
) -> ColumnElement[bool]:
    return or_(ended_seq <= sessions.c.begun_seq, ended_spared.is_not_distinct_from(sessions.c.id))


def may_act() -> ColumnElement[bool]:
    """Hold for a session that lives, of an active user."""
    return and_(alive(), users.c.status == "active")


def _running() -> ColumnElement[bool]:
    """Hold for a session that has not run out: `rules.expiry` in SQL, by the values of `_times`."""
    return and_(
        sessions.c.idle_expires_at > bindparam("now"),
        sessions.c.last_active_at > bindparam("active_after"),
        sessions.c.absolute_expires_at > bindparam("now"),
        sessions.c.auth_time > bindparam("proved_after"),
    )


def times(policy: Policy, now: datetime) -> dict[str, int]:
    """Give the values by which it is told which sessions live."""
    return {
        "now": micros(now),
        "active_after": micros(now - policy.refresh_lifetime),
        "proved_after": micros(now - policy.absolute_lifetime),
    }


def _covering(kind: str, owner: ColumnElement[bool]) -> Select[tuple[int]]:
    """Find the first event that ended all sessions of a user or account, this one among them."""
    return select(func.min(events.c.seq).label("seq")).where(
        events.c.kind == constant(kind),
        owner,
        events.c.seq > sessions.c.begun_seq,
        or_(events.c.spared.is_(None), events.c.spared != sessions.c.id),
    )


def _first_ending() -> ColumnElement[int]:
    """Find the place of the event that ended a session. What ended it is found, not written: ten
    thousand sessions of a user end by one event, and no row is touched."""
    both = union_all(
        _covering("user_ended", events.c.user_id == sessions.c.user_id).correlate(sessions),
        _covering("account_ended", events.c.account_id == sessions.c.account_id).correlate(
            sessions
        ),
    ).subquery("covering")
    covered = or_(
        users.c.ended_seq > sessions.c.begun_seq, accounts.c.ended_seq > sessions.c.begun_seq
    )
    first = select(func.min(both.c.seq)).correlate(sessions).scalar_subquery()
    return func.coalesce(sessions.c.ended_seq, case((covered, first)))


OWNED = sessions.join(users, users.c.id == sessions.c.user_id).join(
    accounts, accounts.c.id == sessions.c.account_id
)
ENDING = events.alias("ending")
"""The event that ended a session, in `ENDED`."""
_END = (
    ENDING.c.seq,
    ENDING.c.at,
    ENDING.c.reason,
    ENDING.c.actor_kind,
    ENDING.c.actor_id,
    ENDING.c.actor_name,
)


ENDED = OWNED.outerjoin(ENDING, ENDING.c.seq == _first_ending())
"""Sessions, each with the event that ended it, if any did."""


def active(user: FromClause = users) -> ColumnElement[bool]:
    """Hold for a session, joined as for `alive`, that lives, by the values of `times`."""
    return and_(alive(user), _running())


def active_of(user_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Hold for a session of this user that lives, by the values of `times`. What has ended all of
    the user's or the account's is read once: joined, it would be for each of ten thousand, where a
    server that plans for any user expects a few."""

    def of_owner(column: ColumnElement[T]) -> ColumnElement[T]:
        owner = users.join(accounts, accounts.c.id == users.c.account_id)
        return select(column).select_from(owner).where(users.c.id == user_id).scalar_subquery()

    return and_(
        sessions.c.ended_seq.is_(None),
        *(
            _outlives(of_owner(owner.c.ended_seq), of_owner(owner.c.ended_spared))
            for owner in (users, accounts)
        ),
        _running(),
    )


def _session_select() -> Select[tuple[object, ...]]:
    """Select sessions, each with the event that ended it (`end_…`)."""
    return select(
        *sessions.c,
        *(column.label(f"end_{column.name}") for column in _END),
        (~alive()).label("end_written"),
    ).select_from(ENDED)


def _live_select() -> Select[tuple[object, ...]]:
    """Select sessions in the same form, where it is known that nothing has ended them."""
    return select(
        *sessions.c,
        *(null().label(f"end_{column.name}") for column in _END),
        false().label("end_written"),
    )


def _found(joined: Select[tuple[object, ...]]) -> Prepared:
    """Select one session with its user (`u_…`), the log's end (`l_…`) and the audit log's."""
    return Prepared(
        joined.add_columns(*(column.label(f"u_{column.name}") for column in users.c))
        .add_columns(*(column.label(f"l_{column.name}") for column in _LOG))
        .add_columns(Newest().label("recorded"))
        .join(log, true())
        .where(sessions.c.id == bindparam("session_id"))
    )


_LIVE = _found(_live_select().select_from(OWNED).where(alive()))
_ANY = _found(_session_select())
_LOG_END = Prepared(select(*_LOG))


_FOREVER = 2**62
"""Later than every time that is kept."""


_USER = bindparam("user_id", type_=TEXT)
_LIVES = active_of(_USER)
_NEWEST = (sessions.c.last_active_at.desc(), sessions.c.id.desc())


def _page(selected: Select[Any], which: ColumnElement[bool]) -> Select[Any]:
    """Select a page of a user's sessions."""
    return (
        selected.where(
            sessions.c.user_id == _USER,
            which,
            sessions.c.last_active_at >= bindparam("since"),
            sessions.c.id != bindparam("without"),
            tuple_(sessions.c.last_active_at, sessions.c.id)
            < tuple_(bindparam("before_at"), bindparam("before_id")),
        )
        .order_by(*_NEWEST)
        .limit(bindparam("most"))
    )


_ENDED_PAGE = _page(select(sessions.c.id), ~_LIVES)
_LISTS = {
    "active": Prepared(_page(_live_select(), _LIVES)),
    # What has ended them is looked for once it is known which they are.
    "ended": Prepared(_session_select().where(sessions.c.id.in_(_ENDED_PAGE)).order_by(*_NEWEST)),
}


_COUNT = Prepared(
    select(func.count().label("number"))
    .select_from(sessions)
    .where(sessions.c.id != bindparam("without"), sessions.c.user_id == _USER, _LIVES)
)


def _found_of(row: rows.Row) -> Found:
    log_row = {column.name: row[f"l_{column.name}"] for column in _LOG}
    user = rows.user_of(row, "u_")
    return Found(rows.session_of(row), user, _log_end_of(log_row), row["recorded"])


def log_end(db: Connection) -> LogEnd:
    """Give the log's end and floor."""
    return _log_end_of(_LOG_END.rows(db)[0])


def contains(db: Connection, position: Position) -> bool:
    """Tell whether the log contains a position (rules 5 and 6)."""
    statement = select(events.c.seq).where(
        events.c.seq == position.seq,
        events.c.epoch == position.epoch,
        events.c.timeline_number == position.timeline.number,
        events.c.timeline_name == position.timeline.name,
    )
    return db.execute(statement).first() is not None


def born(db: Connection) -> Installation:
    """Give what the database was born with."""
    row = db.execute(select(installation)).mappings().one()
    return Installation(row["cell"], row["secret_check"], row["issuer"])


def find_session(db: Connection, session_id: SessionId) -> Found | None:
    """Find a session, ended or not, with its user."""
    for prepared in (_LIVE, _ANY):
        for row in prepared.rows(db, session_id=session_id):
            return _found_of(row)
    return None


def list_sessions(db: Connection, query: SessionQuery) -> tuple[Session, ...]:
    """List a user's sessions, by last activity, newest first."""
    last = query.before
    found = _LISTS[query.which].rows(
        db,
        user_id=query.user_id,
        since=micros(query.since) if query.since else 0,
        without=query.without or "",
        before_at=micros(last.at) if last else _FOREVER,
        before_id=last.id if last else "",
        most=query.limit,
        **times(query.policy, query.now),
    )
    return tuple(rows.session_of(row) for row in found)


def count_sessions(
    db: Connection,
    user_id: UserId,
    policy: Policy,
    now: datetime,
    spared: SessionId | None = None,
) -> int:
    """Count the active sessions of a user, but the spared one."""
    (row,) = _COUNT.rows(db, user_id=user_id, without=spared or "", **times(policy, now))
    return int(row["number"])


def find_event(db: Connection, seq: int) -> Event | None:
    """Find an event by its place in the log."""
    return one(db, select(events).where(events.c.seq == seq), rows.event_of)


def start_sign_in(db: Connection, email_key: str) -> SignInStart | LogEnd:
    """Find a user by e-mail, with the position, in one statement."""
    return _start(db, users.c.email_key == email_key)


def recognises(db: Connection, email_key: str, device_hash: bytes) -> bool:
    """Tell whether the user of an e-mail address has signed in with this device before."""
    known = (
        select(sign_ins.c.session_id)
        .join(sessions, sessions.c.id == sign_ins.c.session_id)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sign_ins.c.device_hash == device_hash, users.c.email_key == email_key)
    )
    return db.execute(known.limit(1)).first() is not None


def password_hash(db: Connection, user_id: UserId) -> SignInStart | None:
    """Find a user with the password's hash and the position, in one statement."""
    start = _start(db, users.c.id == user_id)
    return start if isinstance(start, SignInStart) else None


def one(db: Connection, statement: Executable, convert: Callable[[rows.Row], T]) -> T | None:
    """Give what a statement finds, if it finds something; it finds no two."""
    row = db.execute(statement).mappings().one_or_none()
    return None if row is None else convert(row)


def _start(db: Connection, which: ColumnElement[bool]) -> SignInStart | LogEnd:
    statement = select(
        *(column.label(f"l_{column.name}") for column in _LOG), *users.c
    ).select_from(log.outerjoin(users, which))
    row = db.execute(statement).mappings().one()
    end = _log_end_of({column.name: row[f"l_{column.name}"] for column in _LOG})
    if row["id"] is None:
        return end
    return SignInStart(rows.user_of(row), row["password_hash"], end.position)


def _log_end_of(row: rows.Row) -> LogEnd:
    return LogEnd(rows.position_of(row), row["floor"], bool(row["settled"]))
