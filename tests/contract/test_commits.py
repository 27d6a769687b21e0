"""A commit: whoever acts is still signed in, and of its writes all are kept or none."""

import pytest

from lastcall.errors import Conflict
from lastcall.ids import SessionId
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.contract.writes import ADA, BOB, LATER, begin, end, end_user, everything, loses, read
from tests.support.fakes import START
from tests.support.values import a_user, an_account, rotated

# The actor


@pytest.mark.parametrize("alive", [True, False])
async def test_whoever_acts_must_still_be_signed_in(store: Store, alive: bool) -> None:
    session = await begin(store)
    if alive:
        await store.commit(base.AddUser(BOB, None), actor=session.id)
        return
    await store.commit(end(session))
    await loses(store, base.AddUser(BOB, None), actor=session.id)
    await loses(store, base.AddUser(BOB, None), actor=SessionId("s_c1_nobody"))


async def test_whoever_ends_their_own_session_may_have_acted_before(store: Store) -> None:
    session = await begin(store)
    await store.commit(end_user(session), end(session), actor=session.id)
    assert (await read(store, session)).ending is not None


# All or none


async def test_where_one_write_of_a_commit_fails_none_is_kept(store: Store) -> None:
    session = await begin(store)
    await loses(
        store,
        base.AddAccount(an_account("more")),
        base.SetPassword(ADA.id, "new", LATER, START),
        end(session),
        base.SetStatus(ADA.id, "active"),
    )
    before = await everything(store, session)
    with pytest.raises(Conflict):
        await store.commit(end(session), base.AddAccount(an_account()))
    assert await everything(store, session) == before


async def test_later_writes_of_a_commit_see_the_earlier_ones(store: Store) -> None:
    await store.commit(
        base.AddAccount(an_account("more")), base.AddUser(a_user("eve", "more"), None)
    )
    session = await begin(store)
    await loses(store, end(session), base.Rotate(rotated(session)))


async def test_a_commit_of_nothing_tells_the_log_s_end(store: Store) -> None:
    committed = await store.commit()
    assert committed == base.Committed((await store.log_end()).position, ())
