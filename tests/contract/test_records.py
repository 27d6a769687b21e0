"""The audit log: what is written is read, in order, by each filter, and by who follows it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lastcall.audit import Origin, Outcome, Record, RecordType, Target
from lastcall.device.model import Device, Place
from lastcall.errors import LostRace
from lastcall.events import SYSTEM, Actor
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.stores import base
from lastcall.stores.base import CHANGES_MOST, Change, RecordQuery, Store
from tests.contract.writes import ADA, everything
from tests.support.fakes import START
from tests.support.values import ADMIN

MINUTE = timedelta(minutes=1)


def a_record(kind: RecordType = "user.logout", minutes: float = 0, **changes: Any) -> Record:  # noqa: ANN401
    record = Record(kind, START + minutes * MINUTE, ADA.account_id, ADA.id, ADMIN)
    return replace(record, **changes)


async def add(store: Store, *records: Record) -> None:
    for record in records:
        await store.commit(base.AddRecord(record))


async def numbers(store: Store, **wanted: Any) -> list[int]:  # noqa: ANN401
    query = RecordQuery(**wanted)
    found = [record.number for record in await store.list_records(query)]
    counted = await store.count_records(replace(query, before=None))
    assert counted == len(await store.list_records(replace(query, before=None, limit=1000)))
    return found


@pytest.mark.parametrize(
    "record",
    [
        Record("audit.purge", START, None, None),
        a_record(
            "session.reuse",
            account_id=AccountId("a_x"),
            actor=SYSTEM,
            target=Target("session", "s_c1_one", "Füße on \u202e Linux"),
            origin=Origin(
                SessionId("s_c1_one"),
                Device("desktop", "Linux", "6.1", "Firefox", "145"),
                Place("London", None, "United Kingdom", "GB"),
                "2001:db8::1",
            ),
            outcome="failure",
            reason="invalid_credentials",
        ),
        a_record(target=Target("user", "u_x")),
    ],
    ids=["least", "most", "unnamed"],
)
async def test_a_record_is_read_as_it_was_written(
    store: Store, other: Store, record: Record
) -> None:
    await add(store, record)
    assert await other.list_records(RecordQuery()) == (replace(record, number=1),)


async def test_a_record_stands_or_falls_with_what_it_tells(store: Store) -> None:
    before = await everything(store)
    for writes in (
        (base.AddRecord(a_record()), base.SetStatus(ADA.id, "active")),
        (base.SetName(ADA.id, "x"), base.AddRecord(a_record()), base.SetStatus(ADA.id, "active")),
    ):
        with pytest.raises(LostRace):
            await store.commit(*writes)
    assert await everything(store) == before
    assert await store.list_records(RecordQuery()) == ()


async def test_records_are_listed_newest_first_in_pages_without_gap_or_repeat(
    store: Store,
) -> None:
    """In the order in which they were written, whatever their clocks said."""
    await add(store, *(a_record(minutes=-turn % 3) for turn in range(7)))
    paged: list[int] = []
    before = None
    while page := await numbers(store, limit=3, before=before):
        paged += page
        before = page[-1]
    assert paged == [7, 6, 5, 4, 3, 2, 1]


async def test_each_filter_finds_what_it_says_and_all_together_what_all_say(
    store: Store,
) -> None:
    bob = UserId("u_bob")
    await add(
        store,
        a_record("user.suspend", 0),
        a_record("session.sign_in", 1, outcome="failure", reason="invalid_credentials"),
        a_record("session.reuse", 2, user_id=bob, actor=SYSTEM),
        a_record("user.add", 3, user_id=bob),
        a_record("user.add", 4, account_id=AccountId("a_other"), user_id=UserId("u_eve")),
        a_record("audit.purge", 5, account_id=None, user_id=None, actor=Actor("admin", bob)),
        a_record("session.report", 6, actor=Actor("user", ADA.id)),
    )
    outcome: Outcome = "failure"
    for wanted, found in (
        ({}, [7, 6, 5, 4, 3, 2, 1]),
        ({"account_id": ADA.account_id}, [7, 4, 3, 2, 1]),
        ({"user_id": bob}, [4, 3]),
        ({"types": ("user.add",)}, [5, 4]),
        ({"types": ("user.add", "user.suspend")}, [5, 4, 1]),
        ({"outcome": outcome}, [2]),
        ({"outcome": "success"}, [7, 6, 5, 4, 3, 1]),
        ({"unusual": True}, [7, 3, 2]),
        ({"people": (bob,)}, [6, 4, 3]),
        ({"people": (bob, "u_eve")}, [6, 5, 4, 3]),
        ({"people": ()}, []),
        ({"people": ("u_admin",)}, [5, 4, 2, 1]),
        ({"since": START + 3 * MINUTE}, [7, 6, 5, 4]),
        ({"until": START + 3 * MINUTE}, [3, 2, 1]),
        ({"since": START + MINUTE, "until": START + 4 * MINUTE}, [4, 3, 2]),
        ({"before": 4}, [3, 2, 1]),
        ({"limit": 2}, [7, 6]),
        ({"account_id": ADA.account_id, "people": (bob,), "types": ("user.add",)}, [4]),
        ({"user_id": bob, "outcome": outcome}, []),
        ({"account_id": AccountId("' OR 1=1 --")}, []),
    ):
        assert await numbers(store, **wanted) == found, wanted


# Following


async def test_who_follows_the_log_learns_whom_each_record_concerns_once(
    store: Store, other: Store
) -> None:
    assert await store.changes(None) == base.Changes(0, ())
    await add(store, a_record())
    start = await store.changes(None)
    assert start == base.Changes(1, ())
    assert await store.changes(1) == start
    await add(other, a_record("user.add", user_id=None), a_record("audit.purge", account_id=None))
    assert await store.changes(1) == base.Changes(
        3,
        (Change("user.add", ADA.account_id, None), Change("audit.purge", None, ADA.id)),
    )
    assert await store.changes(3) == base.Changes(3, ())


async def test_a_thousand_changes_come_at_once_and_the_rest_after(store: Store) -> None:
    more = 7
    await store.commit(*(base.AddRecord(a_record()) for _ in range(CHANGES_MOST + more)))
    first = await store.changes(0)
    assert (first.number, len(first.changes)) == (CHANGES_MOST, CHANGES_MOST)
    rest = await store.changes(first.number)
    assert (rest.number, len(rest.changes)) == (CHANGES_MOST + more, more)


# Sign-ins of nobody


async def test_sign_ins_of_nobody_are_counted_and_nothing_grows(store: Store, other: Store) -> None:
    before = await everything(store)
    assert await store.count_unknown_sign_ins() == 0
    for _ in range(3):
        await store.commit(base.CountUnknownSignIn())
        await other.commit(base.CountUnknownSignIn())
    assert await other.count_unknown_sign_ins() == 6
    assert await everything(store) == before
    assert await store.list_records(RecordQuery()) == ()
