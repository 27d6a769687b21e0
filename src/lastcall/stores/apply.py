"""How each write is applied, for every database. Called inside the transaction of a commit."""

from functools import singledispatch

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from lastcall.errors import Conflict, LostRace
from lastcall.ids import SessionId
from lastcall.stores import base, reads, rows
from lastcall.stores.prepared import Prepared
from lastcall.stores.rows import micros
from lastcall.stores.schema import (
    accounts,
    installation,
    service_keys,
    sessions,
    sign_ins,
    signing_keys,
    single_use,
    users,
)
from lastcall.stores.transaction import Transaction, require_change


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


@singledispatch
def apply(write: object, _transaction: Transaction) -> None:
    """Apply one write."""
    raise TypeError(f"not a write: {type(write).__name__}")


def _alive_here() -> ColumnElement[bool]:
    """Hold for a row of `sessions` that is being updated and lives."""
    return exists(
        select(users.c.id)
        .select_from(users.join(accounts, accounts.c.id == users.c.account_id))
        .where(users.c.id == sessions.c.user_id, reads.may_act())
        .correlate(sessions)
    )


_KNOWN = Prepared(select(sessions.c.id).where(sessions.c.id == bindparam("session_id")))
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


# Accounts, users and what proves them.


@apply.register
def _(write: base.AddAccount, transaction: Transaction) -> None:
    account = write.account
    if write.first and transaction.db.execute(select(accounts.c.id).limit(1)).first() is not None:
        raise LostRace("there is an account already")
    try:
        transaction.db.execute(
            insert(accounts).values(
                id=account.id,
                name=account.name,
                created_at=micros(account.created_at),
                ended_seq=0,
                ended_spared=None,
            )
        )
    except IntegrityError as error:
        raise Conflict(f"there is an account named {account.name} already") from error


@apply.register
def _(write: base.AddUser, transaction: Transaction) -> None:
    db, user = transaction.db, write.user
    db.execute(select(accounts.c.id).where(accounts.c.id == user.account_id).with_for_update())
    owner = select(users.c.id).where(users.c.account_id == user.account_id, users.c.role == "owner")
    if write.owned not in (None, db.execute(owner).first() is not None):
        raise LostRace("the account's owner came meanwhile")
    try:
        db.execute(insert(users).values(rows.user_row(user, write.password_hash)))
    except IntegrityError as error:
        raise Conflict("there is a user with this address or external id already") from error


@apply.register
def _(write: base.SetPassword, transaction: Transaction) -> None:
    previous = None if write.previous_at is None else micros(write.previous_at)
    transaction.require(
        update(users)
        .where(
            users.c.id == write.user_id, users.c.password_changed_at.is_not_distinct_from(previous)
        )
        .values(password_hash=write.password_hash, password_changed_at=micros(write.at))
    )


@apply.register
def _(write: base.RequirePassword, transaction: Transaction) -> None:
    stands = (
        select(users.c.id)
        .where(
            users.c.id == write.user_id,
            users.c.password_changed_at == micros(write.changed_at),
        )
        .with_for_update(read=True)
    )
    if transaction.db.execute(stands).first() is None:
        raise LostRace("the password has changed")


@apply.register
def _(write: base.Rehash, transaction: Transaction) -> None:
    transaction.db.execute(
        update(users)
        .where(users.c.id == write.user_id, users.c.password_hash == write.old_hash)
        .values(password_hash=write.new_hash)
    )


@apply.register
def _(write: base.SetStatus, transaction: Transaction) -> None:
    transaction.require(
        update(users)
        .where(users.c.id == write.user_id, users.c.status != write.status)
        .values(status=write.status)
    )


@apply.register
def _(write: base.AddSingleUse, transaction: Transaction) -> None:
    secret = write.secret
    transaction.db.execute(
        delete(single_use).where(
            single_use.c.purpose == secret.purpose,
            single_use.c.user_id.is_not_distinct_from(secret.user_id),
            single_use.c.used_at.is_(None),
        )
    )
    transaction.db.execute(
        insert(single_use).values(
            secret_hash=secret.secret_hash,
            purpose=secret.purpose,
            user_id=secret.user_id,
            expires_at=micros(secret.expires_at),
            used_at=None,
        )
    )


