"""A connection to PostgreSQL on which nothing comes any more, and which stays open, as behind a
router that has forgotten it: it is given up in time, and so are those that are as old."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest

from lastcall.clock import system_entropy
from lastcall.errors import Unavailable
from lastcall.ids import NodeId
from lastcall.leases import margins
from lastcall.settings import Settings
from lastcall.stores import base
from lastcall.stores.base import Store
from lastcall.stores.postgres import connecting, hosts, lane, wakeups
from lastcall.stores.postgres import store as postgres_store
from lastcall.stores.postgres.store import PostgresStore
from tests.contract.test_log import append, appending
from tests.contract.test_postgres_failures import WAITS_AT_COMMIT
from tests.contract.test_postgres_wakeups import FOREVER, Bell
from tests.contract.test_refreshing import shows
from tests.contract.writes import begin
from tests.support.backends import Backend, run
from tests.support.held import PATIENCE, blocked, outcome, raw
from tests.support.rough_proxy import RoughProxy

pytestmark = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)

NODE: Final = NodeId("n_one")
SHORT: Final = 1.0
"""Seconds: no statement here waits for anything but what never comes."""
INSIDE: Final = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND state = 'idle in transaction'"
)

Act = Callable[[Store], Awaitable[object]]


@dataclass(frozen=True)
class Distant:
    """A store that reaches its database by a way on which things go wrong."""

    store: Store
    way: RoughProxy


@pytest.fixture
async def distant(backend: Backend) -> AsyncIterator[Distant]:
    address = urlsplit(backend.url)
    if address.hostname != "127.0.0.1":
        pytest.skip("the server of LASTCALL_TEST_PG_URL is reached in a way of its own")
    way = RoughProxy(address.port or 5432)
    await way.start()
    user = address.netloc.rpartition("@")[0]
    url = urlunsplit(address._replace(netloc=f"{user}@127.0.0.1:{way.port}"))
    made = PostgresStore(url, system_entropy)
    yield Distant(made, way)
    await way.close()  # first: whatever still waits for an answer waits no more
    await made.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for for long."""
    monkeypatch.setattr(postgres_store, "PROMPT_SECONDS", SHORT)
    monkeypatch.setattr(lane, "SECONDS", SHORT)
    monkeypatch.setattr(connecting, "END_SECONDS", SHORT)


async def renew(store: Store) -> None:
    await store.commit(base.RenewNode(NODE, (await store.log_end()).position))


ACTS: Final[dict[str, Act]] = {
    "a read": lambda store: store.list_accounts(),
    "a read of the log": lambda store: store.read_log(0),
    "a write": lambda store: store.commit(base.CountUnknownSignIn()),
    "an ending": lambda store: store.commit(append()),
    "a renewal": renew,
    "a probe": lambda store: store.ping(),
}


async def do(act: Act, store: Store) -> None:
    """Do it, again where it was not to be done in time, as on a busy machine."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(Unavailable):
                await act(store)
                return


async def use(store: Store) -> None:
    """Do each once, so that there is a connection for it."""
    for act in ACTS.values():
        await do(act, store)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", ACTS)
async def test_what_gets_no_answer_is_done_on_a_new_connection(
    store: Store, distant: Distant, name: str
) -> None:
    await store.commit(base.RegisterNode(NODE))
    await use(distant.store)
    distant.way.freeze()
    await do(ACTS[name], distant.store)


@pytest.mark.usefixtures("hasty")
async def test_a_refresh_that_gets_no_answer_is_of_unknown_outcome_and_may_be_repeated(
    store: Store, distant: Distant
) -> None:
    one, two = await begin(store, "s_one"), await begin(store, "s_two")
    assert await distant.store.refresh(shows(one)) is not None
    distant.way.freeze()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unavailable, match="does not answer; whether this was done is unknown"):
            await distant.store.refresh(shows(two))
        assert await distant.store.refresh(shows(two)) is not None


async def test_one_that_gives_no_answer_has_all_that_are_as_old_replaced(
    store: Store, distant: Distant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These would wait for ever."""
    monkeypatch.setattr(lane, "SECONDS", FOREVER)
    monkeypatch.setattr(postgres_store, "PROMPT_SECONDS", SHORT)
    await store.commit(base.RegisterNode(NODE))
    await use(distant.store)
    distant.way.freeze()
    await do(ACTS["a read of the log"], distant.store)
    await use(distant.store)


@pytest.mark.usefixtures("hasty")
async def test_a_commit_that_gets_no_answer_is_told_as_unknown(
    backend: Backend, distant: Distant
) -> None:
    run(backend, *WAITS_AT_COMMIT)
    async with raw(backend.url) as held:
        await held.execute("SELECT pg_advisory_lock(1)")
        committing = asyncio.create_task(outcome(distant.store.commit(append())))
        await blocked(backend.url)
        distant.way.freeze()
        async with asyncio.timeout(PATIENCE):
            came = await committing
    assert isinstance(came, Unavailable)
    assert "unknown" in str(came)
    async with asyncio.timeout(PATIENCE):
        await distant.store.commit(append())


