"""What each write does, and what it rests on: where a guard no longer holds, nothing is changed."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lastcall.errors import Conflict, LostRace
from lastcall.events import SYSTEM, Actor, Event, Timeline
from lastcall.identity.model import ServiceKey, SingleUse
from lastcall.ids import AccountId, KeyId, SessionId, UserId
from lastcall.keys import StoredKey
from lastcall.sessions.model import Session, SignIn
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.support.fakes import START
from tests.support.values import POLICY, a_session, a_user, an_account, everybody, hashed, rotated

ADA = a_user()
BOB = a_user("bob")
SEEN = SignIn("agent", {"a": "b"}, "192.0.2.1", b"device")
LATER = START + timedelta(minutes=5)
ADMIN = Actor("admin", "u_admin", "Grace")


async def begin(store: Store, name: str = "one", **changes: Any) -> Session:  # noqa: ANN401
    """Begin a session of Ada's now."""
    position = (await store.log_end()).position
    session = a_session(name, begun=position, **changes)
    await store.commit(base.Begin(session, SEEN, START))
    return session


async def read(store: Store, session: Session) -> Session:
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
    return base.EndSession(session.id, session.user_id, session.account_id, reason, ADMIN, LATER)


def end_user(spared: Session | None = None, user: Any = ADA) -> base.EndUser:  # noqa: ANN401
    return base.EndUser(
        user.id,
        user.account_id,
        spared.id if spared else None,
        "terminated_by_user",
        ADMIN,
        LATER,
        POLICY,
    )


# Beginning


async def test_a_session_is_read_as_it_began_with_its_user_and_the_log_s_end(
    store: Store, other: Store
) -> None:
    session = await begin(store)
    found = await other.find_session(session.id)
    assert found == base.Found(session, ADA, await store.log_end(), recorded=0)


async def test_a_session_that_is_not_there_is_none(store: Store) -> None:
    for session_id in ("s_c1_nobody", "", "' OR 1=1 --", "\0"):
        assert await store.find_session(SessionId(session_id)) is None


async def test_a_session_begins_only_while_its_password_is_the_one_that_was_verified(
    store: Store,
) -> None:
    position = (await store.log_end()).position
    session = a_session(begun=position)
    await store.commit(base.SetPassword(ADA.id, "new", LATER, START))
    await loses(store, base.Begin(session, SEEN, START))
    await store.commit(base.Begin(session, SEEN, LATER))


async def test_a_user_who_was_not_proved_by_a_password_needs_none(store: Store) -> None:
    await store.commit(base.SetPassword(ADA.id, "new", LATER, START))
    position = (await store.log_end()).position
    await store.commit(base.Begin(a_session(begun=position), SEEN, None))


async def test_a_session_of_a_suspended_user_does_not_begin(store: Store) -> None:
    await store.commit(base.SetStatus(ADA.id, "suspended"))
    position = (await store.log_end()).position
    await loses(store, base.Begin(a_session(begun=position), SEEN, START))


async def test_a_session_of_no_user_or_of_another_account_s_does_not_begin(store: Store) -> None:
    await store.commit(base.AddAccount(an_account("other")))
    position = (await store.log_end()).position
    nobody = a_session(user=a_user("nobody"), begun=position)
    await loses(store, base.Begin(nobody, SEEN, None))
    stray = a_session(user=replace(ADA, account_id=AccountId("a_other")), begun=position)
    await loses(store, base.Begin(stray, SEEN, None))


async def test_a_session_whose_sign_in_began_before_an_ending_is_ended_at_its_birth(
    store: Store,
) -> None:
    start = (await store.log_end()).position
    await store.commit(end_user())
    await loses(store, base.Begin(a_session(begun=start), SEEN, START))
    at_the_ending = (await store.log_end()).position
    await store.commit(base.Begin(a_session(begun=at_the_ending), SEEN, START))
    assert (await read(store, a_session())).ending is None


async def test_an_ending_that_spared_somebody_spares_no_sign_in_under_way(store: Store) -> None:
    spared = await begin(store)
    start = (await store.log_end()).position
    await store.commit(end_user(spared))
    await loses(store, base.Begin(a_session("two", begun=start), SEEN, START))


async def test_a_sign_in_whose_start_the_log_does_not_contain_starts_again(store: Store) -> None:
    """instant-logout, rule 3: of another epoch or timeline, or after the log's end."""
    position = (await store.log_end()).position
    for elsewhere in (
        position._replace(epoch="another-----"),
        position._replace(timeline=Timeline(7, "another")),
        position._replace(timeline=Timeline(position.timeline.number, "its twin")),
        position._replace(seq=position.seq + 1),
    ):
        await loses(store, base.Begin(a_session(begun=elsewhere), SEEN, START))


