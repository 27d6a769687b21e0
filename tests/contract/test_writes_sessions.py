"""What is written of a session and its endings; where a guard no longer holds, nothing changes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lastcall.errors import LostRace
from lastcall.events import Timeline
from lastcall.ids import AccountId, SessionId
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.contract.writes import ADA, BOB, LATER, SEEN, begin, end, end_user, loses, read
from tests.support.fakes import START
from tests.support.values import ADMIN, POLICY, a_session, a_user, an_account, rotated

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
