"""Lists of sessions: what lives and what doesn't, in order, in pages, as the rules say."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastcall.events import SYSTEM
from lastcall.sessions import rules
from lastcall.sessions.model import Session, SignIn
from lastcall.sessions.policy import Policy
from lastcall.stores import base
from lastcall.stores.base import Cursor, SessionFilter, SessionQuery, Store
from tests.support.fakes import START
from tests.support.values import POLICY, a_session, a_user

ADA = a_user()
TICK = timedelta(microseconds=1)


async def begin(store: Store, name: str, at: datetime = START, **changes: Any) -> Session:  # noqa: ANN401
    session = a_session(name, begun=(await store.log_end()).position, at=at, **changes)
    await store.commit(base.Begin(session, SignIn(None, {}, None), START))
    return session


async def ids(
    store: Store,
    which: SessionFilter = "active",
    now: datetime = START,
    policy: Policy = POLICY,
    **named: object,
) -> list[str]:
    query = replace(SessionQuery(ADA.id, which, policy, now), **named)  # type: ignore[arg-type]
    return [session.id for session in await store.list_sessions(query)]


async def end_all(store: Store, spared: Session | None = None) -> None:
    await store.commit(
        base.EndUser(
            ADA.id,
            ADA.account_id,
            spared.id if spared else None,
            "revoked",
            SYSTEM,
            START,
            POLICY,
        )
    )


async def test_the_list_is_by_last_activity_and_ties_by_id(store: Store) -> None:
    for name, minutes in [("b", 0), ("d", 2), ("a", 2), ("c", 1), ("e", 2)]:
        await begin(store, name, START - timedelta(minutes=minutes))
    assert await ids(store) == [f"s_c1_{name}" for name in ("b", "c", "e", "d", "a")]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_pages_follow_each_other_without_gap_or_repeat(store: Store, size: int) -> None:
    for number in range(7):
        await begin(store, f"n{number}", START - timedelta(minutes=number // 3))
    whole = await ids(store)
    assert len(whole) == 7
    paged: list[str] = []
    before = None
    for _ in range(8):
        query = SessionQuery(ADA.id, "active", POLICY, START, limit=size, before=before)
        page = await store.list_sessions(query)
        if not page:
            break
        paged += [session.id for session in page]
        before = Cursor(page[-1].last_active_at, page[-1].id)
    assert paged == whole


async def test_a_list_may_leave_out_one_session_and_all_that_were_long_idle(store: Store) -> None:
    one = await begin(store, "one")
    await begin(store, "two", START - timedelta(hours=2))
    assert await ids(store, without=one.id) == ["s_c1_two"]
    since = START - timedelta(hours=2)
    assert await ids(store, since=since) == ["s_c1_one", "s_c1_two"]
    assert await ids(store, since=since + TICK) == ["s_c1_one"]


async def test_a_list_is_of_one_user(store: Store) -> None:
    await store.commit(base.AddUser(a_user("bob"), None))
    await begin(store, "ada")
    await begin(store, "bob", user=a_user("bob"))
    assert await ids(store) == ["s_c1_ada"]
    assert await store.count_sessions(ADA.id, POLICY, START) == 1


@pytest.mark.parametrize("spared", [True, False])
async def test_a_session_is_in_one_of_the_two_lists_however_it_ended(
    store: Store, spared: bool
) -> None:
    first, second = await begin(store, "first"), await begin(store, "second")
    await store.commit(
        base.EndSession(second.id, second.user_id, second.account_id, "signed_out", SYSTEM, START)
    )
    await begin(store, "third")
    assert (len(await ids(store)), len(await ids(store, "ended"))) == (2, 1)
    await end_all(store, first if spared else None)
    active, ended = await ids(store), await ids(store, "ended")
    assert set(active) == ({"s_c1_first"} if spared else set())
    assert sorted([*active, *ended]) == ["s_c1_first", "s_c1_second", "s_c1_third"]
    await begin(store, "fourth")
    assert "s_c1_fourth" in await ids(store)
    assert await store.count_sessions(ADA.id, POLICY, START) == len(active) + 1


async def test_the_list_and_the_rules_agree_when_a_session_has_run_out(store: Store) -> None:
    """At each limit, a moment before and a moment after, under looser and tighter policies."""
    session = await begin(store, "one")
    active = START + timedelta(hours=20)
    session = replace(
        session,
        last_active_at=active,
        idle_expires_at=active + POLICY.refresh_lifetime,
        lineage=replace(session.lineage, generation=2),
    )
    await store.commit(base.Rotate(session))
    policies = [
        POLICY,
        Policy(timedelta(minutes=5), timedelta(minutes=30)),
        Policy(refresh_lifetime=timedelta(days=90), absolute_lifetime=timedelta(days=400)),
        Policy(absolute_lifetime=timedelta(hours=30)),
    ]
    for policy in policies:
        for limit in {
            rules.expiry(session, policy),
            session.idle_expires_at,
            session.absolute_expires_at,
            active + policy.refresh_lifetime,
            START + policy.absolute_lifetime,
        }:
            for now in (limit - TICK, limit, limit + TICK):
                lives = rules.ending(session, policy, now) is None
                assert (await ids(store, "active", now, policy) != []) is lives
                assert (await ids(store, "ended", now, policy) != []) is not lives
                assert await store.count_sessions(ADA.id, policy, now) == int(lives)


async def test_a_listed_session_says_how_it_ended(store: Store) -> None:
    session = await begin(store, "one")
    await store.commit(
        base.EndSession(
            session.id, session.user_id, session.account_id, "signed_out", SYSTEM, START
        )
    )
    query = SessionQuery(ADA.id, "ended", POLICY, START)
    (listed,) = await store.list_sessions(query)
    assert listed.ending is not None
    assert (listed.ending.reason, listed.ending.by) == ("signed_out", SYSTEM)
    found = await store.find_session(session.id)
    assert found is not None
    assert listed == found.session
