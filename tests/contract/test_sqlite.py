"""What a file can do to the store: locks, a full disk, damage. Nothing changes, and it is said."""

import asyncio
import shutil
import sqlite3
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from lastcall.errors import Unavailable
from lastcall.ids import AccountId, NodeId
from lastcall.sessions.model import SignIn
from lastcall.stores import base, log, reads, records, sqlite
from lastcall.stores.base import Store
from lastcall.stores.rows import rotation_row
from lastcall.stores.sqlite import SqliteStore
from tests.contract.test_log import append, appending
from tests.support.backends import SqliteBackend
from tests.support.fakes import START
from tests.support.values import POLICY, a_session, a_user, an_account


@pytest.fixture
def backend(tmp_path: Path) -> SqliteBackend:
    return SqliteBackend(tmp_path)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Each connection that a store opens from now on; they wait for a lock a moment only."""
    made: list[sqlite3.Connection] = []
    original = sqlite.engine

    def engine(path: Path) -> Engine:
        source = original(path)
        event.listen(source, "connect", lambda raw, _: made.append(raw))
        return source

    monkeypatch.setattr(sqlite, "engine", engine)
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.02)
    return made


@pytest.fixture
async def quick(
    store: Store, backend: SqliteBackend, connections: list[sqlite3.Connection]
) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(backend.path)
    await opened.log_end()
    await opened.ping()
    yield opened
    await opened.close()


async def test_every_commit_is_on_the_disk_when_it_is_answered(
    quick: SqliteStore, connections: list[sqlite3.Connection]
) -> None:
    """instant-logout, rule 15."""
    assert connections
    for connection in connections[-2:]:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def copied(backend: SqliteBackend, folder: Path) -> SqliteBackend:
    """The files as a crash of the machine would leave them."""
    folder.mkdir()
    for file in backend.folder.iterdir():
        if file.is_file() and not file.name.endswith("-shm"):
            shutil.copy2(file, folder)
    return SqliteBackend(folder)


async def test_a_copy_of_the_files_as_they_lie_there_has_every_commit(
    store: Store, backend: SqliteBackend, tmp_path: Path
) -> None:
    committed = await store.commit(append())
    opened = copied(backend, tmp_path / "copy").open()
    assert (await opened.log_end()).position == committed.position
    await opened.close()


async def test_a_locked_database_is_unavailable_for_writing_and_nothing_is_changed(
    quick: SqliteStore, backend: SqliteBackend
) -> None:
    before = await quick.log_end()
    lock = sqlite3.connect(backend.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="busy") as caught:
        await quick.commit(append())
    assert caught.value.retry_after > 0
    with pytest.raises(Unavailable):
        await quick.ping()
    assert await quick.log_end() == before
    lock.execute("ROLLBACK")
    lock.close()
    await quick.ping()
    assert (await quick.commit(append())).position.seq == before.position.seq + 1


async def test_a_full_disk_is_said_reads_go_on_and_writes_come_back(
    quick: SqliteStore, connections: list[sqlite3.Connection]
) -> None:
    before = await quick.log_end()
    for connection in connections[-2:]:
        connection.execute("PRAGMA max_page_count = 1")  # it never goes below what is there
    done = 0
    told = None
    while told is None:
        name = f"{done}" + "x" * 2000
        try:
            await quick.commit(base.AddAccount(an_account(name)), append(str(done)))
            done += 1
        except Unavailable as error:
            told = str(error)
    assert "full" in told
    assert len(await quick.list_accounts()) == 1 + done
    end = await quick.log_end()
    assert end.position.seq == before.position.seq + done
    assert await quick.find_event(end.position.seq + 1) is None
    for connection in connections[-2:]:
        connection.execute("PRAGMA max_page_count = 100000")
    committed = await quick.commit(append())
    assert committed.position.seq == end.position.seq + 1


async def test_all_who_shared_a_commit_that_failed_are_told_so(
    quick: SqliteStore, connections: list[sqlite3.Connection]
) -> None:
    before = await quick.log_end()
    for connection in connections[-2:]:
        connection.execute("PRAGMA max_page_count = 1")
    works = [
        quick.commit(base.AddAccount(an_account(f"{turn}" + "x" * 3000)), append())
        for turn in range(100)
    ]
    results = await asyncio.gather(*works, return_exceptions=True)
    kept = [one for one in results if isinstance(one, base.Committed)]
    assert all(isinstance(one, base.Committed | Unavailable) for one in results)
    assert len(kept) < 100
    assert len(await quick.list_accounts()) == 1 + len(kept)
    assert (await quick.log_end()).position.seq == before.position.seq + len(kept)


async def test_a_failure_shows_no_value_that_was_to_be_written(
    quick: SqliteStore, connections: list[sqlite3.Connection]
) -> None:
    """Not in its text, and not in what a log prints of where it came from."""
    for connection in connections[-2:]:
        connection.execute("PRAGMA query_only = ON")
    user = a_user("planted")
    with pytest.raises(Unavailable) as caught:
        await quick.commit(base.AddUser(user, "planted password hash"))
    printed = "".join(traceback.format_exception(caught.value))
    assert "planted" not in printed.replace(__file__, "").replace(
        'base.AddUser(user, "planted password hash")', ""
    )


async def test_a_file_that_can_not_be_written_is_unavailable_and_read_all_the_same(
    quick: SqliteStore, connections: list[sqlite3.Connection]
) -> None:
    for connection in connections[-2:]:
        connection.execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable):
        await quick.commit(append())
    assert len(await quick.list_accounts()) == 1


async def test_a_store_on_a_file_that_is_none_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"this is no database, but long enough to be one" * 99)
    for name in ("text.db", "missing.db", "missing/missing.db"):
        with pytest.raises(Unavailable):
            SqliteStore(tmp_path / name)


async def test_more_work_than_the_queue_takes_is_refused_and_the_rest_is_done(
    quick: SqliteStore, backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lastcall.stores.lane.QUEUE", 50)
    works = [quick.commit(append(str(turn))) for turn in range(500)]
    results = await asyncio.gather(*works, return_exceptions=True)
    done = [one for one in results if isinstance(one, base.Committed)]
    refused = [one for one in results if isinstance(one, Unavailable)]
    assert len(done) + len(refused) == 500
    assert done
    assert refused
    assert (await quick.log_end()).position.seq == 1 + len(done)


async def test_a_lane_that_can_not_connect_answers_everybody(
    store: Store, backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files at the wrong moment: who waits is told, not left waiting."""
    original = sqlite3.connect
    opened: list[object] = []

    def connect(*arguments: Any, **named: Any) -> sqlite3.Connection:  # noqa: ANN401
        opened.append(arguments)
        if len(opened) > 1:
            raise sqlite3.OperationalError("unable to open database file")
        made: sqlite3.Connection = original(*arguments, **named)
        return made

    monkeypatch.setattr(sqlite3, "connect", connect)
    monkeypatch.setattr("threading.excepthook", lambda _: None)

    async def use() -> None:
        await asyncio.wait_for(SqliteStore(backend.path).log_end(), 2)

    with pytest.raises(Unavailable):
        await use()