# Rotating


async def test_a_rotation_writes_all_that_a_refresh_changes(store: Store) -> None:
    session = await begin(store)
    after = replace(
        rotated(session),
        ip="198.51.100.7",
        amr=("pwd", "otp"),
        auth_time=LATER,
        absolute_expires_at=LATER + POLICY.absolute_lifetime,
    )
    committed = await store.commit(base.Rotate(after))
    assert await read(store, session) == after
    assert committed.events == ()
    assert committed.position == (await store.log_end()).position


async def test_of_two_rotations_of_one_generation_one_holds(store: Store) -> None:
    session = await begin(store)
    first = rotated(session, name="first")
    await store.commit(base.Rotate(first))
    await loses(store, base.Rotate(rotated(session, name="second")))
    assert await read(store, session) == first


async def test_a_generation_is_never_skipped(store: Store) -> None:
    session = await begin(store)
    await loses(store, base.Rotate(rotated(rotated(session))))


@pytest.mark.parametrize("how", ["itself", "its user", "its user but another", "suspension"])
async def test_nothing_goes_on_for_an_ended_session(store: Store, how: str) -> None:
    session, second = await begin(store), await begin(store, "two")
    await store.commit(base.Rotate(rotated(session)))
    match how:
        case "itself":
            await store.commit(end(session))
        case "its user":
            await store.commit(end_user())
        case "its user but another":
            await store.commit(end_user(second))
        case _:
            await store.commit(base.SetStatus(ADA.id, "suspended"))
    await loses(store, base.Rotate(rotated(rotated(session))))
    await loses(store, base.CountRepeat(session.id, 2, 100))
    await loses(store, end(session))
    await loses(store, end_user(session))
    await loses(store, base.AddAccount(an_account("more")), actor=session.id)


async def test_a_spared_session_goes_on(store: Store) -> None:
    session = await begin(store)
    await store.commit(end_user(session))
    await store.commit(base.Rotate(rotated(session)), actor=session.id)
    await store.commit(base.CountRepeat(session.id, 2, 100))
    await store.commit(end_user(session))
    assert (await read(store, session)).ending is None


async def test_a_repeat_counts_up_to_the_limit_for_its_own_generation(store: Store) -> None:
    session = await begin(store)
    await store.commit(base.Rotate(rotated(session)))
    await store.commit(base.CountRepeat(session.id, 2, 2))
    await store.commit(base.CountRepeat(session.id, 2, 2))
    await loses(store, base.CountRepeat(session.id, 2, 2))
    await loses(store, base.CountRepeat(session.id, 1, 9))
    await loses(store, base.CountRepeat(session.id, 3, 9))
    await loses(store, base.CountRepeat(SessionId("s_nobody"), 1, 9))
    assert (await read(store, session)).lineage.repeats == 2
    await store.commit(base.Rotate(rotated(await read(store, session))))
    assert (await read(store, session)).lineage.repeats == 0


async def test_a_stale_session_remembers_the_place_of_its_event(store: Store) -> None:
    session = await begin(store)
    mark = base.MarkStale(session.id, session.account_id, session.user_id, LATER)
    committed = await store.commit(mark)
    (event,) = committed.events
    assert (event.kind, event.session_id, event.at) == ("session_stale", session.id, LATER)
    assert (await read(store, session)).stale_seq == event.position.seq
    await loses(store, replace(mark, session_id=SessionId("s_nobody")))


# Ending


async def test_an_ending_and_its_event_are_one_commit(store: Store, other: Store) -> None:
    session = await begin(store)
    committed = await store.commit(end(session))
    (event,) = committed.events
    assert committed.position == event.position == (await other.log_end()).position
    assert await other.find_event(event.position.seq) == event
    assert (event.kind, event.session_id, event.user_id) == (
        "session_ended",
        session.id,
        session.user_id,
    )
    assert (event.reason, event.actor, event.at, event.ended) == (
        "terminated_by_admin",
        ADMIN,
        LATER,
        1,
    )
    ending = (await read(other, session)).ending
    assert ending is not None
    assert (ending.reason, ending.at, ending.by, ending.seq) == (
        event.reason,
        LATER,
        ADMIN,
        event.position.seq,
    )


async def test_a_session_ends_once(store: Store) -> None:
    session = await begin(store)
    await store.commit(end(session))
    await loses(store, end(session, "signed_out"))


