"""Counting attempts in a store."""

import asyncio
from datetime import timedelta

import pytest

from lastcall.errors import RateLimited
from lastcall.limits import Limit, Slot
from lastcall.sessions.model import SignIn
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.support.backends import Backend
from tests.support.fakes import START
from tests.support.values import a_session, a_user

THREE = Limit("three", 3, timedelta(seconds=30))
MANY = Limit("many", 50, timedelta(seconds=50))
SLOT = Slot(THREE, 7)


async def left(store: Store, slot: Slot) -> int:
    """Take all that a slot has, and tell how many there were."""
    for taken in range(1000):
        try:
            await store.commit(base.Take((slot,), START))
        except RateLimited:
            return taken
    raise AssertionError("there is no limit")


async def test_a_slot_has_as_many_attempts_as_its_limit_and_slots_count_apart(store: Store) -> None:
    assert await left(store, SLOT) == 3
    assert await left(store, Slot(THREE, 8)) == 3
    assert await left(store, Slot(MANY, 7)) == 50


async def test_what_was_counted_is_counted_after_a_restart(store: Store, backend: Backend) -> None:
    await store.commit(base.Take((SLOT, SLOT), START))
    await store.close()
    again = backend.open()
    assert await left(again, SLOT) == 1
    await again.close()


async def test_where_one_slot_is_used_up_none_is_counted(store: Store) -> None:
    assert await left(store, SLOT) == 3
    other = Slot(MANY, 1)
    for slots in ((other, SLOT), (SLOT, other)):
        with pytest.raises(RateLimited) as refused:
            await store.commit(base.Take(slots, START))
        assert refused.value.retry_after == 10
    assert await left(store, other) == 50


async def test_what_is_given_back_can_be_taken_again_and_no_more(store: Store) -> None:
    assert await left(store, SLOT) == 3
    await store.commit(base.GiveBack((SLOT,), START))
    assert await left(store, SLOT) == 1
    for _ in range(9):
        await store.commit(base.GiveBack((SLOT, Slot(MANY, 9)), START))
    assert await left(store, SLOT) == 3
    assert await left(store, Slot(MANY, 9)) == 50


async def test_a_burst_from_two_processes_takes_exactly_what_there_is(
    store: Store, other: Store
) -> None:
    slot = Slot(MANY, 3)
    tries = [one.commit(base.Take((slot,), START)) for one in (store, other) * 200]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
    assert len(outcomes) - len(refused) == 50
    assert len(refused) == 350


async def test_a_user_is_recognised_in_the_browsers_in_which_they_have_signed_in(
    store: Store,
) -> None:
    bob = a_user("bob")
    await store.commit(base.AddUser(bob, None))
    position = (await store.log_end()).position
    for name, user, device in (
        ("one", a_user(), b"laptop"),
        ("two", bob, b"shared"),
        ("three", a_user(), b"shared"),
        ("four", a_user(), None),
    ):
        session = a_session(name, user, begun=position)
        await store.commit(base.Begin(session, SignIn("agent", {}, None, device), None))
    known = {
        (email, device): await store.recognises(email, device)
        for email in ("ada@example.com", "bob@example.com", "eve@example.com", "")
        for device in (b"laptop", b"shared", b"other", b"")
    }
    assert {pair for pair, yes in known.items() if yes} == {
        ("ada@example.com", b"laptop"),
        ("ada@example.com", b"shared"),
        ("bob@example.com", b"shared"),
    }