async def test_a_loop_that_is_gone_takes_no_store_with_it(store: Store) -> None:
    """Its work was under way when it was closed; who comes after is still served."""

    def leave() -> None:
        loop = asyncio.new_event_loop()
        tasks = [loop.create_task(store.commit(append(str(turn)))) for turn in range(50)]
        loop.call_soon(loop.stop)
        loop.run_forever()
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    await asyncio.to_thread(leave)
    for _ in range(3):
        await asyncio.wait_for(store.commit(append("after")), 3)


# Whether there is anything to read


async def test_the_number_of_the_data_moves_with_each_commit_and_only_with_one(
    store: Store, other: Store
) -> None:
    """Of this process and of others, whether or not it wrote an event, and for each who asks."""
    writes: list[tuple[Store, base.Write]] = [
        (store, append()),
        (other, append()),
        (store, base.RegisterNode(NodeId("n_one"))),
        (other, base.RenewNode(NodeId("n_one"), (await store.log_end()).position)),
    ]
    for writer, write in writes:
        before = [await one.data_version() for one in (store, other)]
        await asyncio.gather(store.log_end(), other.nodes())
        assert [await one.data_version() for one in (store, other)] == before
        await writer.commit(write)
        after = [await one.data_version() for one in (store, other)]
        assert [a != b for a, b in zip(after, before, strict=True)] == [True, True]


