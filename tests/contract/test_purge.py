"""What may be deleted for good, and what of it is a promise: whatever has ended stays ended."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from lastcall.audit import Record
from lastcall.errors import LostRace
from lastcall.events import SYSTEM
from lastcall.identity.model import ServiceKey, SingleUse
from lastcall.ids import KeyId
from lastcall.purge import KINDS
from lastcall.sessions import rules
from lastcall.sessions.model import Session, SignIn
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.contract.test_log import append
from tests.contract.writes import ADA, BOB, begin, end, end_user, everything, read
from tests.support.backends import Backend, ask, run
from tests.support.fakes import START, FakeEntropy
from tests.support.values import POLICY, a_session, a_user, an_account, hashed

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
LONG_AFTER = START + timedelta(days=1000)


async def over(
    store: Store, kind: base.PurgeKind, before: datetime = LONG_AFTER, limit: int = 500
) -> list[base.Key]:
    """Walk through a kind; give all that is over."""
    found: list[base.Key] = []
    after: base.Key | None = None
    while True:
        page = await store.over(base.PurgeQuery(kind, before, after, limit))
        found += page.keys
        if page.next is None:
            return found
        after = page.next


async def drop(store: Store, kind: base.PurgeKind, before: datetime = LONG_AFTER) -> list[base.Key]:
    """Delete all of a kind that is over."""
    keys = await over(store, kind, before)
    await store.commit(base.Drop(kind, tuple(keys), before))
    return keys


async def keeps(store: Store, drop: base.Drop, *sessions: Session) -> None:
    """It is refused as a race that was lost, and nothing is changed."""
    before = await everything(store, *sessions)
    with pytest.raises(LostRace):
        await store.commit(drop)
    assert await everything(store, *sessions) == before


def end_account(at: datetime = START, spared: Session | None = None) -> base.EndAccount:
    return base.EndAccount(
        ADA.account_id, spared.id if spared else None, "revoked", SYSTEM, at, ended=0
    )


# Sessions


@pytest.mark.parametrize("how", ["idle", "absolute", "alone", "with its user", "with its account"])
async def test_a_session_is_over_once_it_has_ended_before_the_moment_however(
    store: Store, how: str
) -> None:
    forever: dict[str, Any] = dict.fromkeys(("idle_expires_at", "absolute_expires_at"), LONG_AFTER)
    moment = START + DAY
    match how:
        case "idle":
            await begin(store, **{**forever, "idle_expires_at": moment})
        case "absolute":
            await begin(store, **{**forever, "absolute_expires_at": moment})
        case _:
            session = await begin(store, **forever)
            writes: dict[str, base.Write] = {
                "alone": replace(end(session), at=moment),
                "with its user": replace(end_user(), at=moment),
                "with its account": end_account(moment),
            }
            await store.commit(writes[how])
    assert await over(store, "sessions", moment) == []
    assert await over(store, "sessions", moment + TICK) == ["s_c1_one"]


async def test_only_the_first_ending_counts(store: Store) -> None:
    """A session whose user was logged out again later ended the first time."""
    await begin(store)
    await store.commit(replace(end_user(), at=START + TICK))
    await store.commit(replace(end_user(), at=START + 5 * DAY))
    assert await over(store, "sessions", START + DAY) == ["s_c1_one"]


async def test_a_session_that_lives_is_never_dropped(store: Store) -> None:
    lives, spared = await begin(store, "lives"), await begin(store, "spared")
    await store.commit(replace(end_user(spared), at=START))
    assert await over(store, "sessions", START + TICK) == [lives.id]
    await keeps(store, base.Drop("sessions", (spared.id,), START + TICK), lives, spared)
    await keeps(store, base.Drop("sessions", (lives.id, spared.id), START + TICK), lives, spared)


async def test_a_dropped_session_is_gone_with_the_evidence_of_its_beginning(
    store: Store, backend: Backend
) -> None:
    gone, stays = await begin(store, "gone"), await begin(store, "stays")
    await store.commit(end(gone))
    before = START + timedelta(minutes=6)
    assert await drop(store, "sessions", before) == [gone.id]
    assert await store.find_session(gone.id) is None
    assert (await read(store, stays)).ending is None
    assert ask(backend, "SELECT session_id FROM sign_ins") == [{"session_id": stays.id}]
    await keeps(store, base.Drop("sessions", (gone.id,), before), stays)


async def test_what_another_purge_has_dropped_is_not_dropped_twice(
    store: Store, other: Store
) -> None:
    one, two = await begin(store, "one"), await begin(store, "two")
    await other.commit(base.Drop("sessions", (one.id,), LONG_AFTER))
    await keeps(store, base.Drop("sessions", (one.id, two.id), LONG_AFTER), two)
    assert await over(store, "sessions") == [two.id]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_follow_each_other_and_stop_at_what_is_young(store: Store, limit: int) -> None:
    for number in range(7):
        await begin(store, f"n{number}", at=START + number * DAY)
    assert await over(store, "sessions", limit=limit) == [f"s_c1_n{number}" for number in range(7)]
    until = START + 4 * DAY + TICK
    whole = [f"s_c1_n{number}" for number in range(4)]
    assert await over(store, "sessions", until, limit=limit) == whole
    page = await store.over(base.PurgeQuery("sessions", until, limit=5))
    assert len(page.keys) == 4
    page = await store.over(base.PurgeQuery("sessions", START + 2 * DAY, limit=5))
    assert page.next is None


# Users, links, keys, records


async def test_a_removed_user_goes_with_their_last_session(store: Store, backend: Backend) -> None:
    await store.commit(base.AddUser(BOB, None))
    assert await over(store, "users") == []
    await begin(store)
    await store.commit(base.RemoveUser(ADA.id), end_user())
    assert await over(store, "users") == []
    await keeps(store, base.Drop("users", (ADA.id,), LONG_AFTER))
    await keeps(store, base.Drop("users", (BOB.id,), LONG_AFTER))
    await drop(store, "sessions")
    link = SingleUse(hashed("link"), "invitation", ADA.id, START)
    await store.commit(base.AddSingleUse(link))
    assert await drop(store, "users") == [ADA.id]
    assert ask(backend, "SELECT id FROM users") == [{"id": BOB.id}]
    assert ask(backend, "SELECT * FROM single_use") == []


async def test_links_go_once_they_were_used_or_ran_out_before(store: Store) -> None:
    await store.commit(base.AddUser(BOB, None))
    used = SingleUse(hashed("used"), "invitation", ADA.id, LONG_AFTER)
    late = SingleUse(hashed("late"), "invitation", BOB.id, START + DAY)
    open_ = SingleUse(hashed("open"), "setup", None, LONG_AFTER)
    await store.commit(*(base.AddSingleUse(link) for link in (used, late, open_)))
    await store.commit(base.UseUp(used.secret_hash, "invitation", START))
    assert await over(store, "links", START) == []
    assert await over(store, "links", START + TICK) == [used.secret_hash]
    assert set(await over(store, "links", START + DAY)) == {used.secret_hash}
    assert set(await drop(store, "links", START + DAY + TICK)) == {
        used.secret_hash,
        late.secret_hash,
    }
    await keeps(store, base.Drop("links", (open_.secret_hash,), START + DAY))
    assert await store.find_single_use(open_.secret_hash, "setup", START) is not None


async def test_service_keys_go_once_they_were_revoked_before(
    store: Store, backend: Backend
) -> None:
    """A session that was begun with one stays."""
    for name in ("old", "new", "used"):
        key = ServiceKey(KeyId(f"k_{name}"), ADA.account_id, name, (), hashed(name), START)
        await store.commit(base.AddServiceKey(key))
    client = replace(a_session().client, service_key=KeyId("k_old"))
    session = await begin(store, client=client)
    for name, at in (("old", START), ("new", START + DAY)):
        await store.commit(base.RevokeServiceKey(KeyId(f"k_{name}"), ADA.account_id, at))
    assert await drop(store, "keys", START + DAY) == ["k_old"]
    await keeps(store, base.Drop("keys", (KeyId("k_used"),), LONG_AFTER))
    left = ask(backend, "SELECT id FROM service_keys ORDER BY id")
    assert [row["id"] for row in left] == ["k_new", "k_used"]
    assert (await read(store, session)).client == client


async def test_records_go_by_their_age_and_a_number_is_never_given_twice(store: Store) -> None:
    records = [Record("user.add", START + day * DAY, ADA.account_id, ADA.id) for day in range(3)]
    for record in records:
        await store.commit(base.AddRecord(record))
    assert await drop(store, "records", START + DAY) == [1]
    await keeps(store, base.Drop("records", (2,), START + DAY))
    assert await drop(store, "records") == [2, 3]
    await store.commit(base.AddRecord(records[0]))
    (kept,) = await store.list_records(base.RecordQuery(ADA.account_id))
    assert kept.number == 4
    assert (await store.changes(3)).number == 4


async def test_nothing_to_drop_is_nothing(store: Store) -> None:
    before = await everything(store)
    for kind in KINDS:
        await store.commit(base.Drop(kind, (), LONG_AFTER))
    assert await everything(store) == before


# Events


async def test_events_go_that_no_kept_session_was_ended_by(store: Store) -> None:
    """Not the opening, and not the last one: a sign-in that is under way starts at it."""
    for turn in range(4):
        await store.commit(append(str(turn)))
    assert (await store.log_end()).floor == 0
    assert await drop(store, "events") == [2, 3, 4]
    assert [await store.find_event(seq) is not None for seq in range(1, 6)] == [
        True,
        False,
        False,
        False,
        True,
    ]
    end = await store.log_end()
    assert (end.floor, end.position.seq) == (4, 5)
    await begin(store)
    assert (await store.commit(append())).position.seq == 6


async def test_an_event_goes_only_once_the_next_one_is_old_too(store: Store) -> None:
    """Until then sign-ins have started at it, and access tokens were given from its position."""
    for days in (0, 1, 2):
        await store.commit(replace(append(str(days)), at=START + days * DAY))
    assert await over(store, "events", START + DAY) == []
    assert await over(store, "events", START + DAY + TICK) == [2]
    await keeps(store, base.Drop("events", (2,), START + DAY))
    await keeps(store, base.Drop("events", (1,), LONG_AFTER))
    await keeps(store, base.Drop("events", (4,), LONG_AFTER))


async def test_the_floor_rises_to_the_newest_that_was_dropped_and_never_falls(
    store: Store,
) -> None:
    for turn in range(6):
        await store.commit(append(str(turn)))
    await store.commit(base.Drop("events", (5, 4), LONG_AFTER))
    assert (await store.log_end()).floor == 5
    await store.commit(base.Drop("events", (2,), LONG_AFTER))
    assert (await store.log_end()).floor == 5


@pytest.mark.parametrize("how", ["alone", "with its user", "with its account"])
async def test_a_kept_session_that_was_ended_still_says_why(store: Store, how: str) -> None:
    session = await begin(store)
    writes: dict[str, base.Write] = {
        "alone": end(session),
        "with its user": end_user(),
        "with its account": end_account(),
    }
    ended = (await store.commit(writes[how])).position.seq
    await store.commit(append())
    await store.commit(append("last"))
    before = await store.find_session(session.id)
    await keeps(store, base.Drop("events", (ended,), LONG_AFTER), session)
    await drop(store, "events")
    after = await store.find_session(session.id)
    assert after is not None
    assert before is not None
    assert after.session == before.session
    assert after.session.ending is not None
    assert after.session.ending.seq == ended
    assert after.log.floor == ended + 1
    await drop(store, "sessions")
    assert await drop(store, "events") == [ended]
    assert (await store.log_end()).floor == ended + 1


async def test_whatever_happened_dropping_events_changes_no_session(store: Store) -> None:
    """A long random history of beginnings and endings of all kinds, with and without exception."""
    await store.commit(base.AddUser(BOB, None), base.AddAccount(an_account("other")))
    cy = a_user("cy", "other")
    await store.commit(base.AddUser(cy, None))
    dice = FakeEntropy("history")
    sessions: list[Session] = []
    for turn in range(160):
        choice, who, spare = dice(3)
        user = (ADA, BOB, cy)[who % 3]
        own = [one for one in sessions if one.user_id == user.id]
        spared = own[spare % len(own)] if own and spare % 2 else None
        write: base.Write
        if choice < 120 or not own:
            position = (await store.log_end()).position
            sessions.append(a_session(f"n{turn:03}", user, begun=position))
            write = base.Begin(sessions[-1], SignIn(None, {}, None), None)
        elif choice < 180:
            write = end(own[choice % len(own)])
        elif choice < 230:
            write = end_user(spared, user)
        else:
            write = replace(end_account(spared=spared), account_id=user.account_id)
        try:
            await store.commit(write)
        except LostRace:  # what is spared must live
            continue
    page = await store.over(base.PurgeQuery("sessions", START + DAY))
    old = {one.id for one in sessions[: len(sessions) // 2]}
    gone = tuple(key for key in page.keys if key in old)
    await store.commit(base.Drop("sessions", gone, START + DAY))
    before = [await store.find_session(one.id) for one in sessions]
    dropped = await drop(store, "events")
    after = [await store.find_session(one.id) for one in sessions]
    assert len(dropped) > 5
    assert {one.session.ending is None for one in before if one is not None} == {True, False}
    assert [one and one.session for one in before] == [one and one.session for one in after]


@pytest.mark.parametrize("how", ["alone", "with its user"])
async def test_an_ended_session_whose_event_is_lost_has_ended_all_the_same(
    store: Store, backend: Backend, how: str
) -> None:
    """Nothing loses it, but a database mended by hand: the store fails closed."""
    session = await begin(store)
    await store.commit(end(session) if how == "alone" else end_user())
    run(backend, "DELETE FROM events WHERE seq = 2")
    found = await read(store, session)
    assert found.ending is not None
    assert found.ending.reason == "revoked"
    assert rules.ending(found, POLICY, START) is not None
    query = base.SessionQuery(ADA.id, "ended", POLICY, START)
    assert [one.ending for one in await store.list_sessions(query)] == [found.ending]
