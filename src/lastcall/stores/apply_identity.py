"""How the writes on accounts, users, what proves them, keys and records are applied."""

from sqlalchemy import ColumnElement, and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from lastcall.errors import Conflict, LastOwner, LostRace
from lastcall.ids import UserId
from lastcall.stores import base, rows
from lastcall.stores.apply import apply
from lastcall.stores.prepared import Prepared
from lastcall.stores.rows import micros
from lastcall.stores.schema import (
    accounts,
    audit,
    installation,
    service_keys,
    signing_keys,
    single_use,
    users,
)
from lastcall.stores.transaction import Transaction

# Accounts, users and what proves them.


@apply.register
def _(write: base.AddAccount, transaction: Transaction) -> None:
    account = write.account
    if write.first:
        _take_turns(transaction)
        if transaction.db.execute(select(accounts.c.id).limit(1)).first() is not None:
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
    db.execute(
        select(accounts.c.id)
        .where(accounts.c.id == user.account_id)
        .with_for_update(key_share=True)
    )
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
    other = {"active": "suspended", "suspended": "active"}[write.status]
    transaction.require(
        update(users)
        .where(users.c.id == write.user_id, users.c.status == other)
        .values(status=write.status)
    )
    if write.keeps_owner:
        _require_owner(transaction, write.user_id)


@apply.register
def _(write: base.SetName, transaction: Transaction) -> None:
    db = transaction.db
    found = select(users).where(_is_there(write.user_id)).with_for_update(key_share=True)
    row = db.execute(found).mappings().one_or_none()
    if row is None:
        raise LostRace("the user was removed")
    search = rows.search_text(row["email"], write.name, row["external_id"])
    db.execute(
        update(users).where(users.c.id == write.user_id).values(name=write.name, search=search)
    )


@apply.register
def _(write: base.SetRole, transaction: Transaction) -> None:
    event = transaction.append(
        "user_stale",
        write.at,
        account_id=write.account_id,
        user_id=write.user_id,
        reason="role_changed",
        actor=write.by,
    )
    transaction.require(
        update(users)
        .where(_is_there(write.user_id), users.c.role == write.previous)
        .values(role=write.role, stale_seq=event.position.seq)
    )
    if write.previous == "owner":
        _require_owner(transaction, write.user_id, was_owner=True)


@apply.register
def _(write: base.RemoveUser, transaction: Transaction) -> None:
    nothing = dict.fromkeys(
        ("email", "email_key", "external_id", "name", "password_hash", "password_changed_at")
    )
    transaction.require(
        update(users).where(_is_there(write.user_id)).values(status="removed", search="", **nothing)
    )
    transaction.db.execute(delete(single_use).where(single_use.c.user_id == write.user_id))
    _require_owner(transaction, write.user_id)


def _is_there(user_id: UserId) -> ColumnElement[bool]:
    return and_(users.c.id == user_id, users.c.status != "removed")


def _require_owner(transaction: Transaction, user_id: UserId, *, was_owner: bool = False) -> None:
    """Raise Conflict where this user was the last active owner of their account."""
    db = transaction.db
    user = db.execute(select(users.c.account_id, users.c.role).where(users.c.id == user_id)).one()
    if not was_owner and user.role != "owner":
        return
    # The account's row, so that two owners who go at once take turns.
    db.execute(
        select(accounts.c.id)
        .where(accounts.c.id == user.account_id)
        .with_for_update(key_share=True)
    )
    owner = select(users.c.id).where(
        users.c.account_id == user.account_id,
        users.c.role == "owner",
        users.c.status == "active",
    )
    if db.execute(owner.limit(1)).first() is None:
        raise LastOwner


@apply.register
def _(write: base.AddSingleUse, transaction: Transaction) -> None:
    secret = write.secret
    if secret.user_id is None:
        _take_turns(transaction)
    else:
        user = select(users.c.id).where(users.c.id == secret.user_id)
        transaction.db.execute(user.with_for_update(key_share=True))
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


def _take_turns(transaction: Transaction) -> None:
    """Have whoever makes the first account, or a link to, wait for the others."""
    transaction.db.execute(select(installation.c.id).with_for_update())


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


# The audit log.


_RECORD = Prepared(
    insert(audit).values({one.name: bindparam(one.name) for one in audit.c if one.name != "number"})
)


@apply.register
def _(write: base.AddRecord, transaction: Transaction) -> None:
    _RECORD.change(transaction.db, **rows.record_row(write.record))


@apply.register
def _(_write: base.CountUnknownSignIn, transaction: Transaction) -> None:
    count = installation.c.unknown_sign_ins
    transaction.db.execute(update(installation).values(unknown_sign_ins=count + 1))


# Signing keys and the installation.


@apply.register
def _(write: base.PublishKey, transaction: Transaction) -> None:
    # The event first: its lock makes rotations take turns.
    transaction.append("key_published", write.key.created_at, key_id=write.key.id)
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
        gone = delete(signing_keys).where(signing_keys.c.id == key_id).returning(signing_keys.c.id)
        if transaction.db.execute(gone).first() is not None:
            transaction.append("key_revoked", write.at, key_id=key_id)


@apply.register
def _(write: base.SetIssuer, transaction: Transaction) -> None:
    transaction.db.execute(
        update(installation).where(installation.c.issuer.is_(None)).values(issuer=write.issuer)
    )
