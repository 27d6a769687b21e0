"""On PostgreSQL: who reads on in the audit log misses no record, though numbers are given before
their records can be seen, and some never come."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection

from lastcall.ids import SessionId, UserId
from lastcall.stores import records
from lastcall.stores.base import Change, Changes, Store
from lastcall.stores.postgres.store import PostgresStore
from lastcall.stores.records import read_on
from lastcall.stores.rows import Row
from tests.contract.test_records import a_record, add
from tests.contract.writes import ADA, begin
from tests.support.backends import Backend
from tests.support.held import raw

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

TAKE = (
    "BEGIN; INSERT INTO audit (at, type, outcome, account_id, user_id, actor_kind)"
    " VALUES (1, 'user.logout', 'success', 'a_acme', 'u_late', 'system')"
)


def concerned(*names: str) -> tuple[Change, ...]:
    return tuple(Change("user.logout", ADA.account_id, UserId(name)) for name in names)


async def record(store: Store, name: str) -> None:
    await add(store, a_record(user_id=UserId(name)))


async def recorded(store: Store) -> tuple[int, int]:
    """From where somebody would read on, by each way to learn that."""
    found = await store.find_session(SessionId("s_c1_one"))
    assert found is not None
    return (await store.changes(None)).number, found.recorded


async def test_a_record_whose_number_is_smaller_than_those_that_can_be_seen_is_waited_for(
    store: Store, other: Store, backend: Backend
) -> None:
    await begin(store)
    await record(store, "u_1")
    async with raw(backend.url) as late:
        await late.execute(TAKE)
        for name in ("u_3", "u_4"):
            await record(store, name)
        for one in (store, other) * 3:
            assert await one.changes(0) == Changes(1, concerned("u_1"))
            assert await one.changes(1) == Changes(1, ())
            assert await recorded(one) == (1, 1)
        await late.execute("COMMIT")
    for one in (store, other):
        assert await one.changes(1) == Changes(4, concerned("u_late", "u_3", "u_4"))
        assert await recorded(one) == (4, 4)


async def test_a_number_that_is_given_back_is_waited_for_no_longer(
    store: Store, backend: Backend
) -> None:
    """Whoever inserts at some time or other holds up nobody: a gap is waited for because of those
    who were there when it was seen first."""
    async with raw(backend.url) as gone, raw(backend.url) as late:
        await gone.execute(TAKE)
        await record(store, "u_2")
        assert await store.changes(0) == Changes(0, ())
        await late.execute(TAKE)
        await record(store, "u_4")
        assert await store.changes(0) == Changes(0, ())
        await gone.execute("ROLLBACK")
        assert await store.changes(0) == Changes(2, concerned("u_2"))
        assert await store.changes(2) == Changes(2, ())
        await late.execute("COMMIT")
        assert await store.changes(2) == Changes(4, concerned("u_late", "u_4"))
        await record(store, "u_5")
        assert await store.changes(4) == Changes(5, concerned("u_5"))


async def give_back(backend: Backend) -> None:
    """Take a number, of which no record comes."""
    async with raw(backend.url) as gone:
        await gone.execute(f"{TAKE}; ROLLBACK")


async def test_those_who_look_at_once_wait_for_the_same(
    store: Store, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another one has learned since one looked who inserts says nothing to that one."""
    assert isinstance(store, PostgresStore)
    gaps, others = store._gaps, [True]  # noqa: SLF001

    def read(db: Connection, after: int) -> Sequence[Row]:
        if others and others.pop():
            assert gaps.changes(db, after) == Changes(0, ())
        return read_on(db, after)

    async with raw(backend.url) as late:
        await late.execute(TAKE)
        await record(store, "u_2")
        monkeypatch.setattr(records, "read_on", read)
        assert await store.changes(0) == Changes(0, ())


async def test_a_gap_that_somebody_has_passed_keeps_nobody_who_comes_later(
    store: Store, backend: Backend
) -> None:
    """A page that opens anew reads on from the last record that it knows, and once: what the
    others were told before, it would never be told."""
    await record(store, "u_1")
    await give_back(backend)
    await record(store, "u_3")
    assert await store.changes(0) == Changes(1, concerned("u_1"))
    assert await store.changes(1) == Changes(3, concerned("u_3"))
    assert await store.changes(0) == Changes(3, concerned("u_1", "u_3"))
    assert await store.changes(1) == Changes(3, concerned("u_3"))


async def test_who_reads_on_behind_a_gap_does_not_have_others_wait_anew(
    store: Store, backend: Backend
) -> None:
    await give_back(backend)
    await record(store, "u_2")
    assert await store.changes(0) == Changes(0, ())
    assert await store.changes(2) == Changes(2, ())
    assert await store.changes(0) == Changes(2, concerned("u_2"))
