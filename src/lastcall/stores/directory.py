"""The reads of accounts, users, their links and keys, each one statement, for every database."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Executable,
    ScalarSelect,
    Select,
    bindparam,
    case,
    func,
    select,
    union_all,
)

from lastcall.identity.model import (
    Account,
    Profile,
    Role,
    ServiceKey,
    SingleUse,
    SingleUsePurpose,
    User,
    UserStatus,
)
from lastcall.ids import AccountId, KeyId, UserId
from lastcall.keys import StoredKey
from lastcall.sessions.policy import Policy
from lastcall.stores import reads, rows
from lastcall.stores.base import Reach, UserQuery
from lastcall.stores.columns import TEXT, at_most, constant
from lastcall.stores.prepared import Prepared
from lastcall.stores.reads import one
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

T = TypeVar("T")

_THERE = users.c.status != constant("removed")


def find_user(db: Connection, user_id: UserId) -> User | None:
    """Find a user."""
    return one(db, select(users).where(users.c.id == user_id, _THERE), rows.user_of)


def find_external_user(db: Connection, account_id: AccountId, external_id: str) -> User | None:
    """Find a user of an account by the application's own id."""
    statement = select(users).where(
        users.c.account_id == account_id, users.c.external_id == external_id
    )
    return one(db, statement, rows.user_of)


NEAR: Final = 2_000
"""How many users, the newest ones first, are looked at before the index of texts is."""


def list_users(db: Connection, query: UserQuery) -> tuple[Profile, ...]:
    """List an account's users, newest first, each with what their sessions say of them."""
    there = select(users.c.id).where(users.c.account_id == query.account_id, _THERE)
    if query.before is not None:
        there = there.where(users.c.id < query.before)
    if query.external_id is not None:
        there = there.where(users.c.external_id == query.external_id)
    if query.user_id is not None:
        there = there.where(users.c.id == query.user_id)
    if db.dialect.name == "postgresql" and len(query.text) >= 3:
        wanted = _indexed(there, query)
    else:
        wanted = there.where(_holds(users.c.search, query)) if query.text else there
        wanted = wanted.order_by(users.c.id.desc()).limit(at_most(query.limit))
    found = db.execute(_profiles(wanted), reads.times(query.policy, query.now)).mappings()
    return tuple(rows.profile_of(row) for row in found)


def _holds(search: ColumnElement[str], query: UserQuery) -> ColumnElement[bool]:
    return search.contains(query.text, autoescape=True)


def _indexed(there: Select[tuple[str]], query: UserQuery) -> Select[tuple[str]]:
    """Select those who are found by a text: among the newest, where many have it, or where there
    are no more; else by the index, which knows of all accounts, and where few have it. Either way
    few rows are read, whatever the server believes of the text."""
    newest = users.c.id.desc()
    near = there.add_columns(users.c.search).order_by(newest).limit(at_most(NEAR)).cte("near")
    named = select(near.c.id).where(_holds(near.c.search, query))
    found = named.order_by(near.c.id.desc()).limit(at_most(query.limit)).cte("found")

    def count(of: CTE) -> ScalarSelect[int]:
        return select(func.count()).select_from(of).scalar_subquery()

    far = there.where(
        count(near) == NEAR,
        count(found) < query.limit,
        users.c.id.concat("") < select(func.min(near.c.id)).scalar_subquery(),  # by no index
        func.lastcall_trigrams(users.c.search).op("@>")(func.lastcall_trigrams(query.text)),
        _holds(users.c.search, query),
    )
    # Else it would be walked through in the order of the page.
    apart = far.cte("far").prefix_with("MATERIALIZED")
    both = union_all(select(found.c.id), select(apart.c.id)).subquery("both")
    return select(both.c.id).order_by(both.c.id.desc()).limit(at_most(query.limit))


def _profiles(wanted: Select[tuple[str]]) -> Select[tuple[object, ...]]:
    """Select these users, newest first, with the number of their active sessions and the last
    activity of any."""
    page = wanted.cte("page")
    seen = (
        select(
            sessions.c.user_id,
            func.sum(case((reads.active(), 1), else_=0)).label("active_sessions"),
            func.max(sessions.c.last_active_at).label("last_seen_at"),
        )
        .select_from(reads.OWNED)
        .where(sessions.c.user_id.in_(select(page.c.id)))
        .group_by(sessions.c.user_id)
        .subquery("seen")
    )
    return (
        select(
            *users.c,
            func.coalesce(seen.c.active_sessions, 0).label("active_sessions"),
            seen.c.last_seen_at,
        )
        .select_from(users.outerjoin(seen, seen.c.user_id == users.c.id))
        .where(users.c.id.in_(select(page.c.id)))
        .order_by(users.c.id.desc())
    )


