"""What is written about users by those who administer them, and what each write rests on."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lastcall.errors import LastOwner, LostRace
from lastcall.events import SYSTEM
from lastcall.identity.model import Role, SingleUse, User, UserStatus
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.sessions.model import Session, SignIn
from lastcall.stores import base, counting
from lastcall.stores.base import Store
from tests.contract.writes import (
    ADA,
    BOB,
    LATER,
    begin,
    end,
    end_user,
    everything,
    log,
    loses,
    read,
)
from tests.support.backends import Backend, ask
from tests.support.fakes import START
from tests.support.values import (
    ADMIN,
    POLICY,
    a_session,
    a_user,
    an_account,
    everybody,
    hashed,
    rotated,
)

NOBODY = UserId("u_nobody")


async def user(store: Store, user_id: UserId) -> User:
    found = await store.find_user(user_id)
    assert found is not None
    return found


async def leaves_no_owner(store: Store, *writes: base.Write) -> None:
    """The writes would leave the account without an owner: they are refused and leave nothing."""
    before = await everything(store)
    with pytest.raises(LastOwner):
        await store.commit(*writes)
    assert await everything(store) == before


def set_role(role: Role, previous: Role, who: User = ADA) -> base.SetRole:
    return base.SetRole(who.id, who.account_id, role, previous, ADMIN, LATER)


def end_account(spared: Session | None = None, account: AccountId = ADA.account_id) -> Any:  # noqa: ANN401
    return base.EndAccount(
        account, spared.id if spared else None, "terminated_by_admin", ADMIN, LATER, ended=7
    )


# Names


async def test_a_name_is_changed_and_found_by(store: Store) -> None:
    for name, text in (("Ada Lovelace", "lovelace"), ("ÉMILE", "émile"), (None, "ada@")):
        await store.commit(base.SetName(ADA.id, name))
        assert (await user(store, ADA.id)).name == name
        query = replace(everybody(ADA.account_id), text=text)
        assert [one.user.id for one in await store.list_users(query)] == [ADA.id]
    query = replace(everybody(ADA.account_id), text="lovelace")
    assert await store.list_users(query) == ()


async def test_only_somebody_who_is_there_is_named(store: Store) -> None:
    await loses(store, base.SetName(NOBODY, "x"))
    await store.commit(base.AddUser(BOB, None), base.RemoveUser(BOB.id))
    await loses(store, base.SetName(BOB.id, "Bob again"))


# Roles


async def test_another_role_asks_for_a_refresh_of_every_access_token(store: Store) -> None:
    """Event d: the tokens carry the role."""
    session = await begin(store)
    committed = await store.commit(set_role("admin", "member"))
    (event,) = committed.events
    assert (event.kind, event.user_id, event.account_id) == (
        "user_stale",
        ADA.id,
        ADA.account_id,
    )
    assert (event.reason, event.actor, event.at, event.ended) == ("role_changed", ADMIN, LATER, 0)
    assert await log(store) == [*(await log(store))[:-1], event]
    found = await user(store, ADA.id)
    assert (found.role, found.stale_seq) == ("admin", committed.position.seq)
    assert (await read(store, session)).ending is None


async def test_a_role_is_changed_from_the_one_that_was_read(store: Store) -> None:
    await loses(store, set_role("admin", "owner"))
    await loses(store, set_role("admin", "member", replace(ADA, id=NOBODY)))
    await store.commit(base.RemoveUser(ADA.id))
    await loses(store, set_role("admin", "member"))


async def test_the_last_active_owner_stays_one(store: Store) -> None:
    await store.commit(
        base.AddUser(BOB, None), base.AddAccount(an_account("other")), set_role("owner", "member")
    )
    elsewhere = a_user("eve", "other", role="owner")
    await store.commit(base.AddUser(elsewhere, None))
    gone: tuple[base.Write, ...] = (
        set_role("member", "owner"),
        base.SetStatus(ADA.id, "suspended", keeps_owner=True),
        base.RemoveUser(ADA.id),
    )
    for write in gone:
        await leaves_no_owner(store, write)
    await store.commit(set_role("owner", "member", BOB), base.SetStatus(BOB.id, "suspended"))
    await leaves_no_owner(store, set_role("admin", "owner"))
    await store.commit(base.SetStatus(BOB.id, "active"))
    await store.commit(set_role("admin", "owner"))
    assert [(await user(store, one.id)).role for one in (ADA, BOB)] == ["admin", "owner"]
    await leaves_no_owner(store, base.RemoveUser(BOB.id))


@pytest.mark.parametrize("how", ["demote", "suspend", "remove"])
async def test_of_two_owners_who_go_at_once_one_stays(store: Store, other: Store, how: str) -> None:
    await store.commit(
        base.AddUser(BOB, None), set_role("owner", "member"), set_role("owner", "member", BOB)
    )

    def leave(who: User) -> base.Write:
        match how:
            case "demote":
                return set_role("member", "owner", who)
            case "suspend":
                return base.SetStatus(who.id, "suspended", keeps_owner=True)
            case _:
                return base.RemoveUser(who.id)

    results = await asyncio.gather(
        store.commit(leave(ADA)), other.commit(leave(BOB)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in results) == ["Committed", "LastOwner"]
    assert await store.count_users(ADA.account_id, "owner", "active") == 1


async def test_whoever_is_no_owner_may_always_go(store: Store) -> None:
    """An account without an owner, as a service's, is no reason to keep anybody."""
    await store.commit(base.SetStatus(ADA.id, "suspended", keeps_owner=True))
    await store.commit(base.RemoveUser(ADA.id))


