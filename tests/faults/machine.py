"""A server that dies where it is told, who is signed in at it, and all that can be seen of it."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.support.held import until
from tests.support.mortal import ADDRESS, DIED_AT, address
from tests.support.nodes import DATABASE, EMAIL, PASSWORD
from tests.support.servers import environment
from tools.postgres import Server

BOB, CAROL = "bob@example.com", "carol@example.com"
NEW_PASSWORD = "another sentence nobody guesses"
LATE = 60
"""Seconds after which no successor is given again."""
_UNSEEN = ("throttle", "nodes", "sqlite_sequence")
"""An attempt is counted in a commit of its own, before it is looked at: that is none of a change;
rows of nodes are of running processes, and numbers may be left out."""
UNDER_WAY = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid != pg_backend_pid() AND backend_type = 'client backend' AND state != 'idle'"
)

Content = Mapping[str, Sequence[tuple[Any, ...]]]
"""Every row of every table."""


def content(database: Path) -> Content:
    """Read a database, after SQLite has found it sound."""
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            table: db.execute(f'SELECT * FROM "{table}" ORDER BY 1').fetchall()  # noqa: S608
            for (table,) in tables
            if table not in _UNSEEN
        }


async def content_elsewhere(url: str) -> Content:
    """Read a database of PostgreSQL, once nothing is under way for who was killed."""
    await until(url, UNDER_WAY, 0)
    db = await asyncpg.connect(url)
    tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = {
        table: [tuple(row) for row in await db.fetch(f'SELECT * FROM "{table}" ORDER BY 1')]  # noqa: S608
        for (table,) in tables
        if table not in _UNSEEN
    }
    await db.close()
    return found


@dataclass
class Machine:
    """What the server runs on: its processes, and the network to it."""

    launcher: subprocess.Popen[str]
    client: httpx.Client
    successors: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Every refresh token that was shown, with all that was given for it: one at most."""

    def start(self, folder: Path) -> int:
        """Kill what serves, and serve this folder by a new process; gives its id."""
        return self._launch(str(folder))

    def close(self) -> None:
        """Kill what serves."""
        self._launch("-")

    def died_at(self, folder: Path) -> str:
        """Wait until the server has killed itself; tell where it did."""
        assert self._launch("") == -signal.SIGKILL
        return (folder / DIED_AT).read_text()

    def _launch(self, line: str) -> int:
        assert self.launcher.stdin is not None
        assert self.launcher.stdout is not None
        self.launcher.stdin.write(f"{line}\n")
        self.launcher.stdin.flush()
        return int(self.launcher.stdout.readline())

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        token: str | None = None,
        later: int = 0,
        die_at: int = 0,
    ) -> httpx.Response | None:
        """Send a request; None where no answer came. What is under no `/api` is a page's form."""
        self.client.cookies.clear()  # whoever is asking comes from elsewhere
        headers = {"x-later": str(later), "x-die-at": str(die_at)}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if path.startswith("/api"):
            request = self.client.build_request(method, path, json=body, headers=headers)
        else:
            headers["Sec-Fetch-Site"] = "same-origin"
            request = self.client.build_request(method, path, data=body, headers=headers)
        try:
            answer = self.client.send(request)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            return None
        if path.endswith("/refresh") and body and answer.is_success:
            given = self.successors[str(body["refresh_token"])]
            given.add(answer.json()["refresh_token"])
            assert len(given) == 1
        return answer

    def tell(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401  JSON
        """Send a request that must succeed."""
        answer = self.ask(method, path, body)
        assert answer is not None
        assert answer.is_success, answer.text
        return answer.json()

    def refresh(self, shown: str, later: int = 0) -> httpx.Response:
        """Show a refresh token."""
        answer = self.ask("POST", "/api/v1/refresh", {"refresh_token": shown}, later=later)
        assert answer is not None
        return answer


@contextmanager
def launched() -> Iterator[Machine]:
    """Give a machine on which nothing is served yet."""
    # Who is killed can't say what it covered, so it needn't measure it.
    unmeasured = {name: it for name, it in environment().items() if "COVERAGE" not in name}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.mortal"],
        env=unmeasured,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as launcher:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        url = f"http://localhost:{int(launcher.stdout.readline())}"
        once = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=url, limits=once, timeout=30) as client:
            yield Machine(launcher, client)
        launcher.stdin.close()


@dataclass(frozen=True)
class Device:
    """Somebody's signed-in device."""

    user: str
    session: str
    access: str
    refresh: str
    used_up: str
    """The refresh token before, which nobody but a thief would show."""