def count_users(
    db: Connection,
    account_id: AccountId,
    role: Role | None = None,
    status: UserStatus | None = None,
) -> int:
    """Count an account's users: all, or those of a role, of a status."""
    counted = select(func.count()).where(users.c.account_id == account_id, _THERE)
    if role is not None:
        counted = counted.where(users.c.role == role)
    if status is not None:
        counted = counted.where(users.c.status == status)
    return int(db.execute(counted).scalar_one())


_USER = bindparam("user_id", type_=TEXT)
_REACH = Prepared(
    select(
        func.count().label("sessions"),
        # A browser by its device cookie; what has none is a device of its own.
        (
            func.count(func.distinct(sign_ins.c.device_hash))
            + func.count(case((sign_ins.c.device_hash.is_(None), 1)))
        ).label("devices"),
        func.coalesce(
            func.sum(case((sessions.c.rotated_at > bindparam("issued_after"), 1), else_=0)), 0
        ).label("access_tokens"),
        func.max(sessions.c.rotated_at).label("rotated_at"),
    )
    .select_from(sessions.join(sign_ins, sign_ins.c.session_id == sessions.c.id))
    .where(sessions.c.user_id == _USER, reads.active_of(_USER))
)


def reach(db: Connection, user_id: UserId, policy: Policy, now: datetime) -> Reach:
    """Tell what logging a user out would end."""
    # A repeat within the grace mints an access token a little later than the rotation.
    lifetime = policy.access_lifetime + policy.refresh_grace
    values = {"issued_after": micros(now - lifetime), **reads.times(policy, now)}
    row = _REACH.rows(db, user_id=user_id, **values)[0]
    longest = rows.moment(row["rotated_at"]) + lifetime if row["access_tokens"] else None
    return Reach(row["sessions"], row["devices"], row["access_tokens"], longest)


def list_accounts(db: Connection) -> tuple[Account, ...]:
    """List the accounts, oldest first."""
    statement = select(accounts).order_by(accounts.c.id)
    return _all(db, statement, rows.account_of)


def find_account(db: Connection, account_id: AccountId) -> Account | None:
    """Find an account."""
    return one(db, select(accounts).where(accounts.c.id == account_id), rows.account_of)


def find_single_use(
    db: Connection, secret_hash: bytes, purpose: SingleUsePurpose, now: datetime
) -> SingleUse | None:
    """Find the secret of a link that is unused and in time."""
    statement = select(single_use).where(
        single_use.c.secret_hash == secret_hash,
        single_use.c.purpose == purpose,
        single_use.c.used_at.is_(None),
        single_use.c.expires_at > micros(now),
    )
    return one(db, statement, rows.single_use_of)


def find_service_key(db: Connection, key_id: KeyId) -> ServiceKey | None:
    """Find a service key that is in force."""
    statement = select(service_keys).where(
        service_keys.c.id == key_id, service_keys.c.revoked_at.is_(None)
    )
    return one(db, statement, rows.service_key_of)


def list_service_keys(
    db: Connection, account_id: AccountId, after: KeyId | None = None, limit: int | None = None
) -> tuple[ServiceKey, ...]:
    """List an account's service keys in force, oldest first: all, or some after an id."""
    statement = (
        select(service_keys)
        .where(service_keys.c.account_id == account_id, service_keys.c.revoked_at.is_(None))
        .order_by(service_keys.c.id)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(service_keys.c.id > after)
    return _all(db, statement, rows.service_key_of)


def list_signing_keys(db: Connection) -> tuple[StoredKey, ...]:
    """List the signing keys."""
    return _all(db, select(signing_keys), rows.signing_key_of)


def count_unknown_sign_ins(db: Connection) -> int:
    """Tell how often somebody tried to sign in as nobody."""
    return int(db.execute(select(installation.c.unknown_sign_ins)).scalar_one())


def _all(db: Connection, statement: Executable, convert: Callable[[rows.Row], T]) -> tuple[T, ...]:
    return tuple(convert(row) for row in db.execute(statement).mappings())
