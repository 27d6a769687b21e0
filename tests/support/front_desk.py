"""A whole server in process that people come to from their own addresses, and what holds of every
answer: no error, no fault without its challenge, and nothing of what belongs to somebody else."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx

from lastcall.events import Actor
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.purge import Purge
from lastcall.server import create_app
from lastcall.settings import Settings
from tests.http.serving import NOON
from tests.support.fakes import FakeClock
from tests.support.front_door import ACCOUNTS, ADDRESSES, POLICY, Entry
from tests.support.nodes import DATABASE

T = TypeVar("T")
OF_TIME = ("audit.purge", "signing_key.rotate")


def canary(who: str) -> str:
    """What is in all that belongs to a person, but in the name with which they act on others."""
    return f"canary-{who}"


def email(who: str) -> str:
    """A person's address."""
    return f"{canary(who)}@example.com"


def first_password(who: str) -> str:
    """A person's password at the beginning."""
    return f"first sentence of {who}"


async def _open(folder: Path, clock: FakeClock) -> Node:
    settings = Settings(database_url=f"sqlite:///{folder / DATABASE}", policy=POLICY)
    return await Node.open(
        settings, clock=clock, passwords=Passwords(CHEAP, threads=1), serving=True
    )


async def _fill(folder: Path) -> dict[str, str]:
    node = await _open(folder, FakeClock(NOON))
    ids: dict[str, str] = {}
    for name in sorted(set(ACCOUNTS.values())):
        account = await node.identity.add_account(name)
        ids[name] = account.id
        for who in (one for one in ACCOUNTS if ACCOUNTS[one] == name):
            user = await node.identity.add_user(
                account.id, email(who), name=who.title(), password=first_password(who)
            )
            ids[who] = user.id
    await node.close()
    return ids


@cache
def _filled() -> tuple[tempfile.TemporaryDirectory[str], dict[str, str]]:
    """A database with all people in it, made once."""
    folder = tempfile.TemporaryDirectory()
    return folder, asyncio.run(_fill(Path(folder.name)))


class Desk:
    """The server, on a database of its own."""

    def __init__(self, clock: FakeClock) -> None:
        filled, self.ids = _filled()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "data"
        shutil.copytree(filled.name, self._path)
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        self._open()
        self._recorded = 0
        self.new_records()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def _open(self) -> None:
        self._node = self._run(_open(self._path, self._clock))
        settings = self._node.settings
        app = create_app(settings, node=self._node)
        self._clients = {
            ip: httpx.AsyncClient(
                transport=httpx.ASGITransport(app, client=(ip, 50000)), base_url=settings.public_url
            )
            for ip in ADDRESSES.values()
        }

    def restart(self) -> None:
        """Stop the server and start it on the same database."""
        self._stop()
        self._open()

    def _stop(self) -> None:
        for client in self._clients.values():
            self._run(client.aclose())
        self._run(self._node.close())

    def close(self) -> None:
        """Stop the server and forget everything."""
        self._stop()
        self._run(self._loop.shutdown_default_executor())
        self._loop.close()
        self._folder.cleanup()

    def purge(self) -> None:
        """Delete what is over."""

        async def at_once(_seconds: float) -> None: ...

        purge = Purge(self._node.store, POLICY, self._clock, at_once)
        self._run(purge.run(Actor("system")))

    def new_records(self) -> list[Entry]:
        """Give what was recorded since this was last asked; not what the server does with time,
        that it purges and changes its signing key."""
        db = sqlite3.connect(self._path / DATABASE)
        rows = db.execute(
            "SELECT type, actor_id, target_id, session_id, ip, reason, outcome, number FROM audit"
            " WHERE number > ? ORDER BY number",
            (self._recorded,),
        ).fetchall()
        db.close()
        self._recorded = max([self._recorded, *(row[-1] for row in rows)])
        return [Entry(*row[:-1]) for row in rows if row[0] not in OF_TIME]

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        who: str,
        bearer: str | None = None,
        cookie: str | None = None,
        ip: str | None = None,
    ) -> httpx.Response:
        """Send a request as somebody's own program or page does; `ip` is from where, if not from
        where they are."""
        headers = {"Sec-Fetch-Site": "same-origin", "User-Agent": f"{canary(who)}/1.0"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        if cookie is not None:
            headers["Cookie"] = f"lastcall-{cookie}"
        client = self._clients[ip or ADDRESSES[who]]
        sent: dict[str, Any] = {} if body is None else {"json": body}
        answer = self._run(client.request(method, path, headers=headers, **sent))
        client.cookies.clear()
        assert answer.status_code < 500, answer.text
        if answer.status_code == 401:
            assert answer.headers["content-type"] == "application/problem+json"
            assert "www-authenticate" in answer.headers
            assert "set-cookie" not in answer.headers
        for other, account in ACCOUNTS.items():
            # An owner is shown what is their account's.
            theirs = other == who or (who in ("ada", "olga") and account == ACCOUNTS[who])
            assert theirs or canary(other) not in answer.text, (who, other)
        return answer
