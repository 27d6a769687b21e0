"""A server that is killed where a test says: `python -m tests.support.mortal`.

It prints its port. Each line of its standard input names a folder: what served before is killed,
and a new process, whose id is printed, serves the real application on that folder's database, over
real HTTP, on the same port. Its database is a file in it, or the one of PostgreSQL whose address is
in the file `address`. An empty line waits until that process has died by itself, "-" kills
it; its exit status is printed. Time stands still, but for what a request's headers say:

- `x-later`: the request comes so many seconds after the start;
- `x-die-at`: the process kills itself (SIGKILL) at this failpoint, counted from one. There is one
  before and one after each statement of the connections that write, BEGIN, savepoints and COMMIT
  among them, and one before and one after the answer. On PostgreSQL the one after is left out:
  nothing lies between it and the next one that the database could see. Instead there is one as soon
  as COMMIT was sent. The file `died-at` then names it. An answer tells in `x-points` how many there
  are.

Processes are forked from one that has imported everything already. They keep no lease: what a node
writes of itself would be among the failpoints of whatever is being asked.
"""

import asyncio
import gc
import os
import select
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar
from unittest import mock

import asyncpg
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import lastcall.stores.postgres.place  # noqa: F401  once, and not in each process
from lastcall.cli.worker import LimitedProtocol
from lastcall.device.agent import recognise
from lastcall.feed.confirmations import Confirmations
from lastcall.feed.leases import Leases
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.server import create_app
from lastcall.settings import Settings
from lastcall.stores.place import KEY_FILE
from tests.support.fakes import START, FakeClock
from tests.support.nodes import DATABASE
from tests.support.statements import connecting

T = TypeVar("T")
ADDRESS = "address"
DIED_AT = "died-at"
PATIENCE = 30
"""Seconds that a process may take to die by itself."""
_WRITES = "lastcall-writes"


class Failpoints:
    """Counts what is passed, and ends the process at the one that is its last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.left = self.passed = 0

    def passing(self, point: str) -> None:
        """Pass a point, or don't."""
        if self.left == 1:
            (self._folder / DIED_AT).write_text(point)
            os.kill(os.getpid(), signal.SIGKILL)
        self.left = max(self.left - 1, 0)
        self.passed += 1

    def around(self, statement: str, execute: Callable[[], T]) -> T:
        """Execute a statement between two points."""
        if threading.current_thread().name != _WRITES:
            return execute()
        name = " ".join(statement.split()[:3])
        self.passing(f"before {name}")
        result = execute()
        self.passing(f"after {name}")
        return result

    async def around_other(
        self, _connection: object, name: str, execute: Callable[[], Awaitable[Any]]
    ) -> Any:  # noqa: ANN401  whatever comes of it
        """Execute a statement of PostgreSQL after a point; COMMIT has one more, once sent."""
        self.passing(f"before {name}")
        if name != "COMMIT":
            return await execute()
        executing = asyncio.ensure_future(execute())
        await asyncio.sleep(0)  # it is sent
        self.passing(f"during {name}")
        return await executing


def connection(points: Failpoints) -> type[sqlite3.Connection]:
    """Make a kind of connection whose statements all pass these points."""

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, parameters: Any = (), /) -> "Cursor":  # noqa: ANN401  as sqlite3
            points.around(sql, lambda: super(Cursor, self).execute(sql, parameters))
            return self

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401
            return points.around(sql, lambda: super(Connection, self).execute(sql, parameters))

        def cursor(self, factory: Any = None) -> Any:  # noqa: ANN401  as sqlite3
            return super().cursor(factory or Cursor)

    return Connection


def armed(app: ASGIApp, points: Failpoints, clock: FakeClock) -> ASGIApp:
    """Let the headers of each request set the clock and the failpoint."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            is_last = message["type"].endswith(".body") and not message.get("more_body")
            if message["type"] == "http.response.start":
                points.passing("before the answer")
                message["headers"].append((b"x-points", b"%d" % (points.passed + 1)))
            await send(message)
            if is_last:
                await asyncio.sleep(0)  # it is sent at the end of the loop's turn
                points.passing("after the answer")

        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        clock.step(START + timedelta(seconds=int(headers.get(b"x-later", 0))) - clock.now())
        points.left, points.passed = int(headers.get(b"x-die-at", 0)), 0
        await app(scope, receive, answer)
        points.left = 0

    return serve


async def _keep_none(_: Leases) -> None:
    """Keep no lease."""


async def _known(_: Confirmations) -> bool:
    """Know that all is durable, without the commit by which who has no lease finds that out."""
    return True


def address(folder: Path) -> str:
    """Tell where a folder's database lies."""
    elsewhere = folder / ADDRESS
    return elsewhere.read_text() if elsewhere.exists() else f"sqlite:///{folder / DATABASE}"


def serve(folder: Path, listener: socket.socket) -> None:
    """Serve a folder's database until the process is killed."""
    points, clock = Failpoints(folder), FakeClock()
    mock.patch.object(
        sqlite3, "connect", partial(sqlite3.connect, factory=connection(points))
    ).start()
    mock.patch.object(asyncpg, "connect", connecting(points.around_other)).start()
    mock.patch.object(Leases, "start", _keep_none).start()
    mock.patch.object(Confirmations, "_durable", _known).start()
    mock.patch.object(Leases, "require_reads", _keep_none).start()  # nobody deposes this database
    settings = Settings(
        database_url=address(folder),
        secret_file=folder / KEY_FILE,
        public_url=f"http://localhost:{listener.getsockname()[1]}",
    )
    app = create_app(settings, clock=clock, passwords=Passwords(CHEAP, threads=1))
    config = uvicorn.Config(
        armed(app, points, clock),
        http=LimitedProtocol,
        loop="asyncio",  # what is given to its transport is sent at once
        lifespan="on",
        log_level="warning",
        proxy_headers=False,
    )
    asyncio.run(uvicorn.Server(config).serve([listener]))


@dataclass
class Child:
    """A process that serves."""

    pid: int
    life: int
    """What can be read from as soon as it is dead."""

    @classmethod
    def fork(cls, folder: Path, listener: socket.socket) -> Self:
        """Make a process that serves a folder."""
        life, living = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                serve(folder, listener)
            finally:
                os._exit(1)
        os.close(living)
        return cls(pid, life)

    def end(self, patience: float) -> int:
        """Give it time to die by itself, then kill it; gives its exit status."""
        select.select([self.life], [], [], patience)
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.life)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main() -> None:
    """Do what each line says."""
    recognise(None, {})  # compiles its rules once, and not in each process
    gc.freeze()
    listener = socket.create_server(("127.0.0.1", 0))
    say(listener.getsockname()[1])
    child: Child | None = None
    for folder in map(str.strip, sys.stdin):
        status = child.end(0 if folder else PATIENCE) if child else 0
        child = Child.fork(Path(folder), listener) if folder not in ("", "-") else None
        say(child.pid if child else status)
    if child:
        child.end(0)


def say(number: int) -> None:
    """Tell the test a number."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
