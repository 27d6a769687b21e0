"""Opening and migrating a database of PostgreSQL: what is in the way, and who waits for whom."""

import asyncio
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from sqlalchemy import Connection

from lastcall.clock import system_entropy
from lastcall.errors import SettingsError, StoreError, Unavailable
from lastcall.stores.opening import migrate, open_store
from lastcall.stores.postgres import hosts, place
from tests.contract.test_migrating import NEWEST, make
from tests.support.backends import PostgresBackend, ask, dump
from tests.support.fakes import START
from tests.support.held import BLOCKED, outcome, raw, until
from tools.postgres import Cluster, Server

PASSWORD = "hunter2hunter2"
LONG = "clock_timestamp() - query_start > '150ms'"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Cluster]:
    """A server that asks one of its users for a password, and gives another no rights."""
    made = Cluster(fsync=False)
    try:
        made.start()
        rules = made.data / "pg_hba.conf"
        rules.write_text(f"host all keyed 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        made.execute(
            f"CREATE ROLE keyed SUPERUSER LOGIN PASSWORD '{PASSWORD}'",
            "CREATE ROLE weak LOGIN",
            "SELECT pg_reload_conf()",
        )
        yield made
    finally:
        made.close()


@pytest.fixture
def backend(guarded: Cluster, tmp_path: Path) -> PostgresBackend:
    return PostgresBackend(guarded.create_database(f"test_{token_hex(8)}"), tmp_path)


@pytest.mark.parametrize("state", ["empty", "made"])
@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("keyed:wrong-password", "refuses the password"),
        ("keyed", "password"),
        ("nobody", "check the user"),
        ("weak", "make the user the database's owner"),
    ],
)
def test_whom_the_server_refuses_is_told_what_to_do_and_nothing_is_changed(
    backend: PostgresBackend, who: str, said: str, state: str
) -> None:
    if state == "made":
        backend.open()
    before = dump(backend)
    url = backend.url.replace("postgres@", f"{who}@")
    for act in (
        lambda: open_store(url, backend.secret_file, START, system_entropy),
        lambda: migrate(url),
    ):
        with pytest.raises((Unavailable, StoreError)) as caught:
            act()
        printed = "".join(traceback.format_exception(caught.value))
        assert "wrong-password" not in printed
        if isinstance(caught.value, Unavailable):
            assert said in str(caught.value)
    assert dump(backend) == before


def test_the_right_password_opens(backend: PostgresBackend) -> None:
    url = backend.url.replace("postgres@", f"keyed:{PASSWORD}@")
    assert open_store(url, backend.secret_file, START, system_entropy).secrets.check


def test_a_server_that_is_not_there_or_has_no_such_database_is_told(
    guarded: Cluster, tmp_path: Path
) -> None:
    gone = f"postgresql://postgres@127.0.0.1:{guarded.port + 1}/x"
    for url, said in ((gone, "can't be reached"), (guarded.url("missing"), "no such database")):
        for act in (
            lambda url=url: open_store(url, tmp_path / "key", START, system_entropy),
            lambda url=url: migrate(url),
        ):
            with pytest.raises(Unavailable, match=said):
                act()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "rest",
    ["host:port/x", "[::1/x", "host/x?sslmode=sometimes", "/x?host=x&port=a", "127.0.0.1:99999/x"],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(rest: str, tmp_path: Path) -> None:
    url = f"postgresql://ada:hunter2@{rest}"
    with pytest.raises(SettingsError, match="LASTCALL_DATABASE_URL") as caught:
        open_store(url, tmp_path / "key", START, system_entropy)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert list(tmp_path.iterdir()) == []


# Migrating


@pytest.fixture
def first(postgres: Server, tmp_path: Path) -> Iterator[PostgresBackend]:
    """A database of the first schema."""
    name = f"test_{token_hex(8)}"
    made = PostgresBackend(postgres.create_database(name), tmp_path)
    make(made, "0001")
    yield made
    postgres.drop_database(name)


async def test_who_migrates_waits_for_whoever_does_so_already(
    first: PostgresBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than any other statement may take."""
    monkeypatch.setitem(hosts.SETTINGS, "statement_timeout", "50ms")
    async with raw(first.url) as held:
        await held.execute(f"BEGIN; SELECT pg_advisory_xact_lock({place._LOCK})")  # noqa: SLF001
        migrating = asyncio.create_task(outcome(asyncio.to_thread(migrate, first.url)))
        waits = asyncio.create_task(until(first.url, f"{BLOCKED} AND {LONG}", 1))
        await asyncio.wait((waits, migrating), return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        await held.execute("CREATE TABLE theirs (id integer)")
        assert ask(first, "SELECT version_num FROM alembic_version") == [{"version_num": "0001"}]
        await held.execute("COMMIT")
        assert await migrating == ("0001", NEWEST)


async def test_who_migrates_waits_behind_a_long_reader_for_a_moment_only(
    first: PostgresBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever came after would wait behind it: all servers would stand still."""
    limits = [one.replace("'5s'", "'50ms'") for one in place._LIMITS]  # noqa: SLF001
    assert limits != list(place._LIMITS)  # noqa: SLF001
    monkeypatch.setattr(place, "_LIMITS", limits)
    before = dump(first)
    async with raw(first.url) as reader:
        await reader.execute("BEGIN; SELECT * FROM log")
        came = await outcome(asyncio.to_thread(migrate, first.url))
        assert isinstance(came, Unavailable)
        assert "busy" in str(came)
        await reader.execute("ROLLBACK")
    assert dump(first) == before
    assert migrate(first.url) == ("0001", NEWEST)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, as in a process of its own, whatever other tests have left."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_migration_that_is_interrupted_has_changed_nothing(first: PostgresBackend) -> None:
    """Also what was not reached yet doesn't go on once that was said."""
    before = dump(first)

    def interrupt(db: Connection) -> None:
        db.exec_driver_sql("CREATE TABLE begun (id integer)")
        os.kill(os.getpid(), signal.SIGINT)
        db.exec_driver_sql("SELECT pg_sleep(1)")

    with pytest.raises(KeyboardInterrupt):
        place.PostgresPlace(first.url).exclusively(interrupt)
    assert not [one for one in threading.enumerate() if one.name.startswith("lastcall-opening")]
    assert dump(first) == before


# How it is laid out


def test_the_rows_that_are_written_again_and_again_have_room_beside_them(
    first: PostgresBackend,
) -> None:
    """A refresh then moves no entry of an index."""
    migrate(first.url)
    found = ask(
        first,
        "SELECT relname AS name, reloptions AS options FROM pg_class"
        " WHERE reloptions IS NOT NULL AND relnamespace = 'public'::regnamespace",
    )
    assert {row["name"]: row["options"] for row in found} == {
        "sessions": ["fillfactor=70"],
        **{name: ["fillfactor=50"] for name in ("log", "nodes", "throttle", "installation")},
    }
