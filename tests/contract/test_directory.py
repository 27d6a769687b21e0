"""What is read of an account's users: who is found by what, and what their sessions say."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastcall.identity.model import Profile, Role, User, UserStatus
from lastcall.identity.names import fold
from lastcall.ids import AccountId, UserId
from lastcall.sessions.model import Session, SignIn
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.contract.writes import ADA, end, end_user
from tests.support.fakes import START
from tests.support.values import POLICY, a_session, a_user, an_account, everybody, rotated

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)


async def add(store: Store, *users: User) -> None:
    await store.commit(*(base.AddUser(user, None) for user in users))


async def found(
    store: Store,
    text: str = "",
    account: AccountId = ADA.account_id,
    **wanted: Any,  # noqa: ANN401
) -> list[str]:
    query = replace(everybody(account), text=fold(text), **wanted)
    return [profile.user.id for profile in await store.list_users(query)]


async def visit(
    store: Store,
    name: str,
    who: User = ADA,
    at: datetime = START,
    device: bytes | None = None,
    **changes: Any,  # noqa: ANN401
) -> Session:
    session = a_session(name, who, at, begun=(await store.log_end()).position, **changes)
    await store.commit(base.Begin(session, SignIn(None, {}, None, device), None))
    return session


async def profile(store: Store, who: User = ADA, now: datetime = START) -> Profile:
    (one,) = await store.list_users(replace(everybody(who.account_id, now), user_id=who.id))
    return one


# Finding


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("", ["u_zoe", "u_ada"]),
        ("zoe@", ["u_zoe"]),
        ("EXAMPLE.COM", ["u_zoe", "u_ada"]),
        ("émile", ["u_zoe"]),
        ("ÉMILE", ["u_zoe"]),
        ("e\u0301mile", ["u_zoe"]),
        ("STRASSE", ["u_zoe"]),
        ("straße", ["u_zoe"]),
        ("ﬁsch", ["u_zoe"]),
        ("app-42", ["u_zoe"]),
        ("ada", ["u_ada"]),
        ("emile", []),
        ("ada zoe", []),
        ("com\nzoe", []),
        ("u_ada", []),
    ],
)
async def test_a_text_is_found_in_address_name_and_external_id_in_whatever_case(
    store: Store, text: str, who: list[str]
) -> None:
    await add(store, replace(a_user("zoe"), name="Zoé-Émile Straße Fisch", external_id="App-42"))
    assert await found(store, text) == who


@pytest.mark.parametrize("text", ["%", "_", "\\", "100%", "a_b", "\\%", "%%", "[a]", "*", "'", '"'])
async def test_what_a_pattern_would_read_is_a_letter_like_any_other(
    store: Store, text: str
) -> None:
    hit, miss = a_user("hit"), a_user("miss")
    await add(store, replace(hit, name=f"x{text}y"), replace(miss, name="x100 a-b y/"))
    assert await found(store, text) == ["u_hit"]
    assert await found(store, f"X{text}") == ["u_hit"]


async def test_an_application_s_id_is_found_whole_and_in_one_account(store: Store) -> None:
    await store.commit(base.AddAccount(an_account("other")))
    await add(
        store,
        a_user("one", external_id="42"),
        a_user("two", external_id="421"),
        a_user("three", "other", external_id="42"),
    )
    assert await found(store, external_id="42") == ["u_one"]
    assert await found(store, external_id="4") == []
    assert await found(store, external_id="") == []
    assert await found(store, external_id="4%") == []
    assert await found(store, account=AccountId("a_other")) == ["u_three"]
    assert await found(store, user_id=UserId("u_three")) == []
    assert await found(store, "one", external_id="42", user_id=UserId("u_one")) == ["u_one"]
    assert await found(store, "two", external_id="42") == []
    assert await found(store, account=AccountId("a_nobody")) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_users_come_newest_first_in_pages_without_gap_or_repeat(
    store: Store, size: int
) -> None:
    await add(store, *(a_user(f"n{number}") for number in range(7)))
    numbered = [f"u_n{number}" for number in reversed(range(7))]
    for text, whole in (("", [*numbered, "u_ada"]), ("N", numbered)):
        paged: list[str] = []
        before = None
        while page := await found(store, text, limit=size, before=before):
            paged += page
            before = UserId(page[-1])
        assert paged == whole


async def test_users_are_counted_by_role_and_status(store: Store) -> None:
    await store.commit(base.AddAccount(an_account("other")))
    await add(
        store,
        a_user("bob", role="owner"),
        a_user("cy", role="admin", status="suspended"),
        a_user("di", role="owner", status="suspended"),
        a_user("eve", "other", role="owner"),
        a_user("fay"),
    )
    await store.commit(base.RemoveUser(UserId("u_fay")))
    everyone: list[tuple[Role | None, UserStatus | None, int]] = [
        (None, None, 4),
        ("owner", None, 2),
        ("owner", "active", 1),
        (None, "suspended", 2),
        ("member", "suspended", 0),
        ("admin", None, 1),
    ]
    for role, status, number in everyone:
        assert await store.count_users(ADA.account_id, role, status) == number
    assert await store.count_users(AccountId("a_nobody")) == 0


# What their sessions say


async def test_active_sessions_are_those_that_live_and_last_seen_is_that_of_any(
    store: Store,
) -> None:
    await add(store, a_user("bob"))
    assert await profile(store) == Profile(ADA, 0, None)
    one, two = await visit(store, "one"), await visit(store, "two", at=START - 20 * HOUR)
    await visit(store, "old", at=START - 60 * HOUR)
    await visit(store, "bob", a_user("bob"))
    assert await profile(store) == Profile(ADA, 2, START)
    used = rotated(two, START + HOUR)
    await store.commit(base.Rotate(used))
    assert await profile(store, now=START + HOUR) == Profile(ADA, 2, START + HOUR)
    await store.commit(end(used))
    assert await profile(store, now=START + HOUR) == Profile(ADA, 1, START + HOUR)
    await store.commit(end_user(one))
    assert (await profile(store)).active_sessions == 1
    await store.commit(end_user())
    assert await profile(store) == Profile(ADA, 0, START + HOUR)
    assert (await profile(store, a_user("bob"))).active_sessions == 1
    both = await store.list_users(everybody(ADA.account_id))
    assert [(one.user.id, one.active_sessions) for one in both] == [("u_bob", 1), ("u_ada", 0)]


async def test_a_session_is_counted_until_the_moment_at_which_it_runs_out(store: Store) -> None:
    await visit(store, "one")
    until = START + POLICY.refresh_lifetime
    for now, number in ((until - TICK, 1), (until, 0)):
        assert (await profile(store, now=now)).active_sessions == number
        assert (await store.reach(ADA.id, POLICY, now)).sessions == number
        assert await store.count_sessions(ADA.id, POLICY, now) == number
    shorter = replace(POLICY, refresh_lifetime=3 * HOUR)
    query = replace(everybody(ADA.account_id, START + 3 * HOUR), policy=shorter)
    (one,) = await store.list_users(query)
    assert one.active_sessions == 0


# What a logout would end


async def test_the_reach_of_a_logout_is_what_it_then_ends(store: Store) -> None:
    await add(store, a_user("bob"))
    assert await store.reach(ADA.id, POLICY, START) == base.Reach(0, 0, 0, None)
    await visit(store, "one", device=b"laptop")
    await visit(store, "two", device=b"laptop")
    await visit(store, "app")
    await visit(store, "another app")
    await visit(store, "old", at=START - 60 * HOUR)
    await visit(store, "bob", a_user("bob"))
    gone = await visit(store, "gone", device=b"phone")
    await store.commit(end(gone))
    reach = await store.reach(ADA.id, POLICY, START)
    longest = START + POLICY.access_lifetime + POLICY.refresh_grace
    assert reach == base.Reach(sessions=4, devices=3, access_tokens=4, longest=longest)
    (event,) = (await store.commit(end_user())).events
    assert event.ended == reach.sessions
    assert await store.reach(ADA.id, POLICY, START) == base.Reach(0, 0, 0, None)


async def test_the_reach_tells_which_access_tokens_are_still_in_time(store: Store) -> None:
    one = await visit(store, "one")
    await visit(store, "two", at=START - 2 * HOUR)
    life = POLICY.access_lifetime + POLICY.refresh_grace
    assert await store.reach(ADA.id, POLICY, START) == base.Reach(2, 2, 1, START + life)
    late = START + life
    assert (await store.reach(ADA.id, POLICY, late - TICK)).access_tokens == 1
    assert await store.reach(ADA.id, POLICY, late) == base.Reach(2, 2, 0, None)
    await store.commit(base.Rotate(rotated(one, late)))
    assert await store.reach(ADA.id, POLICY, late) == base.Reach(2, 2, 1, late + life)
    spared = await visit(store, "spared")
    await store.commit(end_user(spared))
    assert (await store.reach(ADA.id, POLICY, late)).sessions == 1
