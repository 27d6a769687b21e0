"""The command line in this process, for what prints and ends; real processes are in test_serving."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lastcall.cli.root import root

PASSWORD = "a sentence that nobody guesses\n"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON object on standard output."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


Lastcall = Callable[..., Done]


@pytest.fixture
def lastcall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lastcall:
    """Run commands in an empty folder, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("LASTCALL_") and not name.startswith("LASTCALL_TEST_"):
            monkeypatch.delenv(name)

    def run(*arguments: str, stdin: str = "", **environ: str) -> Done:
        done = CliRunner().invoke(
            root, arguments, input=stdin, env=environ, prog_name="lastcall", catch_exceptions=False
        )
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def acme(lastcall: Lastcall) -> Lastcall:
    """The same, with the account Acme and its owner, Ada."""
    done = lastcall(
        *("user", "add", "ada@example.com", "--account", "Acme", "--name", "Ada"),
        "--password-stdin",
        stdin=PASSWORD,
    )
    assert done.status == 0, done.err
    return lastcall
