"""The database's file: there, whole, ours, of this version, and its owner's alone."""

import os
import shutil
import stat
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import InvalidRequestError

from lastcall.doctor.check import Check, failed, ok, problem, sentence, skipped, warning
from lastcall.doctor.machine import Machine, owner
from lastcall.errors import SettingsError, StoreError, Unavailable
from lastcall.settings import Settings
from lastcall.stores import inspection, opening, place
from lastcall.stores.inspection import Facts, Holder, Journal

FILE: Final = ("database", "ownership", "modes", "disk space")
CONTENT: Final = ("lock", "integrity", "schema")
_MIB: Final = 1024 * 1024
NO_SPACE: Final = 16 * _MIB
LITTLE_SPACE: Final = 256 * _MIB
_LOOK: Final = 0.05
"""Seconds between two looks at a lock."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the database; what isn't is None."""

    path: Path | None = None
    secret_file: Path | None = None
    """Where the secret file lies unless a setting says otherwise."""
    journal: Journal | None = None
    facts: Facts | None = None
    durable: bool | None = None
    because: str = "there is no database"
    """Why there are no facts."""


def examine(settings: Settings, machine: Machine) -> tuple[list[Check], Found]:
    """Look at the file, then into it."""
    try:
        path = place.sqlite_path(settings.database_url)
    except SettingsError as error:
        return [
            failed("database", error, "Set LASTCALL_DATABASE_URL."),
            *skipped((*FILE[1:], *CONTENT), "the database's address is wrong"),
        ], Found(because="the database's address is wrong")
    file, journal = _file(path)
    if journal is None:
        because = "there is no usable database file"
        return [file, *skipped((*FILE[1:], *CONTENT), because)], _of(path, because=because)
    checks = [file]
    for name, check in zip(FILE[1:], (_ownership, _modes, _space), strict=True):
        try:
            checks.append(check(path))
        except OSError as error:
            checks.append(_unseen(name, error))
    content, found = _content(path, journal, machine)
    return [*checks, *content], found


def _of(path: Path, **known: Any) -> Found:  # noqa: ANN401  what a `Found` holds
    return Found(path, place.SqlitePlace(path).secret_file, **known)


def folder_of(path: Path) -> Path:
    """Give the folder in which a database really lies."""
    return Path(os.path.realpath(path)).parent


def _file(path: Path) -> tuple[Check, Journal | None]:
    name = "database"
    try:
        journal = inspection.journal(path)
        size = path.stat().st_size
    except FileNotFoundError:
        return problem(
            name,
            f"there is no database at {path}",
            "Run `lastcall serve`, which makes one, or name yours with LASTCALL_DATABASE_URL.",
        ), None
    except StoreError:
        return problem(
            name,
            f"{path} is not a database",
            "Put the database back from a backup, or name yours with LASTCALL_DATABASE_URL.",
        ), None
    except OSError as error:
        return _unseen(name, error, path), None
    if journal == "empty":
        return problem(
            name,
            f"{path} is empty",
            "Run `lastcall serve`, which fills it, or put the database back from a backup.",
        ), None
    return ok(name, f"{path} ({_size(size)})"), journal


def _unseen(name: str, error: OSError, path: Path | None = None) -> Check:
    return problem(
        name,
        f"can't look at {path or error.filename}: {error.strerror}",
        "Run this as the user who runs the server, and give that user its file and folder: "
        "chown, chmod u+rwX",
    )


def _ownership(path: Path) -> Check:
    """Ask whether whom the database belongs to may write all that a server writes."""
    name, whose = "ownership", path.stat().st_uid
    folder = folder_of(path)
    if hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY:
        return problem(
            name,
            f"the file system of {folder} is mounted read-only",
            f"Mount it for writing, and see why it is not: findmnt -T {folder}",
        )
    there = [file for file in inspection.beside(path) if file.exists()]
    for file in there:
        if file.stat().st_uid != whose:
            return problem(
                name,
                f"{file} belongs to {owner(file)} and the database to {owner(path)}, who can't "
                "write it",
                f"Run: chown {owner(path)} {file}",
            )
    for file in (path, *there, folder):
        if not _may_write(file, whose):
            return problem(
                name,
                f"{owner(path)}, who owns the database, can't write {file}",
                f"Run: {'chown' if file.stat().st_uid != whose else 'chmod u+w'} "
                f"{owner(path) + ' ' if file.stat().st_uid != whose else ''}{file}",
            )
    return ok(name, f"the database and its folder are {owner(path)}'s to write")


def _may_write(file: Path, whose: int) -> bool:
    found = file.stat()
    if whose == 0:
        return True
    if found.st_uid == whose:
        return bool(found.st_mode & stat.S_IWUSR)
    return bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _modes(path: Path) -> Check:
    name, folder = "modes", folder_of(path)
    files = [file for file in (path, *inspection.beside(path)) if file.exists()]
    modes = {file: stat.S_IMODE(file.stat().st_mode) for file in files}
    refused = [file for file, mode in modes.items() if mode & place.OTHERS]
    if refused:
        return problem(
            name,
            f"others can read or write {refused[0]}: no server starts on it",
            f"Run: chmod 600 {' '.join(map(str, files))}",
        )
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return problem(
            name,
            f"others can replace files in {folder}",
            f"Run: chmod o-w {folder}",
        )
    if any(mode & 0o040 for mode in modes.values()):
        return warning(
            name,
            f"a group can read {path}, which holds people's addresses and hashes of passwords",
            f"Run: chmod 600 {' '.join(map(str, files))}",
        )
    return ok(name, "only its owner can read or write it")


