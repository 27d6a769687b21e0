"""What an installation keeps of itself: its signing keys, its issuer, and how its log begins."""

import asyncio
from datetime import timedelta

from lastcall.events import SYSTEM
from lastcall.keys import StoredKey
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.contract.writes import LATER, loses
from tests.support.fakes import START


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
