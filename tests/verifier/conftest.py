"""A real server with one user, and verifiers that follow it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lastcall import Verifier
from tests.support import servers
from tests.support.clocks import Jumping


@dataclass
class World:
    """A server's folder, the server, and a service key of its only account."""

    folder: Path
    url: str
    key: str
    key_id: str

    def sign_in(self, url: str | None = None) -> str:
        """Begin a session and give its access token."""
        body = {"email": servers.EMAIL, "password": servers.PASSWORD}
        answer = httpx.post((url or self.url) + "/api/v1/sign-in", json=body)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def sign_out(self, token: str) -> None:
        """End the session of an access token."""
        answer = httpx.post(self.url + "/api/v1/sign-out", headers=bearer(token))
        assert answer.status_code == 204, answer.text

    def end(self, token: str, session: str) -> str:
        """End a session by another one's token, and wait for certainty; give the state."""
        where = f"{self.url}/api/v1/sessions/{session}?wait=5"
        answer = httpx.delete(where, headers=bearer(token), timeout=20)
        assert answer.status_code == 200, answer.text
        state: str = answer.json()["state"]
        return state

    @contextmanager
    def verifier(self, *more: str, clock: Jumping | None = None) -> Iterator[Verifier]:
        """A verifier that has a lease."""
        clock = clock or Jumping()
        with Verifier(self.url, *more, key=self.key, clock=clock) as verifier:
            verifier.wait_ready(20)
            yield verifier


def bearer(token: str) -> dict[str, str]:
    """Show a token."""
    return {"Authorization": f"Bearer {token}"}


Prepare = Callable[[Path], tuple[str, str]]


@pytest.fixture(scope="session")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """Puts a database with a user and a service key into a folder; gives the key and its id. It is
    made once and copied."""
    made = tmp_path_factory.mktemp("made")
    servers.add_owner(made)
    made_key = servers.new_key(made, "verify")

    def copy(folder: Path) -> tuple[str, str]:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return made_key

    return copy


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, prepare: Prepare) -> Iterator[World]:
    """A server that a file's tests share, none of which stops it."""
    folder = tmp_path_factory.mktemp("verified")
    key, key_id = prepare(folder)
    with servers.serving(folder) as server:
        yield World(folder, server.url, key, key_id)
