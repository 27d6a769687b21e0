"""The server processes: lastcall's own, the floor's, and an application's."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent


class NotStarted(Exception):
    """A server process ended before it listened; it says why on standard error."""


@contextmanager
def lastcall(folder: Path, python: str = sys.executable, *more: str) -> Iterator[int]:
    """Run `lastcall serve` until the block ends, on a folder's database unless more options say
    otherwise; give its port."""
    command = [python, "-m", "lastcall", "serve", "--port", "0", "--json", *more]
    with _child(command, folder) as line:
        yield urlsplit(json.loads(line)["url"]).port or 80


@contextmanager
def floor(database: Path) -> Iterator[int]:
    """Run the floor on a database until the block ends; give its port."""
    command = [sys.executable, "-m", "benchmarks.floor_server", str(database)]
    with _child(command, ROOT) as line:
        yield int(line)


@contextmanager
def least(database_url: str) -> Iterator[int]:
    """Run the least that refreshes on a database of its own until the block ends; give its port."""
    command = [sys.executable, "-m", "benchmarks.least_server", database_url]
    with _child(command, ROOT) as line:
        yield int(line)


@contextmanager
def shop(address: str, key: str) -> Iterator[int]:
    """Run an application that follows a server until the block ends; give its port."""
    command = [sys.executable, "-m", "benchmarks.shop_server", address]
    with _child(command, ROOT, key) as line:
        yield int(line)


@contextmanager
def _child(command: list[str], folder: Path, said: str = "") -> Iterator[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LASTCALL_")
    }
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with process:
        try:
            if process.stdin:
                print(said, file=process.stdin, flush=True)
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise NotStarted(" ".join(command[1:4]))
            yield line
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