async def test_the_last_owner_may_be_suspended_where_nothing_is_asked(store: Store) -> None:
    """From the server's own machine, which must be able to stop whoever took them over."""
    await store.commit(set_role("owner", "member"))
    await store.commit(base.SetStatus(ADA.id, "suspended"))
    assert (await user(store, ADA.id)).status == "suspended"


async def test_somebody_removed_is_neither_suspended_nor_resumed(store: Store) -> None:
    await store.commit(base.RemoveUser(ADA.id))
    statuses: tuple[UserStatus, ...] = ("active", "suspended")
    for status in statuses:
        await loses(store, base.SetStatus(ADA.id, status))  # type: ignore[arg-type]


# Removing


async def test_of_somebody_removed_nothing_is_left_but_an_id(
    store: Store, backend: Backend
) -> None:
    await store.commit(
        base.AddUser(replace(BOB, name="Roberta", external_id="app-42"), "hash of a password"),
        base.AddSingleUse(SingleUse(hashed("link"), "invitation", BOB.id, LATER)),
        base.AddSingleUse(SingleUse(hashed("another's"), "invitation", ADA.id, LATER)),
    )
    await store.commit(base.RemoveUser(BOB.id))
    (row,) = ask(backend, f"SELECT * FROM users WHERE id = '{BOB.id}'")  # noqa: S608
    kept = {name: value for name, value in row.items() if value not in (None, 0, "")}
    assert set(kept) == {"id", "account_id", "role", "status", "created_at"}
    assert kept["status"] == "removed"
    assert ask(backend, "SELECT user_id FROM single_use") == [{"user_id": ADA.id}]


async def test_somebody_removed_is_found_nowhere(store: Store) -> None:
    await store.commit(base.AddUser(replace(BOB, external_id="42"), "hash"))
    before = await store.log_end()
    await store.commit(base.RemoveUser(BOB.id))
    everyone = everybody(ADA.account_id)
    assert await store.find_user(BOB.id) is None
    assert await store.find_external_user(BOB.account_id, "42") is None
    assert await store.start_sign_in("bob@example.com") == before
    for query in (
        everyone,
        replace(everyone, user_id=BOB.id),
        replace(everyone, external_id="42"),
        replace(everyone, text="bob"),
    ):
        assert BOB.id not in [one.user.id for one in await store.list_users(query)]
    assert await store.count_users(BOB.account_id) == 1
    assert await store.count_users(BOB.account_id, "member", "active") == 1


