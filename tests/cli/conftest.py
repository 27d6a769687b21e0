"""The command line in this process; what serves runs in real ones, see `test_serving`."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lastcall.cli.root import root
from tests.support import servers

PASSWORD = servers.PASSWORD + "\n"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:  # noqa: ANN401  a test says what it expects
        """The one JSON object on standard output."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


Lastcall = Callable[..., Done]


def run(*arguments: str, stdin: str = "", **environ: str) -> Done:
    """Run a command in the working directory."""
    done = CliRunner().invoke(
        root, arguments, input=stdin, env=environ, prog_name="lastcall", catch_exceptions=False
    )
    return Done(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def lastcall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lastcall:
    """Run commands in an empty folder, without settings from outside."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("LASTCALL_") and not name.startswith("LASTCALL_TEST_"):
            monkeypatch.delenv(name)
    return run


@pytest.fixture(scope="session")
def acme_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the account Acme and its owner, Ada, to copy."""
    folder = tmp_path_factory.mktemp("acme")
    command = ("user", "add", servers.EMAIL, "--name", "Ada", "--account", "Acme")
    servers.run(folder, *command, "--password-stdin", stdin=PASSWORD)
    return folder


@pytest.fixture
def acme(lastcall: Lastcall, acme_folder: Path, tmp_path: Path) -> Lastcall:
    """The same, with the account Acme and its owner, Ada."""
    shutil.copytree(acme_folder, tmp_path, dirs_exist_ok=True)
    return lastcall
