"""What the doctor says of a database's file and of what is in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.disks import small_disk
from tests.support.doctor import (
    LOCAL_DISK,
    NOBODY,
    Doctor,
    advice,
    alter,
    bad,
    born,
    left_out,
    nobody,
)

FILE = ("ownership", "modes", "disk space")
CONTENT = ("lock", "integrity", "schema")


def test_a_healthy_database_is_all_ok(doctor: Doctor) -> None:
    """And every check is made."""
    checks = doctor.says()
    assert {check.state for check in checks.values()} == {"ok"}
    assert "1, all open; one signs" in checks["signing keys"].found


# The file


def test_where_there_is_no_database_everything_else_is_said_to_be_unchecked(folder: Path) -> None:
    checks = Doctor(folder).says()
    assert bad(checks) == {"database": "problem"}
    assert "lastcall serve" in advice(checks["database"])
    assert "LASTCALL_DATABASE_URL" in advice(checks["database"])
    assert left_out(checks) >= {*FILE, *CONTENT, "commits", "secret file", "issuer"}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "remedy"),
    [(b"", "lastcall serve"), (b"not a database" * 99, "backup"), (b"SQLite", "backup")],
)
def test_a_file_that_is_no_database_is_a_problem(folder: Path, content: bytes, remedy: str) -> None:
    doctor = Doctor(folder)
    doctor.path.write_bytes(content)
    checks = doctor.says()
    assert bad(checks) == {"database": "problem"}
    assert remedy in advice(checks["database"])


def test_a_file_that_may_not_be_read_is_a_problem(doctor: Doctor) -> None:
    doctor.path.chmod(0)
    with nobody():
        checks = doctor.says()
    assert checks["database"].state == "problem"
    assert "Permission denied" in checks["database"].found
    assert "chown" in advice(checks["database"])


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_its_owner_cannot_write_is_a_problem(doctor: Doctor, what: str) -> None:
    if os.geteuid() == 0:
        for file in (doctor.path, doctor.key, doctor.folder):
            os.chown(file, NOBODY, NOBODY)
    mode, file = (0o400, doctor.path) if what == "file" else (0o555, doctor.folder)
    file.chmod(mode)
    try:
        check = doctor.says()["ownership"]
    finally:
        doctor.folder.chmod(0o755)
    assert check.state == "problem"
    assert f"chmod u+w {file}" in advice(check)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_beside_the_database_is_a_problem(doctor: Doctor) -> None:
    """As when root ran a command while the server was down."""
    os.chown(doctor.folder, NOBODY, NOBODY)
    os.chown(doctor.path, NOBODY, NOBODY)
    log = doctor.path.with_name("lastcall.db-wal")
    log.touch(0o600)
    checks = doctor.says()
    assert bad(checks) == {"ownership": "problem", "secret file": "problem"}
    assert advice(checks["ownership"]).startswith("Run: chown ")
    assert str(log) in advice(checks["ownership"])
    assert str(doctor.key) in advice(checks["secret file"])
    os.chown(doctor.folder, 0, 0)
    log.unlink()
    assert f"{doctor.folder}" in advice(doctor.says()["ownership"])


@pytest.mark.parametrize(
    ("mode", "state"), [(0o600, "ok"), (0o640, "warning"), (0o604, "problem"), (0o620, "problem")]
)
def test_a_file_that_others_may_use_is_said(doctor: Doctor, mode: int, state: str) -> None:
    doctor.path.chmod(mode)
    check = doctor.says()["modes"]
    assert check.state == state
    assert state == "ok" or f"chmod 600 {doctor.path}" in advice(check)


def test_a_folder_in_which_others_can_replace_the_files_is_a_problem(doctor: Doctor) -> None:
    doctor.folder.chmod(0o777)
    check = doctor.says()["modes"]
    assert (check.state, advice(check)) == ("problem", f"Run: chmod o-w {doctor.folder}")
    doctor.folder.chmod(0o1777)
    assert doctor.says()["modes"].state == "ok"


@pytest.mark.parametrize(("size", "state"), [("8m", "problem"), ("64m", "warning")])
def test_a_disk_that_is_nearly_full_is_said(folder: Path, size: str, state: str) -> None:
    with small_disk(folder, size):
        check = born(Doctor(folder)).says()["disk space"]
    assert check.state == state
    assert "Make room" in advice(check)


def test_a_disk_that_cannot_be_written_is_a_problem(folder: Path) -> None:
    with small_disk(folder, "512m"):
        doctor = born(Doctor(folder))
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        checks = doctor.says()
    assert bad(checks) == {"ownership": "problem"}
    assert "findmnt" in advice(checks["ownership"])
    assert "can't tell" in checks["sync"].found


def test_a_link_to_a_database_is_followed(doctor: Doctor) -> None:
    """SQLite keeps what it needs beside the file itself."""
    there = doctor.folder / "there"
    there.mkdir()
    doctor.path.rename(there / "real.db")
    doctor.path.symlink_to(there / "real.db")
    doctor.changes["mounts"] = f"{LOCAL_DISK}server:/x {there} nfs rw 0 0\n"
    assert bad(doctor.says()) == {"file system": "warning"}
    there.chmod(0o777)
    assert str(there) in advice(doctor.says()["modes"])


# What is in it


def test_a_damaged_file_is_a_problem(doctor: Doctor) -> None:
    content = bytearray(doctor.path.read_bytes())
    for page in range(4096 * 4, len(content), 4096):
        content[page : page + 512] = b"\xff" * 512
    doctor.path.write_bytes(content)
    check = doctor.says()["integrity"]
    assert check.state == "problem"
    assert "damaged" in check.found
    assert "backup" in advice(check).lower()


def test_a_file_that_was_cut_short_is_a_problem(doctor: Doctor) -> None:
    doctor.path.write_bytes(doctor.path.read_bytes()[: 4096 * 7])
    check = doctor.says()["integrity"]
    assert check.state == "problem"
    assert "backup" in advice(check).lower()


def test_tables_of_somebody_else_are_a_problem(folder: Path) -> None:
    doctor = Doctor(folder)
    alter(doctor, "CREATE TABLE theirs (id INTEGER)")
    checks = doctor.says()
    assert checks["schema"].state == "problem"
    assert "LASTCALL_DATABASE_URL" in advice(checks["schema"])
    assert left_out(checks) >= {"signing keys", "issuer", "administration"}


def test_a_database_without_tables_waits_for_a_server(folder: Path) -> None:
    doctor = Doctor(folder)
    alter(doctor, "CREATE TABLE gone (id INTEGER)", "DROP TABLE gone")
    assert "lastcall serve" in advice(doctor.says()["schema"])


def test_a_newer_database_wants_a_newer_lastcall(doctor: Doctor) -> None:
    alter(doctor, "UPDATE alembic_version SET version_num = '9999'")
    checks = doctor.says()
    assert checks["schema"].state == "problem"
    assert "9999" in checks["schema"].found
    assert advice(checks["schema"]).startswith("Upgrade lastcall")
    assert left_out(checks) >= {"signing keys", "issuer", "administration"}


def test_an_older_database_wants_a_migration(doctor: Doctor) -> None:
    alter(doctor, "UPDATE alembic_version SET version_num = '0001'")
    check = doctor.says()["schema"]
    assert check.state == "problem"
    assert advice(check).endswith("run: lastcall migrate")


def test_contents_that_nobody_can_read_are_a_problem(doctor: Doctor) -> None:
    alter(doctor, "DELETE FROM installation")
    check = doctor.says()["schema"]
    assert check.state == "problem"
    assert "backup" in advice(check)


HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA locking_mode = " + sys.argv[2])
db.execute("BEGIN " + sys.argv[3])
db.execute("CREATE TABLE IF NOT EXISTS more (id INTEGER)")
print("held", flush=True)
sys.stdin.readline()
"""