async def test_ending_a_session_that_the_store_does_not_know_appends_the_event(
    store: Store,
) -> None:
    unknown = a_session("unknown", user=a_user("unknown"))
    committed = await store.commit(end(unknown))
    (event,) = committed.events
    assert (event.session_id, event.reason) == (unknown.id, "terminated_by_admin")
    assert await store.find_session(unknown.id) is None


async def test_one_event_ends_all_sessions_of_a_user_but_the_spared_and_counts_them(
    store: Store,
) -> None:
    await store.commit(base.AddUser(BOB, None))
    mine = [await begin(store, name) for name in ("one", "two", "three")]
    await store.commit(end(mine[2]))
    bobs = await begin(store, "bob", user=BOB)
    committed = await store.commit(end_user(mine[0]))
    (event,) = committed.events
    assert (event.kind, event.ended, event.spared) == ("user_ended", 1, mine[0].id)
    endings = [(await read(store, session)).ending for session in mine]
    assert endings[0] is None
    assert endings[1] is not None
    assert endings[1].seq == event.position.seq
    assert endings[2] is not None
    assert endings[2].seq == event.position.seq - 1
    assert (await read(store, bobs)).ending is None


async def test_a_count_leaves_out_what_had_run_out(store: Store) -> None:
    await begin(store, "old", at=START - timedelta(days=2))
    await begin(store, "new")
    committed = await store.commit(end_user())
    assert committed.events[0].ended == 1


async def test_suspending_and_ending_in_one_commit_counts_the_sessions_that_it_ends(
    store: Store,
) -> None:
    await begin(store)
    committed = await store.commit(base.SetStatus(ADA.id, "suspended"), end_user())
    assert committed.events[0].ended == 1


async def test_the_first_event_that_covers_a_session_is_its_ending(store: Store) -> None:
    first, second = await begin(store), await begin(store, "two")
    one = (await store.commit(end_user(first))).position.seq
    third = await begin(store, "three")
    two = (await store.commit(end_user(third))).position.seq
    await store.commit(end_user())
    endings = [(await read(store, session)).ending for session in (first, second, third)]
    assert [ending.seq if ending else None for ending in endings] == [two, one, two + 1]


async def test_a_second_exception_lifts_nothing_in_one_commit_either(store: Store) -> None:
    """Terminations that share a transaction are checked one after the other."""
    first, second = await begin(store), await begin(store, "two")
    await loses(store, end_user(first), end_user(second))
    assert (await read(store, second)).ending is None


async def test_a_user_s_ending_needs_its_user(store: Store) -> None:
    await loses(store, end_user(user=a_user("nobody")))


async def test_a_spared_session_of_somebody_else_spares_nobody_of_the_user(store: Store) -> None:
    await store.commit(base.AddUser(BOB, None))
    mine, bobs = await begin(store), await begin(store, "bob", user=BOB)
    try:
        await store.commit(end_user(bobs))
    except LostRace:
        assert (await read(store, mine)).ending is None
    else:
        assert (await read(store, mine)).ending is not None
    assert (await read(store, bobs)).ending is None


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


# Accounts, users and what proves them


async def test_names_addresses_and_external_ids_are_unique(store: Store) -> None:
    await store.commit(base.AddAccount(an_account("more")))
    clashes: list[base.Write] = [
        base.AddAccount(replace(an_account("acme"), id=AccountId("a_twin"))),
        base.AddUser(replace(BOB, email_key=ADA.email_key), None),
        base.AddUser(replace(a_user("eve", "more"), email_key=ADA.email_key), None),
    ]
    external = replace(BOB, email_key=None, external_id="42", password_changed_at=None)
    await store.commit(base.AddUser(external, None))
    clashes.append(base.AddUser(replace(external, id=UserId("u_twin")), None))
    for write in clashes:
        with pytest.raises(Conflict):
            await store.commit(write)
    same_id = replace(external, id=UserId("u_other"), account_id=AccountId("a_more"))
    await store.commit(base.AddUser(same_id, None))


async def test_an_account_gets_one_first_owner(store: Store) -> None:
    eve = a_user("eve", role="owner")
    await loses(store, base.AddUser(eve, None, owned=True))
    await store.commit(base.AddUser(eve, None, owned=False))
    await loses(store, base.AddUser(BOB, None, owned=False))
    await store.commit(base.AddUser(BOB, None, owned=True))


async def test_a_password_is_set_only_over_the_one_that_was_read(store: Store) -> None:
    await loses(store, base.SetPassword(ADA.id, "new", LATER, None))
    await loses(store, base.SetPassword(ADA.id, "new", LATER, LATER))
    await loses(store, base.SetPassword(UserId("u_nobody"), "new", LATER, None))
    await store.commit(base.SetPassword(ADA.id, "new", LATER, START))
    start = await store.password_hash(ADA.id)
    assert start is not None
    assert (start.password_hash, start.user.password_changed_at) == ("new", LATER)


