"""A hundred thousand sessions on PostgreSQL: what is asked often reads few rows, and a refresh
moves no index. What the server itself counted is looked at."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import pytest

from lastcall.digests import digest
from lastcall.events import SYSTEM
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.sessions.model import SignIn
from lastcall.stores import base, counting, inspection
from lastcall.stores.base import Store
from lastcall.stores.postgres.place import PostgresPlace
from lastcall.stores.rows import micros
from tests.support.backends import PostgresBackend, run
from tests.support.fakes import START
from tests.support.values import POLICY, a_session, hashed
from tools.crowd import ACCOUNT, Crowd, fill, secret, session_id, user_id
from tools.postgres import Cluster

CROWD = Crowd(users=20_000, sessions=100_000, at=micros(START), of_one=2_000)
HEAVY = UserId(user_id(1))
"""Who has two thousand of them."""
ANY = UserId(user_id(77))
ACCOUNT_ID = AccountId(ACCOUNT)

ONES = iter(range(50_001, 60_000))
"""Sessions that nothing was done with yet."""

Do = Callable[[Store], Awaitable[object]]


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    cluster = Cluster(fsync=False)
    cluster.start()
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def crowded(server: Cluster, tmp_path_factory: pytest.TempPathFactory) -> PostgresBackend:
    """A database full of people."""
    folder = tmp_path_factory.mktemp("crowd")
    backend = PostgresBackend(server.create_database("crowd"), folder)
    backend.open()  # it is born; no connection was made yet
    asyncio.run(fill(backend.url, CROWD))
    return backend


def shown(number: int, generation: int = 1) -> base.Refresh:
    """Show a token of a session of the crowd."""
    shown = secret(number) if generation == 1 else f"{number} {generation}".encode()
    return base.Refresh(
        SessionId(session_id(number)),
        generation,
        digest(shown),
        digest(f"{number} {generation + 1}".encode()),
        b"sealed",
        "192.0.2.1",
        START,
        POLICY,
    )


def sessions_of(user: UserId, which: base.SessionFilter) -> Do:
    query = base.SessionQuery(user, which, POLICY, START)
    return lambda store: store.list_sessions(query)


def users_of(**wanted: object) -> Do:
    query = base.UserQuery(ACCOUNT_ID, POLICY, START, **wanted)  # type: ignore[arg-type]
    return lambda store: store.list_users(query)


def part_of(account: AccountId, after: UserId | None = None) -> Do:
    return lambda store: store.count_account_sessions(account, None, POLICY, START, after)


async def end_one(store: Store) -> object:
    end = base.EndSession(
        SessionId(session_id(next(ONES))), ANY, ACCOUNT_ID, "revoked", SYSTEM, START
    )
    return await store.commit(end)


async def end_all(store: Store) -> object:
    end = base.EndUser(HEAVY, ACCOUNT_ID, None, "terminated_by_admin", SYSTEM, START, POLICY)
    return await store.commit(end)


async def begin(store: Store) -> object:
    begun = (await store.log_end()).position
    session = a_session(f"new {next(ONES)}", begun=begun, user_id=ANY, account_id=ACCOUNT_ID)
    return await store.commit(base.Begin(session, SignIn(None, {}, None), None))


# What is done, and how many rows of large tables it may read, by index or not.
OFTEN: dict[str, tuple[Do, int]] = {
    "find a session": (lambda store: store.find_session(SessionId(session_id(70_000))), 70),
    "refresh": (lambda store: store.refresh(shown(next(ONES))), 6),
    "list a user's sessions": (sessions_of(ANY, "active"), 250),
    "list a user's ended sessions": (sessions_of(ANY, "ended"), 250),
    "count a user's sessions": (lambda store: store.count_sessions(ANY, POLICY, START), 100),
    "end one": (end_one, 20),
    "end two thousand": (end_all, CROWD.of_one + 50),
    "begin": (begin, 20),
    "list users": (users_of(), 5_000),
    "search users for what few are called": (users_of(text="user77@"), 2_100),
    "search users for what nobody is called": (users_of(text="user!"), 2_100),
    "search users for what all are called": (users_of(text="example"), 5_000),
    "count two thousand sessions": (
        lambda store: store.count_sessions(HEAVY, POLICY, START),
        CROWD.of_one + 10,
    ),
    "count a part of an account's sessions": (part_of(ACCOUNT_ID, ANY), 1_300),
    "count a part with who has two thousand": (part_of(ACCOUNT_ID), CROWD.of_one + 1_300),
    "count an account of nobody beside a large one": (part_of(AccountId("a_b")), 210),
    "list two thousand sessions": (
        sessions_of(HEAVY, "active"),
        CROWD.of_one + 100,
    ),
    "list two thousand ended sessions": (
        sessions_of(HEAVY, "ended"),
        CROWD.of_one + 200,
    ),
    "find a user by external id": (users_of(external_id="nobody"), 100),
    "read a user's activity": (
        lambda store: store.list_records(base.RecordQuery(user_id=ANY)),
        60,
    ),
    "read the audit log": (
        lambda store: store.list_records(base.RecordQuery(account_id=ACCOUNT_ID)),
        60,
    ),
    "count reports of sessions": (
        lambda store: store.count_records(
            base.RecordQuery(ACCOUNT_ID, types=("session.report",), since=START)
        ),
        10,
    ),
    "follow the audit log": (lambda store: store.changes(99_990), 80),
    "follow the event log": (lambda store: store.read_log(0), 60),
    "walk through sessions to purge": (
        lambda store: store.over(base.PurgeQuery("sessions", START, limit=500)),
        4_000,
    ),
    "recognise a browser": (
        lambda store: store.recognises("user77@example.com", hashed("device 5")),
        20,
    ),
}


LARGE = "'sessions', 'sign_ins', 'users', 'audit'"


def read_by(server: Cluster, tables: str = LARGE) -> tuple[int, ...]:
    """How many rows were read so far: by walking through whole tables, and all of them."""
    question = f"SELECT sum({{}})::bigint FROM pg_stat_user_tables WHERE relname IN ({tables})"  # noqa: S608  ours
    return tuple(
        int(server.value(question.format(what), database="crowd"))
        for what in ("seq_tup_read", "seq_tup_read + coalesce(idx_tup_fetch, 0)")
    )


@pytest.fixture(params=["auto", "force_generic_plan"])
def planning(crowded: PostgresBackend, server: Cluster, request: pytest.FixtureRequest) -> None:
    """The server plans for the values that are asked for, as it does at first, or for any, as it
    may after a few times."""
    server.execute(f"ALTER DATABASE crowd SET plan_cache_mode = {request.param}")


@pytest.mark.usefixtures("planning")
@pytest.mark.parametrize("what", OFTEN)
async def test_what_is_asked_often_reads_few_rows(
    crowded: PostgresBackend, server: Cluster, what: str
) -> None:
    act, most = OFTEN[what]
    before = read_by(server)
    store = crowded.open()
    await act(store)
    await store.close()  # which tells the server's counts
    whole, every = (b - a for a, b in zip(before, read_by(server), strict=True))
    assert whole == 0, "no whole table is read"
    assert every <= most


@pytest.mark.usefixtures("planning")
@pytest.mark.parametrize(
    ("most_users", "most_sessions", "most"), [(200, 500, 710), (2_000, 50_000, 15_000)]
)
async def test_a_part_of_a_count_looks_at_no_more_than_it_may(
    crowded: PostgresBackend,
    server: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    most_users: int,
    most_sessions: int,
    most: int,
) -> None:
    """However many sessions one user has, and however many users it is of."""
    monkeypatch.setattr(counting, "USERS", most_users)
    monkeypatch.setattr(counting, "SESSIONS", most_sessions)
    before = read_by(server)
    store = crowded.open()
    await store.count_account_sessions(ACCOUNT_ID, None, POLICY, START)
    await store.close()
    whole, every = (b - a for a, b in zip(before, read_by(server), strict=True))
    assert whole == 0
    assert every <= most


MORE = (
    "INSERT INTO events (seq, epoch, timeline_number, timeline_name, kind, at, actor_kind, ended)"
    " SELECT log.seq + n, epoch, timeline_number, timeline_name, 'session_ended', 0, 'system', 1"
    " FROM log, generate_series(1, 20000) AS n",
    "UPDATE log SET seq = seq + 20000",
)
"""What a log holds before somebody is logged out."""


@pytest.mark.usefixtures("planning")
async def test_what_ended_a_session_is_found_in_a_long_log_by_its_index(
    crowded: PostgresBackend, server: Cluster
) -> None:
    number = next(ONES)
    gone, session = UserId(user_id(2 + number % (CROWD.users - 1))), SessionId(session_id(number))
    run(crowded, *MORE)
    server.execute("ANALYZE events", database="crowd")
    counted = (
        "SELECT (seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables"
        " WHERE relname = 'events'"
    )
    before = server.value(counted, database="crowd")
    store = crowded.open()
    end = base.EndUser(gone, ACCOUNT_ID, None, "terminated_by_admin", SYSTEM, START, POLICY)
    await store.commit(end)
    assert len(await store.list_sessions(base.SessionQuery(gone, "ended", POLICY, START))) > 2
    found = await store.find_session(session)
    assert found is not None
    assert found.session.ending is not None
    await store.close()
    assert server.value(counted, database="crowd") - before <= 100


LOGGED_OUT = (
    "INSERT INTO events (seq, epoch, timeline_number, timeline_name, kind, at, account_id,"
    " actor_kind, ended) SELECT log.seq + n, epoch, timeline_number, timeline_name,"
    " 'account_ended', 0, 'a_small', 'system', 1 FROM log, generate_series(1, 20) AS n",
    "UPDATE log SET seq = seq + 20",
)
"""Another account was logged out again and again, and its sessions are purged."""


@pytest.mark.usefixtures("planning")
async def test_what_ended_an_account_is_forgotten_without_a_look_at_all_sessions(
    crowded: PostgresBackend, server: Cluster
) -> None:
    """Who forgets events holds the log's lock, and every ending waits meanwhile."""
    store = crowded.open()
    last = (await store.log_end()).position.seq
    run(crowded, *LOGGED_OUT)
    server.execute("ANALYZE events", database="crowd")
    before = read_by(server)
    page = await store.over(base.PurgeQuery("events", START, after=last, limit=20))
    assert len(page.keys) == 19
    await store.commit(base.Drop("events", page.keys, START))
    await store.close()
    whole, every = (b - a for a, b in zip(before, read_by(server), strict=True))
    assert whole == 0
    assert every <= 20


