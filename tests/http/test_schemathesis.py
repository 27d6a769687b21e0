"""Schemathesis asks a real server what its own document allows, and what it doesn't (attack 80)."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.servers import EMAIL, PASSWORD, add_owner, serving

ENDS_THE_CALLER = "logout|sign-out|terminate-others"
"""Calls that would end the caller's own session, so that all later ones test a 401 only."""
OPEN_ON_LOOPBACK = "^/metrics$"
"""Needs no key on this machine, which a document that is the same everywhere cannot say."""
EXCLUDED = "positive_data_acceptance"
"""A schema cannot say which cursor, e-mail address or password is good: 422 is right there."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def url(tmp_path: Path, log: Path) -> Iterator[str]:
    """A server whose log is kept."""
    add_owner(tmp_path)
    with log.open("w") as errors, serving(tmp_path, errors=errors) as server:
        yield server.url


@pytest.mark.parametrize("caller", ["nobody", "owner"])
def test_the_server_does_what_its_document_says(
    url: str, log: Path, tmp_path: Path, caller: str
) -> None:
    headers = []
    if caller == "owner":
        body = {"email": EMAIL, "password": PASSWORD}
        token = httpx.post(f"{url}/api/v1/sign-in", json=body).json()["access_token"]
        headers = ["-H", f"Authorization: Bearer {token}"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--url", url, "--phases", "fuzzing", "--max-examples", "5", "--seed", "1"),
            *("--exclude-checks", EXCLUDED, "--request-timeout", "10"),
            *("--exclude-path-regex", f"{ENDS_THE_CALLER}|{OPEN_ON_LOOPBACK}", *headers),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in log.read_text()
