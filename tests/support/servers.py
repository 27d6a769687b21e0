"""Real server processes on loopback, and the smallest HTTP client that keeps a connection."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from lastcall.identity.administration import OPERATOR
from lastcall.identity.model import Scope
from lastcall.node import Node
from lastcall.settings import load

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a sentence that nobody guesses"
EMAIL = "ada@example.com"


@dataclass(frozen=True)
class Server:
    """A server process that accepts connections."""

    url: str
    process: subprocess.Popen[str]
    setup_url: str | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return urlsplit(self.url).port or 80


def environment() -> dict[str, str]:
    """This process's environment without lastcall's settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LASTCALL_") or name.startswith("LASTCALL_TEST_")
    }


def run(folder: Path, *arguments: str, stdin: str = "") -> str:
    """Run a lastcall command in a folder; give its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "lastcall", *arguments],
        cwd=folder,
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def add_owner(folder: Path) -> None:
    """Make the database's first user."""

    async def add(node: Node) -> None:
        await node.identity.add_first("Default", EMAIL, name="Ada", password=PASSWORD, by=OPERATOR)

    _on_node(folder, add)


def new_key(folder: Path, *scopes: Scope) -> tuple[str, str]:
    """Make a key for a service of the only account; give it, and its id."""

    async def make(node: Node) -> tuple[str, str]:
        (account,) = await node.store.list_accounts()
        made, key = await node.services.create(account.id, "shop", scopes, OPERATOR)
        return key, made.id

    return _on_node(folder, make)


def _on_node(folder: Path, act: Callable[[Node], Awaitable[T]]) -> T:
    """Do what a command in a folder does, also where an event loop runs: a process takes a second
    to start."""

    async def work() -> T:
        node = await Node.open(load({}, environment()))
        try:
            return await act(node)
        finally:
            await node.close()

    with chdir(folder), ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work()).result()


@contextmanager
def serving(
    folder: Path,
    *arguments: str,
    errors: IO[str] | None = None,
    umask: int = -1,
    module: str = "lastcall",
) -> Iterator[Server]:
    """Run a server on a folder's database until the block ends; its log may go to a file. `module`
    is what is run: lastcall, or one of the tests' that is lastcall but for something, with what it
    is told first."""
    command = [
        sys.executable,
        "-m",
        *module.split("/"),
        "serve",
        "--port",
        "0",
        "--json",
        *arguments,
    ]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        umask=umask,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Server(ready["url"], process, ready["setup_url"])
    finally:
        process.send_signal(signal.SIGINT)  # at which it waits for nobody who may come yet
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()


class Connection:
    """One kept connection that sends JSON and reads JSON."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | None = None,
        forwarded_for: str | None = None,
    ) -> tuple[int, Any]:
        """Send a request; give the status and the decoded body. `forwarded_for` is the client's
        address, as a proxy tells it."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        raw = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost:{self._port}\r\n"
        head += f"Content-Length: {len(raw)}\r\n"
        head += "Content-Type: application/json\r\n" if raw else ""
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        head += f"X-Forwarded-For: {forwarded_for}\r\n" if forwarded_for else ""
        self._writer.write(head.encode() + b"\r\n" + raw)
        await self._writer.drain()
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = int(answer.split(" ", 2)[1])
        length = 0
        for line in answer.split("\r\n"):
            if line.startswith("content-length:"):
                length = int(line.partition(":")[2])
        content = await self._reader.readexactly(length)
        return status, json.loads(content) if content else None

    async def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()
