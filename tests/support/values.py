"""Values as the store keeps them, each a plausible one that a test changes where it matters."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from lastcall.device.model import Device, Place
from lastcall.digests import digest
from lastcall.events import Actor, Position, Timeline
from lastcall.identity.model import Account, User
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.sessions.model import Client, Lineage, Session
from lastcall.sessions.policy import Policy
from lastcall.stores.base import UserQuery
from tests.support.fakes import START

POLICY = Policy()
ADMIN = Actor("admin", "u_admin", "Grace")
SOMEWHERE = Position("epoch-------", Timeline(1, "first"), 1)


def hashed(name: str) -> bytes:
    """Give the hash of a secret that is told by its name."""
    return digest(name.encode())


def an_account(name: str = "acme") -> Account:
    """Give an account."""
    return Account(AccountId(f"a_{name}"), name, START)


def a_user(name: str = "ada", account: str = "acme", **changes: Any) -> User:  # noqa: ANN401
    """Give a user who signs in by e-mail."""
    address = f"{name}@example.com"
    user = User(
        id=UserId(f"u_{name}"),
        account_id=AccountId(f"a_{account}"),
        email=address,
        email_key=address,
        external_id=None,
        name=name.title(),
        role="member",
        status="active",
        created_at=START,
        password_changed_at=START,
    )
    return replace(user, **changes)


def everybody(account: AccountId, now: datetime = START) -> UserQuery:
    """Ask for all users of an account."""
    return UserQuery(account, POLICY, now, limit=200)


def a_session(
    name: str = "one",
    user: User | None = None,
    at: datetime = START,
    policy: Policy = POLICY,
    **changes: Any,  # noqa: ANN401
) -> Session:
    """Give a session that began at `at`, with its first refresh token."""
    owner = user or a_user()
    session = Session(
        id=SessionId(f"s_c1_{name}"),
        user_id=owner.id,
        account_id=owner.account_id,
        begun=SOMEWHERE,
        created_at=at,
        last_active_at=at,
        idle_expires_at=at + policy.refresh_lifetime,
        absolute_expires_at=at + policy.absolute_lifetime,
        auth_time=at,
        amr=("pwd",),
        client=Client("native", "phone"),
        device=Device("unknown", None, None, None, None),
        place=Place(reason="no_data"),
        ip="192.0.2.1",
        lineage=Lineage(1, hashed(f"{name} 1"), at),
    )
    return replace(session, **changes)


def rotated(session: Session, at: datetime | None = None, name: str = "") -> Session:
    """Give the session's next generation, as a refresh makes it."""
    old = session.lineage
    moment = at or session.last_active_at + timedelta(seconds=60)
    return replace(
        session,
        last_active_at=moment,
        idle_expires_at=moment + POLICY.refresh_lifetime,
        lineage=Lineage(
            old.generation + 1,
            hashed(f"{session.id} {old.generation + 1} {name}"),
            moment,
            previous_hash=old.secret_hash,
            sealed_successor=b"sealed",
        ),
    )