async def test_a_first_password_is_set_only_where_there_is_none(store: Store) -> None:
    await store.commit(base.AddUser(replace(BOB, password_changed_at=None), None))
    await store.commit(base.SetPassword(BOB.id, "first", LATER, None))
    await loses(store, base.SetPassword(BOB.id, "second", LATER, None))


async def test_a_rehash_replaces_only_the_hash_that_was_verified(store: Store) -> None:
    await store.commit(base.Rehash(ADA.id, "another hash", "newer"))
    start = await store.password_hash(ADA.id)
    assert start is not None
    assert start.password_hash == "hash of Ada's password"
    await store.commit(base.Rehash(ADA.id, "hash of Ada's password", "newer"))
    start = await store.password_hash(ADA.id)
    assert start is not None
    assert (start.password_hash, start.user.password_changed_at) == ("newer", START)


async def test_a_status_changes_only_from_the_other_one(store: Store) -> None:
    await loses(store, base.SetStatus(ADA.id, "active"))
    await store.commit(base.SetStatus(ADA.id, "suspended"))
    await loses(store, base.SetStatus(ADA.id, "suspended"))
    await loses(store, base.SetStatus(UserId("u_nobody"), "active"))
    await store.commit(base.SetStatus(ADA.id, "active"))


async def test_a_sign_in_reads_the_user_the_hash_and_the_position(store: Store) -> None:
    start = await store.start_sign_in("ada@example.com")
    assert start == base.SignInStart(
        ADA, "hash of Ada's password", (await store.log_end()).position
    )
    for nobody in ("", "nobody@example.com", "ADA@example.com", "%", "' OR 1=1 --"):
        assert await store.start_sign_in(nobody) == await store.log_end()


async def test_a_user_without_an_address_is_found_by_no_address(store: Store) -> None:
    external = replace(BOB, email_key=None, external_id="42", password_changed_at=None)
    await store.commit(base.AddUser(external, None))
    assert isinstance(await store.start_sign_in(""), base.LogEnd)
    assert isinstance(await store.start_sign_in("bob@example.com"), base.LogEnd)
    assert await store.find_external_user(AccountId("a_acme"), "42") == external
    assert await store.find_external_user(AccountId("a_acme"), "") is None
    assert await store.find_external_user(AccountId("a_other"), "42") is None


async def test_lists_are_in_order_and_of_one_account(store: Store) -> None:
    await store.commit(base.AddAccount(an_account("zeta")), base.AddAccount(an_account("beta")))
    await store.commit(base.AddUser(a_user("zoe"), None), base.AddUser(BOB, None))
    await store.commit(base.AddUser(a_user("eve", "beta"), None))
    assert [account.name for account in await store.list_accounts()] == ["acme", "beta", "zeta"]
    users = await store.list_users(everybody(AccountId("a_acme")))
    assert [profile.user.id for profile in users] == ["u_zoe", "u_bob", "u_ada"]
    assert await store.find_user(BOB.id) == BOB
    assert await store.find_user(UserId("u_nobody")) is None
    assert await store.find_account(AccountId("a_beta")) == an_account("beta")
    assert await store.find_account(AccountId("a_nobody")) is None


def a_link(name: str = "one", **changes: Any) -> SingleUse:  # noqa: ANN401
    link = SingleUse(hashed(name), "invitation", ADA.id, START + timedelta(days=1))
    return replace(link, **changes)


async def test_a_link_is_used_once_in_time_and_for_its_purpose(store: Store) -> None:
    link = a_link()
    await store.commit(base.AddSingleUse(link))
    assert await store.find_single_use(link.secret_hash, "invitation", LATER) == link
    assert await store.find_single_use(link.secret_hash, "setup", LATER) is None
    assert await store.find_single_use(link.secret_hash, "invitation", link.expires_at) is None
    assert await store.find_single_use(b"", "invitation", LATER) is None
    await loses(store, base.UseUp(link.secret_hash, "setup", LATER))
    await loses(store, base.UseUp(link.secret_hash, "invitation", link.expires_at))
    await loses(store, base.UseUp(hashed("other"), "invitation", LATER))
    await store.commit(base.UseUp(link.secret_hash, "invitation", LATER))
    assert await store.find_single_use(link.secret_hash, "invitation", LATER) is None
    await loses(store, base.UseUp(link.secret_hash, "invitation", LATER))


