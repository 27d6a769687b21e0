"""A server with a user and keys, and commands run as they are printed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import pytest

from tests.docs.blocks import Block
from tests.support.servers import EMAIL, PASSWORD, Server, add_owner, environment, new_key, serving

PRINTED_PASSWORD: Final = "a sentence that only you know"
ADDRESS: Final = "https://id.example.com"
KEY: Final = "lck_…"
_SERVE: Final = """
coproc serving { exec lastcall serve --port 0; }
process=$serving_PID
read -r ready <&"${serving[0]}"
echo "$ready"
kill "$process"
wait "$process" || true
"""
"""A server is stopped once it says that it is ready."""


@dataclass(frozen=True)
class Place:
    """A folder with a database, the server on it, keys, and the owner's token."""

    folder: Path
    server: Server
    verify: str
    sessions: str
    token: str
    user: str

    def written(self, text: str, key: str) -> str:
        """Give an example with this server and a key in the place of what is printed."""
        here = text.replace(ADDRESS, self.server.url).replace("http://127.0.0.1:8000", ADDRESS)
        here = here.replace("http://localhost:8000", self.server.url).replace(KEY, key)
        return here.replace(ADDRESS, self.server.url)

    def shell(self, block: Block) -> str:
        """Run commands as they are printed; give what they said."""
        text = block.text.replace("localhost:8000", f"localhost:{self.server.port}")
        return shell(self.folder, text)


def shell(folder: Path, text: str) -> str:
    """Run commands in a folder: passwords come from standard input, and a server is stopped."""
    told = f" --password-stdin <<< '{PASSWORD}'"
    text = text.replace("user add ada@example.com", "user add ada@example.com" + told)
    text = text.replace(PRINTED_PASSWORD, PASSWORD)
    text = text.replace("lastcall serve\n", _SERVE)
    own = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment() | {"PATH": f"{own}{os.pathsep}{environment()['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server, list[str]]]:
    """A server with Ada, its owner, and a key of either scope."""
    folder = tmp_path_factory.mktemp("place")
    add_owner(folder)
    keys = [new_key(folder, "verify")[0], new_key(folder, "sessions")[0]]
    with serving(folder) as server:
        yield folder, server, keys


@pytest.fixture
def place(served: tuple[Path, Server, list[str]]) -> Place:
    """The same, with a session of Ada's that has just begun."""
    folder, server, (verify, sessions) = served
    begun = httpx2.post(
        f"{server.url}/api/v1/sign-in", json={"email": EMAIL, "password": PASSWORD}
    ).json()
    token = begun["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    user = httpx2.get(f"{server.url}/api/v1/session", headers=bearer).json()["user"]["id"]
    return Place(folder, server, verify, sessions, token, user)