async def test_who_asks_for_the_number_misses_no_commit_of_another_process(
    store: Store, other: Store, backend: SqliteBackend
) -> None:
    """Who reads the log only where the number has moved has read all that was there before the
    number was asked for."""
    version, seen, moves = 0, 0, 0

    async def look() -> None:
        nonlocal version, seen, moves
        if await store.data_version() != version:
            part = await store.read_log(seen)
            version, seen, moves = part.version, part.log.position.seq, moves + 1

    with appending(backend):
        async with asyncio.timeout(60):
            while moves < 20:
                before = (await other.log_end()).position.seq
                await look()
                assert seen >= before
    await look()
    assert seen == (await store.log_end()).position.seq


async def test_the_number_of_the_data_moves_while_other_reads_share_its_batch(
    store: Store, other: Store
) -> None:
    version = await store.data_version()
    for _ in range(20):
        await other.commit(append())
        _, now, part = await asyncio.gather(
            store.log_end(), store.data_version(), store.read_log(0)
        )
        assert now != version
        assert part.version == now
        version = now


# How it is laid out


async def statements(backend: SqliteBackend, read: Any) -> list[str]:  # noqa: ANN401
    """The plan of every statement that a read runs."""
    ran: list[str] = []
    with sqlite.engine(backend.path).connect() as db:
        raw: sqlite3.Connection = db.connection.driver_connection  # type: ignore[assignment]
        raw.set_trace_callback(ran.append)
        read(db)
        raw.set_trace_callback(None)
        return [
            row[3] for statement in ran for row in raw.execute("EXPLAIN QUERY PLAN " + statement)
        ]


async def test_no_read_of_a_session_goes_through_a_whole_table(
    store: Store, backend: SqliteBackend
) -> None:
    """The event that ended it is found by its index, however long the log is."""
    session = a_session(begun=(await store.log_end()).position)
    await store.commit(base.Begin(session, SignIn(None, {}, None), START))
    await store.commit(
        base.EndUser(
            session.user_id,
            session.account_id,
            None,
            "revoked",
            append().by,
            START,
            POLICY,
        )
    )
    plans = await statements(backend, lambda db: reads.find_session(db, session.id))
    searched = [step for step in plans if "log" not in step]
    assert not [step for step in searched if step.startswith("SCAN")]
    for index in ("ix_events_user_ended (user_id=?", "ix_events_account_ended (account_id=?"):
        assert [step for step in searched if index in step]


async def test_no_read_of_who_follows_goes_through_the_whole_log(
    store: Store, backend: SqliteBackend
) -> None:
    """Timelines by their index, events by the log's own order; `since` walks back from the end."""

    def read(db: Any) -> None:  # noqa: ANN401
        log.read_log(db, 5, 10, START, 0)

    plans = await statements(backend, read)
    assert [step for step in plans if "events" in step] == [
        "SEARCH events USING INDEX sqlite_autoindex_events_1 (seq>?)",
        "SEARCH events USING INDEX sqlite_autoindex_events_1 (seq>?)",
        "SEARCH events USING INDEX ix_events_timeline_opened (epoch=? AND seq<?)",
    ]
    assert not [step for step in plans if "TEMP B-TREE" in step]


async def test_reports_are_counted_without_a_walk_through_the_audit_log(
    store: Store, backend: SqliteBackend
) -> None:
    query = base.RecordQuery(AccountId("a_acme"), types=("session.report",), since=START)
    (plan,) = await statements(backend, lambda db: records.count_records(db, query))
    assert plan == "SEARCH audit USING INDEX ix_audit_reports (account_id=? AND at>?)"


async def test_no_index_holds_a_column_that_a_rotation_writes(
    store: Store, backend: SqliteBackend
) -> None:
    """A refresh would have to move index entries."""
    written = set(rotation_row(a_session()))
    assert len(written) > 5
    db = sqlite3.connect(backend.path)
    indexes = [row[1] for row in db.execute("PRAGMA index_list(sessions)")]
    assert indexes
    held = {row[2] for name in indexes for row in db.execute(f"PRAGMA index_info({name})")}
    db.close()
    assert held & written == set()


def test_a_database_s_error_shows_nothing_of_what_was_to_be_written(tmp_path: Path) -> None:
    """Hashes, addresses and names are bound to its statements."""
    with sqlite.engine(tmp_path / "any.db").connect() as db, pytest.raises(DBAPIError) as caught:
        db.execute(text("INSERT INTO nowhere VALUES (:value)"), {"value": "planted".upper()})
    shown = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO nowhere" in shown
    assert "PLANTED" not in shown