@dataclass(frozen=True)
class World:
    """A database before an operation, and what its people hold: Ada, who owns the account, and Bob
    are signed in with a device and a phone each; Carol is invited."""

    folder: Path
    devices: Mapping[str, Device]
    invitation: str
    template: "Template | None" = None
    """Its database, where that isn't in the folder."""

    def begin(self, machine: Machine, folder: Path) -> Path:
        """Serve a copy of it."""
        machine.close()
        machine.successors.clear()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        if self.template:
            (folder / ADDRESS).write_text(self.template.copy(folder.name))
        machine.start(folder)
        return folder


@dataclass(frozen=True)
class Template:
    """A database of PostgreSQL that is copied, and to which nobody else is connected."""

    server: Server
    name: str

    def copy(self, name: str) -> str:
        """Give the address of a new copy; one of the same name is gone, whoever is connected."""
        self.server.drop_database(f"{self.name}_{name}")
        return self.server.create_database(f"{self.name}_{name}", self.name)

    def drop(self) -> None:
        """Remove it and its copies."""
        named = f"SELECT array_agg(datname) FROM pg_database WHERE datname LIKE '{self.name}%'"  # noqa: S608  its own
        for name in self.server.value(named):
            self.server.drop_database(name)


def sign_in(machine: Machine, email: str, user: str) -> Device:
    """Sign a device in, and refresh its tokens once."""
    given = machine.tell("POST", "/api/v1/sign-in", {"email": email, "password": PASSWORD})
    now = machine.refresh(given["refresh_token"]).json()
    return Device(
        user,
        given["session"]["id"],
        now["access_token"],
        now["refresh_token"],
        given["refresh_token"],
    )


@dataclass(frozen=True)
class View:
    """All that can be seen of a world, by who knows nothing of the process that was killed."""

    content: Content = field(compare=False, repr=False)
    rows: Mapping[str, int]
    events: Sequence[str]
    records: Sequence[str]
    passwords: Mapping[tuple[str, str], str]
    devices: Mapping[str, Sequence[str]]


def content_of(machine: Machine, folder: Path) -> Content:
    """Read the database of a server that is ready; in PostgreSQL no server of ours has to."""
    if (folder / ADDRESS).exists():
        return asyncio.run(content_elsewhere(address(folder)))
    machine.tell("GET", "/readyz")
    return content(folder / DATABASE)


def look(machine: Machine, world: World, folder: Path) -> View:
    """Look at everything, over the API wherever a user would; uses the world up."""
    found = content_of(machine, folder)
    return View(
        found,
        {table: len(rows) for table, rows in found.items()},
        [str(row[4]) for row in found["events"]],
        [f"{row[2]} {row[3]}" for row in found["audit"]],
        {
            (email, password): _sign_in(machine, email, password)
            for email, password in (
                (EMAIL, PASSWORD),
                (EMAIL, NEW_PASSWORD),
                (BOB, PASSWORD),
                (CAROL, NEW_PASSWORD),
            )
        },
        {name: _tokens(machine, device) for name, device in world.devices.items()},
    )


def _sign_in(machine: Machine, email: str, password: str) -> str:
    """Tell what a password is good for, and how many sessions its user then sees."""
    answer = machine.ask("POST", "/api/v1/sign-in", {"email": email, "password": password})
    if answer is None or not answer.is_success:
        return _told(answer)
    listed = machine.ask("GET", "/api/v1/sessions", token=answer.json()["access_token"])
    assert listed is not None
    return f"{len(listed.json()['sessions'])} sessions"


def _tokens(machine: Machine, device: Device) -> list[str]:
    """Show each token of a device: the one that is good first, the one that was used up last."""
    answers = [machine.ask("GET", "/api/v1/session", token=device.access)]
    answers += [first := machine.refresh(device.refresh), machine.refresh(device.refresh)]
    if first.is_success:
        given = first.json()
        answers += [machine.ask("GET", "/api/v1/session", token=given["access_token"])]
        answers += [machine.refresh(given["refresh_token"])]
        answers += [machine.refresh(device.refresh, LATE)]
        answers += [machine.refresh(given["refresh_token"], LATE)]
    answers += [machine.refresh(device.used_up, LATE)]
    return [_told(answer) for answer in answers]


def _told(answer: httpx.Response | None) -> str:
    assert answer is not None
    if answer.is_success:
        return "good"
    problem = answer.json()
    return " ".join(str(problem[key]) for key in ("status", "code", "reason") if key in problem)


def invite(machine: Machine, token: str) -> str:
    """Invite Carol; gives the secret of her link."""
    added = machine.ask("POST", "/api/v1/users", {"email": CAROL}, token=token)
    assert added is not None
    assert added.is_success, added.text
    return str(added.json()["invitation"]["url"]).partition("?token=")[2]