async def test_where_nothing_comes_at_all_it_is_said_in_time_and_goes_on_by_itself(
    store: Store, distant: Distant, hasty: None
) -> None:
    del hasty
    await store.commit(base.RegisterNode(NODE))
    await use(distant.store)
    distant.way.stall("down")
    async with asyncio.timeout(PATIENCE):
        came = await asyncio.gather(*(outcome(act(distant.store)) for act in ACTS.values()))
    for one in came:
        assert isinstance(one, Unavailable)
        assert "does not answer" in str(one)
    distant.way.release("down")
    await use(distant.store)


@pytest.mark.parametrize("how", ["silent", "refused"])
async def test_nobody_waits_for_another_one_s_connection_and_then_for_one_more(
    distant: Distant, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Of a thousand who wait the last one would hear of it after twenty minutes."""
    ask, tries = hosts._ask, 0  # noqa: SLF001

    async def noted(url: str) -> object:
        nonlocal tries
        tries += 1
        return await ask(url)

    monkeypatch.setattr(hosts, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(hosts, "_ask", noted)
    if how == "silent":
        distant.way.stall("down")
    else:
        distant.way.refuse()
    for act, most in (
        (distant.store.list_accounts, postgres_store.READERS),
        (lambda: distant.store.commit(base.CountUnknownSignIn()), postgres_store.WRITERS),
    ):
        tries = 0
        came = await asyncio.gather(*(outcome(act()) for _ in range(100)))
        assert {type(one) for one in came} == {Unavailable}
        assert tries <= most
    distant.way.release("down")
    await distant.way.heal()
    assert await distant.store.list_accounts() == ()


async def test_who_has_a_connection_goes_on_where_another_one_is_not_to_be_had(
    distant: Distant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is not given up."""
    await distant.store.list_accounts()

    async def unreachable(_url: str) -> object:
        raise ConnectionRefusedError

    monkeypatch.setattr(hosts, "_ask", unreachable)
    came = await asyncio.gather(*(outcome(distant.store.list_accounts()) for _ in range(100)))
    assert came == [()] * 100


async def test_a_lock_of_one_that_is_not_there_any_more_keeps_others_waiting_and_refuses_nobody(
    store: Store, backend: Backend, distant: Distant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is where a node is lost in the middle of an ending."""
    monkeypatch.setitem(hosts.SETTINGS, "idle_in_transaction_session_timeout", "300ms")
    async with raw(backend.url) as held:
        await held.execute("BEGIN; SELECT 1 FROM log FOR UPDATE")
        lost = asyncio.create_task(outcome(distant.store.commit(append())))
        await blocked(backend.url)
        distant.way.freeze()
        await held.execute("ROLLBACK")
    async with asyncio.timeout(PATIENCE):
        await store.commit(append())
    await distant.way.close()
    assert isinstance(await lost, Unavailable)


def test_what_is_waited_for_is_shorter_than_what_hangs_on_it(backend: Backend) -> None:
    """A lock's holder is gone before others have waited too long for it; who waits for a lock or a
    statement hears so from the server; and verifiers keep their leases, even where reading the
    log, renewing and a connection fail one after the other."""
    del backend
    seconds = {
        name: float(value.removesuffix("s"))
        for name, value in hosts.SETTINGS.items()
        if name.endswith("timeout")
    }
    held, lock = seconds["idle_in_transaction_session_timeout"], seconds["lock_timeout"]
    assert held < lock < postgres_store.PROMPT_SECONDS
    assert seconds["statement_timeout"] < lane.SECONDS
    lease = Settings().lease.total_seconds()
    left = margins.inside(lease * (1 - margins.NODE_RENEWS)) - lease * margins.VERIFIER_RENEWS
    assert left > 2 * postgres_store.PROMPT_SECONDS + hosts.CONNECT_SECONDS


@pytest.mark.usefixtures("hasty")
async def test_a_store_is_closed_in_time_whoever_does_not_say_goodbye(
    store: Store, distant: Distant
) -> None:
    await store.commit(base.RegisterNode(NODE))
    await use(distant.store)
    await distant.store.data_version()
    distant.way.freeze()
    async with asyncio.timeout(PATIENCE):
        await distant.store.close()


async def test_a_listener_that_hears_nothing_any_more_listens_anew(
    store: Store, backend: Backend, distant: Distant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a poll that never comes."""
    del store
    monkeypatch.setattr(wakeups, "POLL_SECONDS", FOREVER)
    monkeypatch.setattr(wakeups, "SILENT_SECONDS", SHORT)
    monkeypatch.setattr(wakeups, "ASK_SECONDS", 0.01)
    bell = Bell(distant.store)
    await distant.store.data_version()
    await bell.rings()
    distant.way.freeze()
    with appending(backend):
        for _ in range(3):
            await bell.rings()
