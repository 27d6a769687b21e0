"""Whether what was committed stays: the journal, the file system, the disk, SQLite itself."""

import os
import time
from pathlib import Path
from statistics import median
from typing import Final

from lastcall.doctor.check import Check, ok, problem, skipped, warning
from lastcall.doctor.database import Found, folder_of
from lastcall.doctor.machine import Machine

VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
LAYERED: Final = frozenset({"overlay", "aufs"})
NETWORK: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "prl_fs",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "fuse",
    }
)
MENDED: Final = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""The first releases of each line of SQLite without the WAL-reset bug
(https://sqlite.org/wal.html, section 11)."""
_SYNCS: Final = 5
_TOO_FAST: Final = 20e-6
"""Seconds: no disk keeps anything as quickly."""


def examine(found: Found, machine: Machine) -> tuple[Check, ...]:
    """Check what durability rests on (instant-logout, rule 15)."""
    commits = skipped(("commits",), found.because) if found.durable is None else (_commits(found),)
    folder = None if found.path is None else folder_of(found.path)
    disk = (
        skipped(("file system", "sync"), found.because)
        if folder is None
        else (_file_system(folder, machine), _sync(folder))
    )
    return (*commits, *disk, _sqlite(machine.sqlite))


def _commits(found: Found) -> Check:
    name = "commits"
    if not found.durable:
        return problem(
            name,
            "this SQLite doesn't wait for the disk (synchronous=FULL is not taken)",
            "Use a Python whose SQLite was built without such a change.",
        )
    if found.journal != "write-ahead":
        return warning(
            name,
            "the database is in rollback mode, in which readers and writers wait for each other",
            "Start the server, which puts it into write-ahead mode.",
        )
    return ok(
        name,
        "write-ahead log, each commit synced to disk. What the disk itself loses, or a copy of "
        "the database that is served elsewhere, lastcall can't know of: an ended session may "
        "live there",
    )


def _file_system(folder: Path, machine: Machine) -> Check:
    name = "file system"
    kind = machine.file_system(folder)
    if kind is None:
        return ok(name, "can't tell its type on this machine")
    advice = "Keep the database on a local disk (LASTCALL_DATABASE_URL)."
    if kind in VOLATILE:
        return problem(
            name, f"{kind}: the database is gone when this machine or container stops", advice
        )
    if kind in LAYERED:
        return warning(
            name,
            f"{kind}: the database lies in a container's own layer and is gone with the container",
            "Keep the database on a volume (LASTCALL_DATABASE_URL).",
        )
    if kind in NETWORK or kind.startswith("fuse."):
        return warning(
            name,
            f"{kind}: locks and syncs of SQLite may not hold on a shared or network file system",
            advice,
        )
    return ok(name, kind)


def _sync(folder: Path) -> Check:
    """Measure a sync on a file that has no name and so leaves nothing (open(2), O_TMPFILE)."""
    name = "sync"
    try:
        file = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
        try:
            taken = []
            for _ in range(_SYNCS):
                os.write(file, bytes(4096))
                before = time.perf_counter()
                os.fsync(file)
                taken.append(time.perf_counter() - before)
        finally:
            os.close(file)
    except (AttributeError, OSError):
        return ok(name, "can't tell how long it takes without making a file")
    usual = median(taken)
    said = f"{usual * 1000:.2g} ms to sync a page to disk"
    if usual < _TOO_FAST:
        return ok(name, f"{said}: too quick for a disk; does it lie, or forget at a power cut?")
    return ok(name, said)


def _sqlite(version: tuple[int, ...]) -> Check:
    name, said = "SQLite", ".".join(map(str, version))
    mended = version >= MENDED[-1] or any(
        version[:2] == first[:2] and version >= first for first in MENDED
    )
    if mended:
        return ok(name, said)
    return warning(
        name,
        f"{said} can, very rarely, damage a database that several connections write at once "
        "(unless whoever packaged it has mended it)",
        "Run lastcall on a Python with SQLite 3.51.3 or newer, and keep backups.",
    )
