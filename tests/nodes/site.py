"""Nodes of one PostgreSQL database, and those who use them."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import httpx

from lastcall import SessionEnded, Verifier
from lastcall.clock import lease_clock
from lastcall.leases import margins
from tests.faults.stage import Prepared
from tests.support.servers import Server, serving
from tools.postgres import Server as Database

LEASE: Final = 3
"""Seconds of a lease, where a test waits for one to run out."""
KEPT: Final = margins.kept(LEASE)
PATIENCE: Final = 30.0
"""Seconds after which a test gives up; none is decided by it."""
CLIENT: Final = {"client": {"ip": "127.0.0.1", "user_agent": "test"}}
"""From where an application's users come."""
ROWS: Final = "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM nodes"
LISTENERS: Final = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds that other processes bring about."""
    until, pause = lease_clock() + PATIENCE, threading.Event()
    while not holds():
        assert lease_clock() < until, f"never: {what}"
        pause.wait(0.02)


@dataclass(frozen=True, slots=True)
class Begun:
    """A session, and its newest tokens."""

    id: str
    access: str
    refresh: str


@dataclass(frozen=True, slots=True)
class Site:
    """A folder in which every lastcall works on the same PostgreSQL database."""

    folder: Path
    database: str
    server: Database
    verify_key: str
    sessions_key: str

    @classmethod
    def make(
        cls, prepared: Prepared, folder: Path, server: Database, name: str, url: str | None = None
    ) -> "Site":
        """Put a folder in front of a database that is as the prepared one; its address is that of
        its server, unless it is another one."""
        shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
        write_settings(folder, url or server.url(name))
        return cls(folder, name, server, prepared.verify_key, prepared.sessions_key)

    def node(
        self,
        *arguments: str,
        lease: int = LEASE,
        module: str = "lastcall",
        errors: IO[str] | None = None,
    ) -> AbstractContextManager[Server]:
        """Run a node, or with `--workers` several, until the block ends."""
        return serving(self.folder, "--lease", str(lease), *arguments, module=module, errors=errors)

    @contextmanager
    def nodes(
        self, many: int, *, lease: int = LEASE, module: str = "lastcall"
    ) -> Iterator[list[Server]]:
        """Start several at once."""
        with ExitStack() as stack, ThreadPoolExecutor(many) as pool:
            contexts = [self.node(lease=lease, module=module) for _ in range(many)]
            yield [*pool.map(stack.enter_context, contexts)]

    @contextmanager
    def verifier(self, *nodes: Server) -> Iterator[Verifier]:
        """A service that has a lease from the first of these nodes that answers."""
        with Verifier(*(node.url for node in nodes), key=self.verify_key) as made:
            made.wait_ready(PATIENCE)
            yield made

    def ask(self, node: Server, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  JSON
        """Have an application ask a node; give its good answer."""
        answer = self.request(node, method, path, body)
        assert answer.is_success, answer.text
        return answer.json()

    def request(
        self, node: Server, method: str, path: str, body: object = None, token: str | None = None
    ) -> httpx.Response:
        """Ask a node, by the application's key unless by another token."""
        return httpx.request(
            method,
            f"{node.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {token or self.sessions_key}"},
            timeout=PATIENCE,
        )

    def begin(self, node: Server, user: str = "ada") -> Begun:
        """Begin a session."""
        given = self.ask(node, "POST", "/sessions", {"user": {"external_id": user}, **CLIENT})
        return Begun(given["session"]["id"], given["access_token"], given["refresh_token"])

    def end(self, node: Server, session: Begun, wait: float = 10) -> dict[str, Any]:
        """End a session, and wait for so many seconds for that to be confirmed."""
        answer: dict[str, Any] = self.ask(node, "DELETE", f"/sessions/{session.id}?wait={wait}")
        return answer

    # The database.

    def rows(self) -> list[str]:
        """The nodes' ids."""
        return list(self.value(ROWS))

    def value(self, query: str, *arguments: object) -> Any:  # noqa: ANN401  whatever it asks for
        """Ask the database itself."""
        return self.server.value(query, *arguments, database=self.database)

    def execute(self, *statements: str) -> None:
        """Change the database itself."""
        self.server.execute(*statements, database=self.database)


def write_settings(folder: Path, database_url: str) -> None:
    """Have every lastcall that is started in a folder work on a database."""
    (folder / "lastcall.toml").write_text(f'database_url = "{database_url}"\n')


def refuses(verifier: Verifier, token: str) -> bool:
    """Whether a service says that a token's session is over; what else it may say is raised."""
    try:
        verifier.verify(token)
    except SessionEnded:
        return True
    return False