def test_the_doctor_looks_at_few_sessions_and_records(
    crowded: PostgresBackend, server: Cluster
) -> None:
    """Of many, looking at all takes longer than a statement may."""
    tables = "'sessions', 'sign_ins', 'audit'"
    before = read_by(server, tables)
    facts = PostgresPlace(crowded.url).look(lambda db: inspection.read_facts(db, START))
    assert facts.newest >= START - timedelta(days=1)
    whole, every = (b - a for a, b in zip(before, read_by(server, tables), strict=True))
    assert whole == 0
    assert every <= 4_500


async def test_a_refresh_moves_no_index(crowded: PostgresBackend, server: Cluster) -> None:
    """PostgreSQL calls such an update hot: the new row is on the page of the old one, and no index
    has to learn of it. Pages have room for that, and are tidied as they are used."""
    counted = "SELECT {} FROM pg_stat_user_tables WHERE relname = 'sessions'"
    names = ("n_tup_upd", "n_tup_hot_upd")
    before = [server.value(counted.format(name), database="crowd") for name in names]
    store = crowded.open()
    for generation in range(1, 7):
        some = (shown(number, generation) for number in range(3_001, 100_000, 150))
        assert None not in await asyncio.gather(*map(store.refresh, some))
    await store.close()
    after = [server.value(counted.format(name), database="crowd") for name in names]
    updated, hot = (b - a for a, b in zip(before, after, strict=True))
    assert updated == 6 * 647
    assert hot >= 0.95 * updated