async def test_the_address_of_somebody_removed_is_free_and_brings_nothing_with_it(
    store: Store,
) -> None:
    await store.commit(base.AddUser(replace(BOB, external_id="42"), "hash"))
    session = await begin(store, user=BOB)
    await store.commit(base.RemoveUser(BOB.id), end_user(user=BOB))
    again = replace(BOB, id=UserId("u_bob2"), external_id="42")
    await store.commit(base.AddUser(again, "another hash"))
    assert await user(store, again.id) == again
    start = await store.start_sign_in("bob@example.com")
    assert isinstance(start, base.SignInStart)
    assert start.user.id == again.id
    assert await store.count_sessions(again.id, POLICY, START) == 0
    assert (await read(store, session)).user_id == BOB.id


async def test_a_session_of_somebody_removed_says_why_it_ended(store: Store) -> None:
    session = await begin(store)
    ended = replace(end_user(), reason="user_deleted")
    await store.commit(base.RemoveUser(ADA.id), ended)
    ending = (await read(store, session)).ending
    assert ending is not None
    assert (ending.reason, ending.by) == ("user_deleted", ADMIN)


async def test_somebody_removed_begins_and_goes_on_with_nothing(store: Store) -> None:
    session = await begin(store)
    position = (await store.log_end()).position
    await store.commit(base.RemoveUser(ADA.id))
    await loses(store, base.Begin(a_session("new", begun=position), SignIn(None, {}, None), None))
    await loses(store, base.Rotate(rotated(session)))
    await loses(store, base.RemoveUser(ADA.id))
    await loses(store, base.RemoveUser(NOBODY))


# An account's sessions


async def company(store: Store) -> dict[str, Session]:
    """Two people of one account with two sessions each, and one of another account."""
    await store.commit(base.AddUser(BOB, None), base.AddAccount(an_account("other")))
    cy = a_user("cy", "other")
    await store.commit(base.AddUser(cy, None))
    begun = {}
    for name, who in (("a1", ADA), ("a2", ADA), ("b1", BOB), ("b2", BOB), ("cy", cy)):
        begun[name] = await begin(store, name, user=who)
    return begun


async def alive(store: Store, sessions: dict[str, Session]) -> set[str]:
    return {name for name, one in sessions.items() if (await read(store, one)).ending is None}


@pytest.mark.parametrize("spared", [None, "b1"])
async def test_one_event_ends_all_sessions_of_an_account_but_the_spared_one(
    store: Store, spared: str | None
) -> None:
    sessions = await company(store)
    committed = await store.commit(end_account(sessions[spared] if spared else None))
    (event,) = committed.events
    assert (event.kind, event.account_id, event.user_id) == ("account_ended", ADA.account_id, None)
    assert (event.reason, event.actor, event.at) == ("terminated_by_admin", ADMIN, LATER)
    assert event.ended == 7  # as it was given
    assert event.spared == (sessions[spared].id if spared else None)
    assert await alive(store, sessions) == {"cy", *([spared] if spared else [])}
    ending = (await read(store, sessions["a1"])).ending
    assert ending is not None
    assert (ending.seq, ending.reason) == (event.position.seq, "terminated_by_admin")


async def parts(
    store: Store, spared: SessionId | None = None, account: AccountId = ADA.account_id
) -> list[int]:
    """Count an account's sessions: what each part has."""
    found, after = [], None
    while True:
        part = await store.count_account_sessions(account, spared, POLICY, START, after)
        found.append(part.number)
        if part.next is None:
            return found
        assert part.next > (after or "")
        after = part.next


async def test_an_account_s_living_sessions_are_counted_but_the_spared_one(store: Store) -> None:
    async def count(spared: SessionId | None = None) -> int:
        return sum(await parts(store, spared))

    sessions = await company(store)
    run_out = START - timedelta(days=2)
    await begin(store, "old", at=run_out)
    assert (await count(), await count(sessions["b1"].id)) == (4, 3)
    assert await count(sessions["cy"].id) == 4
    await store.commit(end(sessions["a1"]))
    await store.commit(end_user(user=BOB))
    assert await count() == 1
    await store.commit(end_account())
    assert await count() == 0


