"""Whose files lastcall takes, and whose it makes: on every command, its owner's alone."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lastcall.cli.root import root
from tests.cli.conftest import PASSWORD, Lastcall
from tests.support.doctor import NOBODY, nobody, open_folder
from tests.support.servers import EMAIL, environment, serving

COMMANDS = {
    "user add": ("user", "add", "bob@example.com", "--invite"),
    "user list": ("user", "list"),
    "key": ("key", "create", "shop", "--scope", "verify"),
    "signing-key": ("signing-key", "rotate"),
    "purge": ("purge",),
    "migrate": ("migrate",),
}


def modes(folder: Path) -> dict[str, int]:
    """The mode of each file."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.mark.parametrize(
    ("command", "mode"),
    [
        *((command, 0o644) for command in COMMANDS),
        *(("user list", mode) for mode in (0o601, 0o602, 0o604, 0o620, 0o660)),
    ],
)
def test_a_database_that_others_may_use_is_refused_with_the_command_that_mends_it(
    acme: Lastcall, command: str, mode: int
) -> None:
    """Refused and not mended in silence: others may have read it already."""
    database = Path("lastcall.db")
    before = database.read_bytes()
    database.chmod(mode)
    done = acme(*COMMANDS[command])
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        "lastcall: the database lastcall.db can be read or written by others; "
        "run: chmod 600 lastcall.db\n"
    )
    assert database.read_bytes() == before
    assert stat.S_IMODE(database.stat().st_mode) == mode


def test_no_server_starts_on_a_database_that_others_may_use(acme: Lastcall) -> None:
    database = Path("lastcall.db")
    database.chmod(0o644)
    done = subprocess.run(
        [sys.executable, "-m", "lastcall", "serve", "--port", "0"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("run: chmod 600 lastcall.db\n")


def test_a_group_may_read_a_database_for_its_backups(acme: Lastcall) -> None:
    Path("lastcall.db").chmod(0o640)
    assert acme("user", "list").status == 0


@pytest.mark.parametrize("beside", ["-wal", "-shm"])
def test_what_lies_beside_a_database_is_looked_at_too(acme: Lastcall, beside: str) -> None:
    log = Path(os.path.realpath("lastcall.db") + beside)
    log.touch(0o600)
    log.chmod(0o644)
    done = acme("user", "list")
    assert done.status == 1
    assert f"run: chmod 600 {log}" in done.err


@pytest.mark.parametrize("name", ["lastcall.db", "lastcall.key"])
def test_behind_a_link_it_is_the_file_itself_whose_mode_counts(acme: Lastcall, name: str) -> None:
    kept = Path("kept")
    kept.mkdir(mode=0o700)
    for file in ("lastcall.db", "lastcall.key"):
        Path(file).rename(kept / file)
        Path(file).symlink_to(kept / file)
    assert acme("user", "list").status == 0
    (kept / name).chmod(0o644)
    done = acme("user", "list")
    assert done.status == 1
    assert "by others; run: chmod 600" in done.err


def test_a_link_that_leads_nowhere_gets_no_secret_written_behind_it(
    lastcall: Lastcall, tmp_path: Path
) -> None:
    """Somebody else may own where it leads."""
    Path("lastcall.key").symlink_to(tmp_path / "elsewhere")
    done = lastcall("user", "add", EMAIL, "--password-stdin", stdin=PASSWORD)
    assert done.status == 1
    assert "lastcall.key is missing" in done.err
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["lastcall.db", "lastcall.key"])
def test_a_file_of_another_user_s_is_refused_in_one_line(
    acme_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its mode lets nobody else read it, and lastcall asks for no other right to."""
    with open_folder() as folder:
        os.chown(folder, NOBODY, NOBODY)
        for file in ("lastcall.db", "lastcall.key"):
            copy = folder / file
            copy.write_bytes((acme_folder / file).read_bytes())
            copy.chmod(0o600)
            if file != name:
                os.chown(copy, NOBODY, NOBODY)
        monkeypatch.chdir(folder)
        with nobody():
            done = CliRunner().invoke(root, ["user", "list"], prog_name="lastcall")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "can't" in done.stderr


def test_whatever_the_umask_all_files_are_their_owner_s_alone(tmp_path: Path) -> None:
    """Those that SQLite makes included."""
    one = subprocess.run(
        [sys.executable, "-m", "lastcall", "user", "add", EMAIL, "--password-stdin"],
        cwd=tmp_path,
        env=environment(),
        input=PASSWORD,
        capture_output=True,
        text=True,
        umask=0,
        check=False,
        timeout=60,
    )
    assert one.returncode == 0, one.stderr
    assert modes(tmp_path) == {"lastcall.db": 0o600, "lastcall.key": 0o600}
    with serving(tmp_path, umask=0):
        assert modes(tmp_path) == dict.fromkeys(
            ("lastcall.db", "lastcall.db-shm", "lastcall.db-wal", "lastcall.key"), 0o600
        )
