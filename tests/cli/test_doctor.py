"""`lastcall doctor`: what it prints, how it ends, and that it is as harmless as it says."""

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from lastcall.doctor.machine import Machine
from tests.cli.conftest import Lastcall
from tests.support.doctor import LOCAL_DISK, snapshot
from tests.support.servers import environment, serving

QUIET = ("--public-url", "http://localhost:1")
"""Where nothing answers."""


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine in order, whatever is true of this one."""
    made = partial(Machine, mounts=LOCAL_DISK, synchronised=True, sqlite=(3, 51, 3))
    monkeypatch.setattr("lastcall.doctor.machine.Machine", made)


def states(checks: list[dict[str, str]]) -> dict[str, str]:
    return {check["name"]: check["state"] for check in checks}


def test_programs_get_one_object_with_every_check(acme: Lastcall) -> None:
    done = acme("doctor", "--json", *QUIET)
    assert (done.status, done.err) == (0, "")
    assert set(done.data) == {"ok", "checks"}
    assert done.data["ok"] is True
    assert all(set(check) == {"name", "state", "found", "advice"} for check in done.data["checks"])
    found = states(done.data["checks"])
    assert set(found.values()) == {"ok"}


def test_a_problem_ends_with_1_and_a_warning_with_0(acme: Lastcall) -> None:
    Path("lastcall.db").chmod(0o640)
    done = acme("doctor", "--json", *QUIET)
    assert (done.status, done.data["ok"]) == (0, True)
    assert states(done.data["checks"])["modes"] == "warning"
    Path("lastcall.key").unlink()
    done = acme("doctor", "--json", *QUIET)
    assert (done.status, done.data["ok"]) == (1, False)
    assert states(done.data["checks"])["secret file"] == "problem"
    assert states(done.data["checks"])["signing keys"] == "skipped"


def test_people_get_aligned_lines_of_80_columns_and_a_sum(
    acme: Lastcall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    Path("lastcall.key").chmod(0o644)
    done = acme("doctor", *QUIET)
    assert done.status == 1
    assert max(map(len, done.out.splitlines())) <= 80
    assert re.search(r"^ok       schema          this version's", done.out, re.MULTILINE)
    assert re.search(
        r"^PROBLEM  secret file     the secret file lastcall.key can be read by others\n"
        r" {25}> Run: chmod 600 lastcall.key$",
        done.out,
        re.MULTILINE,
    )
    # What goes on below a line stands under its text.
    assert re.search(r"^ok       policy          .*\n {25}\S.*\nok ", done.out, re.MULTILINE)
    assert re.search(r"^-        signing keys    not checked: ", done.out, re.MULTILINE)
    assert re.fullmatch(r"1 problem, 0 warnings, \d+ ok, 1 not checked\.\n", done.err)


def test_what_a_path_could_do_to_a_terminal_is_shown_escaped(acme: Lastcall) -> None:
    done = acme("doctor", "--database-url", "sqlite:///\x1b[2J.db", *QUIET)
    assert "\x1b" not in done.out
    assert r"\x1b[2J.db" in done.out


def test_it_takes_what_serve_takes_and_says_what_is_wrong_with_it(acme: Lastcall) -> None:
    done = acme("doctor", "--json", "--lease", "soon", "--host", "0.0.0.0", "--port", "1")
    assert done.status == 1
    assert states(done.data["checks"])["settings"] == "problem"
    done = acme("doctor", "--json", "--host", "0.0.0.0", "--port", "1")
    assert states(done.data["checks"])["public URL"] == "warning"
    served = ("--workers", "4", "--access-log", "--port", "0", "--policy", "aal1")
    assert acme("doctor", "--json", *served, *QUIET).data["ok"] is True
    done = acme("doctor", "--json", LASTCALL_COLOUR="blue")
    assert done.status == 1
    assert "LASTCALL_COLOUR" in done.data["checks"][0]["found"]


def test_nothing_is_changed_or_made_and_no_secret_is_told(acme: Lastcall, tmp_path: Path) -> None:
    secret = Path("lastcall.key").read_text().strip().removeprefix("lastcall-secret-1:")
    before = snapshot(tmp_path)
    for arguments in ((), ("--json",), ("--database-url", "sqlite:///missing.db")):
        done = acme("doctor", *arguments, *QUIET)
        assert secret not in done.out + done.err
    assert snapshot(tmp_path) == before


def without_log(taken: dict[str, object]) -> dict[str, object]:
    """Leave out what a running server writes by itself, as it renews its lease."""
    return {name: it for name, it in taken.items() if not name.endswith(("-wal", "-shm"))}


def test_beside_a_running_server_all_is_read_and_the_server_goes_on(
    acme: Lastcall, tmp_path: Path
) -> None:
    """The server has the database open, and answers at its public URL."""
    with serving(tmp_path) as server:
        before = without_log(snapshot(tmp_path))
        done = subprocess.run(
            [sys.executable, "-m", "lastcall", "doctor", "--json", "--port", str(server.port)],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert without_log(snapshot(tmp_path)) == before
        assert acme("user", "add", "bo@example.com", "--invite").status == 0
    checks = json.loads(done.stdout)["checks"]
    found = {check["name"]: check["found"] for check in checks}
    assert done.stderr == ""
    assert "skipped" not in states(checks).values()
    assert found["reachable"] == f"a server answers at {server.url}"
    assert found["issuer"] == "the public URL"
    assert "one signs" in found["signing keys"]
