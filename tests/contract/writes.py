"""What tests of stores write first: sessions that begin and end, and all that a write may touch."""

from datetime import timedelta
from typing import Any

import pytest

from lastcall.errors import LostRace
from lastcall.events import Event
from lastcall.ids import SessionId
from lastcall.sessions.model import Session, SignIn
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.support.fakes import START
from tests.support.values import ADMIN, POLICY, a_session, a_user, everybody

ADA = a_user()
BOB = a_user("bob")
SEEN = SignIn("agent", {"a": "b"}, "192.0.2.1", b"device")
LATER = START + timedelta(minutes=5)


async def begin(store: Store, name: str = "one", **changes: Any) -> Session:  # noqa: ANN401
    """Begin a session of Ada's now."""
    position = (await store.log_end()).position
    session = a_session(name, begun=position, **changes)
    await store.commit(base.Begin(session, SEEN, START))
    return session


async def read(store: Store, session: Session) -> Session:
    """The session as the store has it."""
    found = await store.find_session(session.id)
    assert found is not None
    return found.session


async def log(store: Store) -> list[Event]:
    """Every event."""
    end = (await store.log_end()).position.seq
    events = [await store.find_event(seq) for seq in range(1, end + 1)]
    assert None not in events
    return [event for event in events if event is not None]


async def everything(store: Store, *sessions: Session) -> object:
    """All that a test's writes may touch."""
    return (
        await log(store),
        await store.log_end(),
        await store.installation(),
        await store.nodes(),
        await store.list_accounts(),
        [await store.list_users(everybody(account.id)) for account in await store.list_accounts()],
        [await store.password_hash(user) for user in (ADA.id, BOB.id)],
        await store.signing_keys(),
        await store.list_service_keys(ADA.account_id),
        [await store.find_session(session.id) for session in sessions],
    )


async def loses(store: Store, *writes: base.Write, actor: SessionId | None = None) -> None:
    """The writes are refused as a race that was lost, and leave nothing."""
    known = [write.session for write in writes if isinstance(write, base.Begin | base.Rotate)]
    before = await everything(store, *known)
    with pytest.raises(LostRace):
        await store.commit(*writes, actor=actor)
    assert await everything(store, *known) == before


def end(session: Session, reason: Any = "terminated_by_admin") -> base.EndSession:  # noqa: ANN401
    """The write that ends a session."""
    return base.EndSession(session.id, session.user_id, session.account_id, reason, ADMIN, LATER)


def end_user(spared: Session | None = None, user: Any = ADA) -> base.EndUser:  # noqa: ANN401
    """The write that ends a user's sessions but the spared one."""
    return base.EndUser(
        user.id,
        user.account_id,
        spared.id if spared else None,
        "terminated_by_user",
        ADMIN,
        LATER,
        POLICY,
    )
