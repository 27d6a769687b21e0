"""How the writes on sessions are applied."""

from sqlalchemy import ColumnElement, Table, bindparam, exists, insert, select, update

from lastcall.errors import LostRace
from lastcall.events import Event
from lastcall.ids import SessionId
from lastcall.stores import base, reads, rows
from lastcall.stores.apply import apply
from lastcall.stores.prepared import Prepared
from lastcall.stores.rows import micros
from lastcall.stores.schema import accounts, sessions, sign_ins, users
from lastcall.stores.transaction import Transaction, require_change


def _alive_here() -> ColumnElement[bool]:
    """Hold for a row of `sessions` that is being updated and lives."""
    return exists(
        select(users.c.id)
        .select_from(users.join(accounts, accounts.c.id == users.c.account_id))
        .where(users.c.id == sessions.c.user_id, reads.may_act())
        .correlate(sessions)
    )


# Whoever acts by it holds the row, and is waited for (see `Transaction.require_alive`).
_ENDING = Prepared(
    select(reads.may_act().label("lives"))
    .select_from(reads.OWNED)
    .where(sessions.c.id == bindparam("session_id"))
    .with_for_update(of=sessions)
)
_END = Prepared(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(ended_seq=bindparam("seq"))
)
_ROTATE = Prepared(
    update(sessions)
    .where(
        sessions.c.id == bindparam("session_id"),
        sessions.c.generation == bindparam("before"),
        _alive_here(),
    )
    .values({name: bindparam(name) for name in rows.ROTATION_COLUMNS})
)
_COUNT_REPEAT = Prepared(
    update(sessions)
    .where(
        sessions.c.id == bindparam("session_id"),
        sessions.c.generation == bindparam("now"),
        sessions.c.repeats < bindparam("most"),
        _alive_here(),
    )
    .values(repeats=sessions.c.repeats + 1)
)


@apply.register
def _(write: base.Begin, transaction: Transaction) -> None:
    session, changed_at = write.session, write.password_changed_at
    guard = (
        select(users.c.id)
        .select_from(users.join(accounts, accounts.c.id == users.c.account_id))
        .where(
            users.c.id == session.user_id,
            users.c.account_id == session.account_id,
            users.c.status == "active",
            users.c.ended_seq <= session.begun.seq,
            accounts.c.ended_seq <= session.begun.seq,
        )
        .with_for_update(read=True)
    )
    if changed_at is not None:
        guard = guard.where(users.c.password_changed_at == micros(changed_at))
    if (
        not reads.contains(transaction.db, session.begun)
        or transaction.db.execute(guard).first() is None
    ):
        raise LostRace("an event has ended this sign-in at its birth")
    transaction.db.execute(insert(sessions).values(rows.session_row(session)))
    transaction.db.execute(insert(sign_ins).values(rows.sign_in_row(session.id, write.sign_in)))


@apply.register
def _(write: base.Rotate, transaction: Transaction) -> None:
    session = write.session
    changed = _ROTATE.change(
        transaction.db,
        session_id=session.id,
        before=session.lineage.generation - 1,
        **rows.rotation_row(session),
    )
    require_change(changed)


@apply.register
def _(write: base.CountRepeat, transaction: Transaction) -> None:
    changed = _COUNT_REPEAT.change(
        transaction.db, session_id=write.session_id, now=write.generation, most=write.limit
    )
    require_change(changed)


@apply.register
def _(write: base.MarkStale, transaction: Transaction) -> None:
    event = transaction.append(
        "session_stale",
        write.at,
        account_id=write.account_id,
        user_id=write.user_id,
        session_id=write.session_id,
    )
    transaction.require(
        update(sessions)
        .where(sessions.c.id == write.session_id)
        .values(stale_seq=event.position.seq)
    )


@apply.register
def _(write: base.EndSession, transaction: Transaction) -> None:
    known = _ENDING.rows(transaction.db, session_id=write.session_id)
    require_change(all(row["lives"] for row in known))
    event = transaction.append(
        "session_ended",
        write.at,
        account_id=write.account_id,
        user_id=write.user_id,
        session_id=write.session_id,
        reason=write.reason,
        actor=write.by,
        ended=int(bool(known) and not write.reason.startswith("expired_")),
    )
    _END.change(transaction.db, session_id=write.session_id, seq=event.position.seq)


@apply.register
def _(write: base.EndUser, transaction: Transaction) -> None:
    _hold(users, write.user_id, write.spared, transaction)
    event = transaction.append(
        "user_ended",
        write.at,
        account_id=write.account_id,
        user_id=write.user_id,
        spared=write.spared,
        reason=write.reason,
        actor=write.by,
        ended=reads.count_sessions(
            transaction.db, write.user_id, write.policy, write.at, write.spared
        ),
    )
    _mark(users, write.user_id, event, transaction)


@apply.register
def _(write: base.EndAccount, transaction: Transaction) -> None:
    _hold(accounts, write.account_id, write.spared, transaction)
    event = transaction.append(
        "account_ended",
        write.at,
        account_id=write.account_id,
        spared=write.spared,
        reason=write.reason,
        actor=write.by,
        ended=write.ended,
    )
    _mark(accounts, write.account_id, event, transaction)


def _hold(owners: Table, owner: str, spared: SessionId | None, transaction: Transaction) -> None:
    """Hold whose sessions are to end; then, by a later statement, the spared one, which must live
    (rule 3)."""
    transaction.db.execute(select(owners.c.id).where(owners.c.id == owner).with_for_update())
    if spared is not None:
        transaction.require_alive(spared)


def _mark(owners: Table, owner: str, event: Event, transaction: Transaction) -> None:
    """End all of their sessions by an event, but the one that it spares."""
    transaction.require(
        update(owners)
        .where(owners.c.id == owner)
        .values(ended_seq=event.position.seq, ended_spared=event.spared)
    )