DIE = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("UPDATE alembic_version SET version_num = '9999'")
db.commit()
os._exit(0)
"""


@contextmanager
def held(doctor: Doctor, mode: str, begin: str = "IMMEDIATE") -> Iterator[int]:
    """Have another process in the middle of a write."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(doctor.path), mode, begin],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_process_that_keeps_everybody_from_writing_is_named(doctor: Doctor) -> None:
    with held(doctor, "NORMAL") as process:
        checks = doctor.says()
    assert bad(checks) == {"lock": "problem"}
    assert f"kill {process}" in advice(checks["lock"])


def test_a_process_that_keeps_everybody_from_reading_is_a_problem(doctor: Doctor) -> None:
    with held(doctor, "EXCLUSIVE") as process:
        checks = doctor.says()
    assert bad(checks) == {"lock": "problem"}
    assert f"kill {process}" in advice(checks["lock"])
    assert left_out(checks) >= {"integrity", "schema", "signing keys"}


def test_where_nobody_can_tell_who_has_the_lock_the_lock_is_said(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems without Linux's answer."""
    monkeypatch.setattr(sys, "platform", "other")
    alter(doctor, "PRAGMA journal_mode = DELETE")
    with held(doctor, "EXCLUSIVE", "EXCLUSIVE"):
        checks = doctor.says()
    assert bad(checks) == {"lock": "problem"}
    assert f"fuser {doctor.path}" in advice(checks["lock"])


def test_what_a_killed_server_left_is_read_and_left_alone(doctor: Doctor) -> None:
    """The last commits are in the write-ahead log alone."""
    subprocess.run([sys.executable, "-c", DIE, str(doctor.path)], check=True)
    assert doctor.path.with_name("lastcall.db-wal").stat().st_size
    checks = doctor.says()
    assert bad(checks) == {"schema": "problem"}
    doctor.path.with_name("lastcall.db-shm").unlink()
    checks = doctor.says()
    assert bad(checks) == {"integrity": "warning"}
    assert "Start the server" in advice(checks["integrity"])
    assert left_out(checks) >= {"schema", "signing keys"}


def test_a_database_in_rollback_mode_is_said(doctor: Doctor) -> None:
    alter(doctor, "PRAGMA journal_mode = DELETE")
    checks = doctor.says()
    assert bad(checks) == {"commits": "warning"}
    assert "Start the server" in advice(checks["commits"])
