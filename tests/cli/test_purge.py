"""`lastcall purge`: what goes and what stays, beside servers, other purges and kills."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lastcall.cli.demo_fill import MovedClock
from lastcall.clock import SystemClock, system_entropy
from lastcall.errors import InvalidCredentials
from lastcall.events import Actor
from lastcall.identity.administration import Admin
from lastcall.ids import new_session_id
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.stores.rows import micros, session_row
from tests.cli.conftest import Lastcall
from tests.support.fakes import FakeEntropy
from tests.support.nodes import EMAIL, add_user, open_node, set_up, sign_in
from tests.support.servers import Connection, environment, serving
from tests.support.values import a_session

NOW = SystemClock().now()
ADMIN = Actor("admin", None, "the command line")
DAY = timedelta(days=1)
MANY = 10_000


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


async def story(folder: Path) -> tuple[Node, MovedClock]:
    """What happens to an organisation in 500 days, told to the real services."""
    clock = MovedClock(ago(500))
    node = await open_node(folder, clock, system_entropy)
    ada = await set_up(node)  # runs out unseen
    owner = ada.user
    by = Admin(owner.account_id, "owner", ADMIN)
    clock.moment = ago(300)
    names = ("bo", "cy", "di")
    people = {name: await add_user(node, owner, f"{name}@example.com") for name in names}
    await node.administration.add(by, "eve@example.com", None, "member")  # never accepts
    key, _ = await node.services.create(owner.account_id, "old", ("verify",))
    stays, _ = await node.services.create(owner.account_id, "new", ("verify",))
    await node.services.revoke(owner.account_id, key.id)
    await sign_in(node, "bo@example.com")
    await node.administration.log_out(by, people["bo"].id)
    clock.moment = ago(200)
    await sign_in(node, "cy@example.com")
    await node.administration.remove(by, people["cy"].id)
    clock.moment = ago(60)
    await node.services.revoke(owner.account_id, stays.id)
    await sign_in(node, "di@example.com")
    await node.administration.remove(by, people["di"].id)
    for _ in range(2):
        await sign_in(node, "bo@example.com")
    await node.administration.log_out(by, people["bo"].id)
    await sign_in(node, "bo@example.com")
    await node.administration.change(by, people["bo"].id, role="admin")
    await node.administration.change(by, people["bo"].id, role="member")
    with pytest.raises(InvalidCredentials):
        await sign_in(node, "bo@example.com", "wrong")
    clock.moment = ago(0.01)
    return node, clock


def told(folder: Path) -> Tokens:
    """Tell the story, with somebody signed in today."""

    async def tell() -> Tokens:
        node, _ = await story(folder)
        tokens = await sign_in(node)
        await node.close()
        return tokens

    return asyncio.run(tell())


def ask(folder: Path, question: str) -> list[tuple[Any, ...]]:
    """Ask the database file itself."""
    with closing(sqlite3.connect(folder / "lastcall.db", timeout=30)) as db:
        return db.execute(question).fetchall()


def count(folder: Path, table: str) -> int:
    return int(ask(folder, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608  a test's own name


def whole(folder: Path) -> None:
    """The database is in order, and no row hangs in the air."""
    assert ask(folder, "PRAGMA integrity_check") == [("ok",)]
    assert ask(folder, "PRAGMA foreign_key_check") == []
    assert count(folder, "sign_ins") == count(folder, "sessions")


# What goes


def test_what_is_over_goes_and_all_else_stays(lastcall: Lastcall, tmp_path: Path) -> None:
    told(tmp_path)
    before = {table: count(tmp_path, table) for table in ("sessions", "users", "events", "audit")}
    data = lastcall("purge", "--json").data
    assert data["dry_run"] is False
    assert data["deleted"] == {
        "sessions": 3,  # Ada's first, Bo's first, Cy's
        "users": 1,  # Cy, whose last session has gone
        "links": 2,  # the set-up's, and the invitation that nobody accepted
        "keys": 1,
        "records": 4,  # the account, its owner, the set-up and its sign-in, 500 days ago
        "events": data["deleted"]["events"],
    }
    assert data["batches"] == 6
    whole(tmp_path)
    assert count(tmp_path, "sessions") == before["sessions"] - 3
    assert count(tmp_path, "users") == before["users"] - 1
    assert count(tmp_path, "audit") == before["audit"] - 4 + 1
    kept = [row[0] for row in ask(tmp_path, "SELECT kind FROM events ORDER BY seq")]
    # Opening, Di's removal, Bo's second logout, the newest of all that is old, and today's: the key
    # that signed a year ago has gone.
    assert kept == ["timeline_opened", "user_ended", "user_ended", "user_stale", "key_revoked"]
    assert data["deleted"]["events"] == before["events"] - 5
    assert ask(tmp_path, "SELECT floor FROM log") == ask(
        tmp_path, "SELECT seq - 1 FROM events WHERE kind = 'user_stale'"
    )


def test_who_is_kept_still_says_why_and_who_is_in_stays_in(
    lastcall: Lastcall, tmp_path: Path
) -> None:
    tokens = told(tmp_path)

    def look() -> Any:  # noqa: ANN401
        return [
            lastcall("session", "list", email, *flags, "--json").data
            for email in (EMAIL, "bo@example.com")
            for flags in ((), ("--ended",))
        ]

    def timeless(data: Any) -> Any:  # noqa: ANN401
        return [[{**one, "expires_in": None} for one in listed["sessions"]] for listed in data]

    before = look()
    reasons = [one["end_reason"] for one in before[3]["sessions"]]
    assert sorted(reasons) == ["expired_inactive", "terminated_by_admin", "terminated_by_admin"]
    lastcall("purge")
    assert timeless(look()) == timeless(before)

    async def refresh() -> None:
        node = await open_node(tmp_path, SystemClock(), system_entropy)
        caller = await node.sessions.authenticate(tokens.access_token)
        assert caller.user.email == EMAIL
        again = await node.sessions.refresh(tokens.refresh_token, None)
        await node.sessions.authenticate(again.access_token)
        await node.close()

    asyncio.run(refresh())


def test_a_purge_is_recorded_once_with_what_it_did_and_only_if_it_did(
    lastcall: Lastcall, tmp_path: Path
) -> None:
    told(tmp_path)
    lastcall("purge")
    found = ask(tmp_path, "SELECT account_id, actor_kind, actor_name, reason, outcome FROM audit "
                          "WHERE type = 'audit.purge'")  # fmt: skip
    ((account, kind, name, reason, outcome),) = found
    assert (account, kind, name, outcome) == (None, "admin", "the command line", "success")
    assert reason.startswith("sessions 3, users 1, links 2, keys 1, records 4, events ")
    assert lastcall("purge", "--json").data["deleted"] == dict.fromkeys(
        ("sessions", "users", "links", "keys", "records", "events"), 0
    )
    assert count(tmp_path, "audit WHERE type = 'audit.purge'") == 1


def test_a_dry_run_says_what_would_go_and_changes_nothing(
    lastcall: Lastcall, tmp_path: Path
) -> None:
    told(tmp_path)
    tables = (
        "sessions",
        "sign_ins",
        "users",
        "single_use",
        "service_keys",
        "events",
        "audit",
        "log",
    )
    before = [ask(tmp_path, f"SELECT * FROM {table}") for table in tables]  # noqa: S608
    data = lastcall("purge", "--dry-run", "--json").data
    assert data["dry_run"] is True
    assert data["deleted"]["sessions"] == 3
    assert data["deleted"]["records"] == 4
    done = lastcall("purge", "--dry-run")
    assert done.out.splitlines()[:2] == [
        "WOULD GO  WHAT",
        "3         sessions that ended over 90 days ago",
    ]
    assert "Nothing was deleted." in done.err
    assert "only these sessions keep" in done.err
    assert [ask(tmp_path, f"SELECT * FROM {table}") for table in tables] == before  # noqa: S608


def test_how_long_the_audit_log_is_kept_is_chosen_but_never_below_90_days(
    lastcall: Lastcall, tmp_path: Path
) -> None:
    told(tmp_path)
    refused = lastcall("purge", "--audit-days", "89")
    assert (refused.status, refused.out) == (2, "")
    assert "90" in refused.err
    old = count(tmp_path, f"audit WHERE at < {micros(ago(250))}")
    assert old > 3
    assert lastcall("purge", "--audit-days", "250", "--json").data["deleted"]["records"] == old


def test_people_get_a_table_and_how_long_it_took(lastcall: Lastcall, tmp_path: Path) -> None:
    told(tmp_path)
    done = lastcall("purge")
    assert done.status == 0
    assert done.out.splitlines()[1].split()[:2] == ["3", "sessions"]
    assert "the longest of 6 transactions took" in done.err
    assert max(map(len, (*done.out.splitlines(), *done.err.splitlines()))) <= 80


def test_on_a_terminal_a_bar_shows_how_far_it_is(many: Path) -> None:
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lastcall", "purge"],
        cwd=many,
        env=environment(),
        stdin=end,
        stdout=subprocess.DEVNULL,
        stderr=end,
        start_new_session=True,
    )
    os.close(end)
    shown = b""
    try:
        while chunk := os.read(terminal, 4096):
            shown += chunk
    except OSError:  # the terminal's other end is closed
        pass
    os.close(terminal)
    assert process.wait(60) == 0
    assert b"Purging" in shown
    assert b"500 sessions" in shown
    assert f"{MANY} sessions".encode() in shown
    assert b"6/6" in shown


# Under load


def fill(folder: Path, number: int) -> None:
    """Put sessions into the database that ran out long ago, at once."""
    entropy = FakeEntropy("many")
    with closing(sqlite3.connect(folder / "lastcall.db")) as db:
        ((user, account),) = db.execute("SELECT id, account_id FROM users LIMIT 1")
        kept: list[dict[str, object]] = []
        for turn in range(number):
            at = ago(200) + timedelta(seconds=turn)
            session = replace(
                a_session(at=at),
                id=new_session_id("c1", at, entropy),
                user_id=user,
                account_id=account,
            )
            kept.append(session_row(session))
        names = ", ".join(kept[0])
        places = ", ".join(f":{name}" for name in kept[0])
        db.executemany(f"INSERT INTO sessions ({names}) VALUES ({places})", kept)  # noqa: S608
        db.execute("INSERT INTO sign_ins (session_id, hints) SELECT id, '{}' FROM sessions")
        db.commit()


@pytest.fixture
def many(acme: Lastcall, tmp_path: Path) -> Path:
    """A database with ten thousand sessions to delete."""
    fill(tmp_path, MANY)
    return tmp_path


def start(folder: Path, *before: str) -> subprocess.Popen[str]:
    """Begin a purge in a process of its own."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", "lastcall", "purge", "--json"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A purge that has deleted something, and has more to do."""
    process = start(folder)
    try:
        while count(folder, "sessions") == MANY:
            assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ten_thousand_sessions_go_in_batches(many: Path, lastcall: Lastcall) -> None:
    data = lastcall("purge", "--json").data
    assert data["deleted"]["sessions"] == MANY
    assert data["batches"] == MANY / 500
    assert data["longest_batch_ms"] > 0
    whole(many)


def test_killed_halfway_everything_is_whole_and_the_next_purge_goes_on(
    many: Path, lastcall: Lastcall
) -> None:
    with started(many) as process:
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    whole(many)
    left = count(many, "sessions")
    assert 0 < left < MANY
    assert left % 500 == 0
    assert lastcall("purge", "--json").data["deleted"]["sessions"] == left
    whole(many)


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 1), (signal.SIGTERM, -15)])
def test_interrupted_it_stops_whole_and_what_it_did_is_recorded(
    many: Path, sent: signal.Signals, status: int
) -> None:
    with started(many) as process:
        process.send_signal(sent)
        _, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert "Traceback" not in err
    whole(many)
    done = MANY - count(many, "sessions")
    assert ask(many, "SELECT reason FROM audit WHERE type = 'audit.purge'") == [
        (f"sessions {done}",)
    ]


def test_several_purges_at_once_delete_everything_once(many: Path) -> None:
    processes = [start(many) for _ in range(3)]
    outs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outs
    counted = [json_of(out)["deleted"]["sessions"] for out, _ in outs]
    assert sum(counted) == MANY
    assert count(many, "sessions") == 0
    whole(many)


def json_of(text: str) -> Any:  # noqa: ANN401
    return json.loads(text)


def test_a_full_disk_is_said_and_nothing_is_half_done(many: Path, lastcall: Lastcall) -> None:
    """The file may not grow, by the system's own limit."""
    process = start(many, "prlimit", "--fsize=400000:400000")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Run it again to go on" in err
    assert "Traceback" not in err
    whole(many)
    left = count(many, "sessions")
    assert left % 500 == 0
    assert left > 0
    assert lastcall("purge", "--json").data["deleted"]["sessions"] == left


def test_a_server_goes_on_answering_while_a_purge_runs(many: Path) -> None:
    """No refresh, sign-in or look at oneself waits for long, and none is refused."""
    longest = 0.0

    async def live(port: int, process: subprocess.Popen[str]) -> int:
        nonlocal longest
        connection = Connection(port)
        body = {"email": EMAIL, "password": "a sentence that nobody guesses"}
        status, tokens = await connection.request("POST", "/api/v1/sign-in", body)
        assert status == 200, tokens
        turns = 0
        while process.poll() is None or turns == 0:
            began = time.perf_counter()
            status, tokens = await connection.request(
                "POST", "/api/v1/refresh", {"refresh_token": tokens["refresh_token"]}
            )
            assert status == 200, tokens
            longest = max(longest, time.perf_counter() - began)
            token = tokens["access_token"]
            status, _ = await connection.request("GET", "/api/v1/session", token=token)
            assert status == 200
            turns += 1
        await connection.close()
        return turns

    with serving(many) as server:
        process = start(many)
        assert asyncio.run(live(server.port, process)) > 5
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert json_of(out)["deleted"]["sessions"] == MANY
    assert longest < 3
    whole(many)