def _space(path: Path) -> Check:
    name, free = "disk space", shutil.disk_usage(folder_of(path)).free
    advice = "Make room on the database's disk, or move the database (LASTCALL_DATABASE_URL)."
    if free < NO_SPACE:
        return problem(name, f"only {_size(free)} are left: writes will fail", advice)
    size = path.stat().st_size
    if free < max(LITTLE_SPACE, size):
        return warning(name, f"only {_size(free)} are left", advice)
    return ok(name, f"{_size(free)} free")


def _content(path: Path, journal: Journal, machine: Machine) -> tuple[list[Check], Found]:
    because = "the database can't be read"
    unread = _of(path, journal=journal, because=because)
    try:
        holder = _stuck(path, machine.wait)
    except OSError as error:
        return [_unseen(CONTENT[0], error), *skipped(CONTENT[1:], because)], unread
    lock = _lock(holder, machine.wait)
    if holder is not None and holder.alone:
        return [lock, *skipped(CONTENT[1:], because)], unread
    try:
        with inspection.reading(path, journal, machine.wait) as db:
            integrity = _integrity(path, db)
            schema, facts = check_schema(str(path), db, machine.clock.now())
            because = "the database can't be used as it is"
            found = _of(
                path,
                journal=journal,
                facts=facts,
                durable=inspection.durable(db),
                because=because,
            )
            return [lock, integrity, schema], found
    except (Unavailable, StoreError) as error:
        if "busy" in str(error):
            lock = problem(
                "lock",
                "another process keeps everybody from reading",
                f"End it when it is stuck; find it with: fuser {path}",
            )
            return [lock, *skipped(CONTENT[1:], because)], unread
        return [lock, _unreadable(error), *skipped(CONTENT[2:], because)], unread


def _stuck(path: Path, wait: float) -> Holder | None:
    """Give who keeps others out, as often as one looks, for longer than any write lasts."""
    holder = inspection.holder(path)
    for _ in range(int(wait / _LOOK)):
        if holder is None:
            break
        time.sleep(_LOOK)
        holder = inspection.holder(path)
    return holder


def _lock(holder: Holder | None, wait: float) -> Check:
    name = "lock"
    if holder is None:
        return ok(name, "nobody keeps the server from writing")
    process = holder.process
    return problem(
        name,
        f"process {process} has kept everybody from writing for {wait:g} seconds",
        f"See what it is with: ps {process}; when it is stuck, end it with: kill {process}",
    )


def _integrity(path: Path, db: Connection) -> Check:
    faults = inspection.faults(db)
    if not faults:
        return ok("integrity", "SQLite finds no fault in the file")
    return problem("integrity", f"the file is damaged: {'; '.join(faults)}", _restore(path))


def _restore(path: Path) -> str:
    return (
        f"Stop the server, keep a copy of {path.name} and of what lies beside it, and restore "
        "a backup."
    )


def _unreadable(error: Unavailable | StoreError) -> Check:
    if isinstance(error, StoreError):
        return warning(
            "integrity",
            str(error),
            "Start the server, or run `lastcall user list`, which takes them in; then run "
            "`lastcall doctor` again.",
        )
    found, _, advice = str(error).partition(": ")
    return problem(
        "integrity",
        found,
        sentence(advice or "Stop the server, keep a copy, and restore a backup."),
    )


def check_schema(name_of: str, db: Connection, now: datetime) -> tuple[Check, Facts | None]:
    """Check that a database is this version's, and read what it says of itself."""
    name = "schema"
    state = opening.state(db)
    current, ours = opening.revisions(db)
    if state == "older":
        return problem(
            name,
            f"the database is from an older lastcall (schema {current}, this is {ours})",
            "Copy the database and its secret file, then run: lastcall migrate",
        ), None
    if state == "newer":
        return problem(
            name,
            f"the database is from a newer lastcall (schema {current}, this is {ours})",
            "Upgrade lastcall; a database is never taken back.",
        ), None
    if state == "foreign":
        return problem(
            name,
            f"{name_of} holds tables that are not lastcall's",
            "Name another database with LASTCALL_DATABASE_URL.",
        ), None
    if state == "empty":
        return problem(
            name, "the database holds nothing yet", "Run `lastcall serve`, which fills it."
        ), None
    try:
        return ok(name, f"this version's ({ours})"), inspection.read_facts(db, now)
    except (InvalidRequestError, LookupError, OverflowError, TypeError, ValueError):
        return problem(
            name,
            "the tables are lastcall's, and what is in them can't be read",
            "Stop the server, keep a copy, and restore a backup.",
        ), None


def _size(count: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count //= 1024
    return f"{count} GiB"