async def test_a_newer_link_replaces_the_unused_of_its_user_and_purpose(store: Store) -> None:
    await store.commit(base.AddUser(BOB, None))
    setup = a_link("setup", purpose="setup", user_id=None)
    bobs = a_link("bob", user_id=BOB.id)
    for link in (a_link("older"), bobs, setup, a_link("newer")):
        await store.commit(base.AddSingleUse(link))
    assert await store.find_single_use(hashed("older"), "invitation", LATER) is None
    for name, purpose in [("newer", "invitation"), ("bob", "invitation"), ("setup", "setup")]:
        assert await store.find_single_use(hashed(name), purpose, LATER)  # type: ignore[arg-type]
    await store.commit(base.AddSingleUse(replace(setup, secret_hash=hashed("setup again"))))
    assert await store.find_single_use(hashed("setup"), "setup", LATER) is None


async def test_a_service_key_is_in_force_until_its_own_account_revokes_it(store: Store) -> None:
    key = ServiceKey(
        KeyId("k_one"), AccountId("a_acme"), "app", ("sessions", "verify"), b"hash", START
    )
    later = replace(key, id=KeyId("k_two"))
    await store.commit(base.AddServiceKey(later), base.AddServiceKey(key))
    assert await store.find_service_key(key.id) == key
    assert await store.list_service_keys(AccountId("a_acme")) == (key, later)
    assert await store.list_service_keys(AccountId("a_other")) == ()
    assert await store.list_service_keys(AccountId("a_acme"), limit=1) == (key,)
    assert await store.list_service_keys(AccountId("a_acme"), key.id, 1) == (later,)
    assert await store.list_service_keys(AccountId("a_acme"), later.id) == ()
    await loses(store, base.RevokeServiceKey(key.id, AccountId("a_other"), LATER))
    await loses(store, base.RevokeServiceKey(KeyId("k_no"), AccountId("a_acme"), LATER))
    await store.commit(base.RevokeServiceKey(key.id, AccountId("a_acme"), LATER))
    await loses(store, base.RevokeServiceKey(key.id, AccountId("a_acme"), LATER))
    assert await store.find_service_key(key.id) is None
    assert await store.list_service_keys(AccountId("a_acme")) == (later,)


# Signing keys and the installation


def a_key(name: str, minutes: int = 0) -> StoredKey:
    at = START + timedelta(minutes=minutes)
    return StoredKey(name, at, at, f"sealed {name}".encode())


def told(committed: base.Committed) -> list[object]:
    """What a commit's events say of keys."""
    return [(event.kind, event.at, event.key_id) for event in committed.events]


async def test_a_signing_key_follows_the_one_that_was_the_newest_with_its_event(
    store: Store,
) -> None:
    committed = await store.commit(base.PublishKey(a_key("one"), None))
    assert told(committed) == [("key_published", START, "one")]
    assert await store.find_event(committed.position.seq) == committed.events[0]
    await loses(store, base.PublishKey(a_key("two", 1), None))
    await store.commit(base.PublishKey(a_key("two", 1), "one"))
    await loses(store, base.PublishKey(a_key("three", 2), "one"))
    assert set(await store.signing_keys()) == {a_key("one"), a_key("two", 1)}
    committed = await store.commit(base.DropKeys(("one", "unknown"), LATER))
    assert told(committed) == [("key_revoked", LATER, "one")]
    assert await store.find_event(committed.position.seq) == committed.events[0]
    assert await store.signing_keys() == (a_key("two", 1),)


async def test_of_several_that_drop_a_key_one_appends_its_event(store: Store, other: Store) -> None:
    await store.commit(base.PublishKey(a_key("one"), None))
    await store.commit(base.PublishKey(a_key("two", 1), "one"))
    drops = [one.commit(base.DropKeys(("one",), LATER)) for one in (store, other) * 4]
    events = [event for one in await asyncio.gather(*drops) for event in told(one)]
    assert events == [("key_revoked", LATER, "one")]


async def test_the_issuer_is_named_once(store: Store) -> None:
    assert (await store.installation()).issuer is None
    await store.commit(base.SetIssuer("https://first"))
    await store.commit(base.SetIssuer("https://second"))
    born = await store.installation()
    assert (born.issuer, born.cell) == ("https://first", "c1")


async def test_the_log_begins_with_the_event_that_opens_its_timeline(store: Store) -> None:
    first = await store.find_event(1)
    assert first is not None
    assert (first.kind, first.actor) == ("timeline_opened", SYSTEM)
    assert first.position == (await store.log_end()).position
    assert (await store.log_end()).floor == 0
    assert await store.find_event(0) is None
    assert await store.find_event(2) is None