@apply.register
def _(write: base.UseUp, transaction: Transaction) -> None:
    transaction.require(
        update(single_use)
        .where(
            single_use.c.secret_hash == write.secret_hash,
            single_use.c.purpose == write.purpose,
            single_use.c.used_at.is_(None),
            single_use.c.expires_at > micros(write.at),
        )
        .values(used_at=micros(write.at))
    )


@apply.register
def _(write: base.AddServiceKey, transaction: Transaction) -> None:
    transaction.db.execute(insert(service_keys).values(rows.service_key_row(write.key)))


@apply.register
def _(write: base.RevokeServiceKey, transaction: Transaction) -> None:
    transaction.require(
        update(service_keys)
        .where(
            service_keys.c.id == write.key_id,
            service_keys.c.account_id == write.account_id,
            service_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=micros(write.at))
    )


# Signing keys and the installation.


@apply.register
def _(write: base.PublishKey, transaction: Transaction) -> None:
    # The event first: its lock makes rotations take turns.
    transaction.append("key_published", write.key.created_at)
    newest = (
        select(signing_keys.c.id)
        .order_by(signing_keys.c.signs_from.desc(), signing_keys.c.id.desc())
        .limit(1)
    )
    if transaction.db.execute(newest).scalar_one_or_none() != write.newest:
        raise LostRace("another process has made a key meanwhile")
    transaction.db.execute(
        insert(signing_keys).values(
            id=write.key.id,
            created_at=micros(write.key.created_at),
            signs_from=micros(write.key.signs_from),
            sealed=write.key.sealed,
        )
    )


@apply.register
def _(write: base.DropKeys, transaction: Transaction) -> None:
    for key_id in write.ids:
        transaction.db.execute(delete(signing_keys).where(signing_keys.c.id == key_id))


@apply.register
def _(write: base.SetIssuer, transaction: Transaction) -> None:
    transaction.db.execute(
        update(installation).where(installation.c.issuer.is_(None)).values(issuer=write.issuer)
    )


# Sessions.


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
    result = _ROTATE.run(
        transaction.db,
        session_id=session.id,
        before=session.lineage.generation - 1,
        **rows.rotation_row(session),
    )
    require_change(result)


@apply.register
def _(write: base.CountRepeat, transaction: Transaction) -> None:
    result = _COUNT_REPEAT.run(
        transaction.db, session_id=write.session_id, now=write.generation, most=write.limit
    )
    require_change(result)


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
    is_known = _KNOWN.run(transaction.db, session_id=write.session_id).first() is not None
    if is_known:
        transaction.require_alive(write.session_id)
    event = transaction.append(
        "session_ended",
        write.at,
        account_id=write.account_id,
        user_id=write.user_id,
        session_id=write.session_id,
        reason=write.reason,
        actor=write.by,
        ended=int(is_known and not write.reason.startswith("expired_")),
    )
    _END.run(transaction.db, session_id=write.session_id, seq=event.position.seq)


@apply.register
def _(write: base.EndUser, transaction: Transaction) -> None:
    db = transaction.db
    # The user's row first; then, in a later statement, that the spared session lives (rule 3).
    db.execute(select(users.c.id).where(users.c.id == write.user_id).with_for_update())
    if write.spared is not None:
        transaction.require_alive(write.spared)
    ended = reads.count_sessions(db, write.user_id, write.policy, write.at, write.spared)
    event = transaction.append(
        "user_ended",
        write.at,
        account_id=write.account_id,
        user_id=write.user_id,
        spared=write.spared,
        reason=write.reason,
        actor=write.by,
        ended=ended,
    )
    transaction.require(
        update(users)
        .where(users.c.id == write.user_id)
        .values(ended_seq=event.position.seq, ended_spared=write.spared)
    )