async def test_no_other_account_s_sessions_are_counted(store: Store) -> None:
    await company(store)
    for account, number in (("acme", 4), ("other", 1), ("nobody", 0), ("", 0)):
        assert await parts(store, account=AccountId(f"a_{account}")) == [number]


@pytest.mark.parametrize(
    ("most_users", "most_sessions", "expected"),
    [
        (100, 50_000, [5]),
        (3, 50_000, [4, 1]),
        (1, 50_000, [2, 2, 0, 1, 0]),
        (100, 7, [5]),
        (100, 6, [4, 1]),
        (100, 5, [4, 1]),  # nobody's sessions are in two parts
        (100, 4, [2, 2, 1]),
        (100, 3, [2, 2, 1]),
        (2, 3, [2, 2, 1, 0]),
    ],
)
async def test_the_parts_have_everybody_s_sessions_once(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    most_users: int,
    most_sessions: int,
    expected: list[int],
) -> None:
    """Of Ada two, of Bob two, of Carl none, of Dora one, and of another account one."""
    await company(store)
    dora = a_user("dora")
    await store.commit(base.AddUser(a_user("carl"), None), base.AddUser(dora, None))
    await begin(store, "d", user=dora)
    monkeypatch.setattr(counting, "USERS", most_users)
    monkeypatch.setattr(counting, "SESSIONS", most_sessions)
    assert await parts(store) == expected


async def test_of_one_user_not_more_sessions_are_looked_at_than_a_part_may(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are active or not: those that are over take as long."""
    sessions = await company(store)
    monkeypatch.setattr(counting, "SESSIONS", 1)
    assert await parts(store) == [1, 1, 0]
    await store.commit(end(sessions["a1"]), end(sessions["a2"]))
    assert await parts(store) == [0, 1, 0]


async def test_a_sign_in_under_way_is_ended_at_birth_by_its_account_s_logout(
    store: Store,
) -> None:
    """Rule 3, also for somebody whose session is not the spared one."""
    spared = await begin(store)
    position = (await store.log_end()).position
    await store.commit(end_account(spared))
    late = base.Begin(a_session("late", begun=position), SignIn(None, {}, None), START)
    await loses(store, late)
    await begin(store, "fresh")


async def test_a_second_exception_never_lifts_an_earlier_event(store: Store) -> None:
    sessions = await company(store)
    await store.commit(end_account(sessions["a1"]))
    await loses(store, end_account(sessions["b1"]))
    await store.commit(end_account(sessions["a1"]))
    await store.commit(end_user(user=ADA))
    await loses(store, end_account(sessions["a1"]))
    assert await alive(store, sessions) == {"cy"}
    fresh = await begin(store, "fresh")
    await store.commit(end_account(fresh))
    assert await alive(store, {**sessions, "fresh": fresh}) == {"cy", "fresh"}


async def test_no_account_and_no_actor_end_nothing(store: Store) -> None:
    sessions = await company(store)
    await loses(store, end_account(account=AccountId("a_nobody")))
    await store.commit(end(sessions["b1"]))
    await loses(store, end_account(), actor=sessions["b1"].id)
    assert await alive(store, sessions) == {"a1", "a2", "b2", "cy"}


async def test_two_who_spare_themselves_at_once_are_not_both_in(store: Store, other: Store) -> None:
    sessions = await company(store)
    results = await asyncio.gather(
        store.commit(end_account(sessions["a1"])),
        other.commit(end_account(sessions["b1"])),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in results) == ["Committed", "LostRace"]
    assert len(await alive(store, sessions) - {"cy"}) == 1


async def test_what_is_refused_in_part_is_refused_whole(store: Store) -> None:
    """A name, a role and a status are one change."""
    await store.commit(set_role("owner", "member"))
    await leaves_no_owner(
        store, base.SetName(ADA.id, "Else"), set_role("member", "owner"), end_account()
    )
    before = await everything(store)
    with pytest.raises(LostRace):
        await store.commit(
            base.SetName(ADA.id, "Else"), base.SetStatus(ADA.id, "active"), end_user()
        )
    assert await everything(store) == before
    assert SYSTEM not in [event.actor for event in (await log(store))[1:]]
