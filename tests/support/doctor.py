"""A machine in perfect order, a database in perfect order, and what the doctor says of them."""

import asyncio
import os
import sqlite3
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lastcall.clock import system_entropy
from lastcall.doctor.check import Check
from lastcall.doctor.data import rules_built
from lastcall.doctor.examination import examine
from lastcall.doctor.machine import Machine
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.settings import Settings
from tests.support.fakes import FakeClock
from tests.support.nodes import set_up

NOBODY = 65534
LOCAL_DISK = "/dev/sda1 / ext4 rw,relatime 0 0\n"


def today() -> datetime:
    """A day on which the data that are installed are new."""
    built = rules_built()
    assert built is not None
    return built + timedelta(days=40)


class Watch(FakeClock):
    """A clock whose day a test chooses and whose seconds pass."""

    def monotonic(self) -> float:
        """Give the machine's seconds."""
        return time.monotonic()


@dataclass
class Doctor:
    """Examines a folder's database, and holds that nothing was changed by it."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: Watch(today()))
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Give the database."""
        return self.folder / "lastcall.db"

    @property
    def key(self) -> Path:
        """Give the secret file."""
        return self.folder / "lastcall.key"

    @property
    def machine(self) -> Machine:
        """Give the machine: in order, but for what a test changes."""
        good = Machine(
            clock=self.clock,
            mounts=LOCAL_DISK,
            synchronised=True,
            sqlite=(3, 51, 3),
            trust=ssl.create_default_context,
            wait=0.2,
        )
        return replace(good, **self.changes)

    def settings(self, **given: Any) -> Settings:  # noqa: ANN401  as `Settings` takes them
        """Give the settings of the folder."""
        # Nothing of ours listens there.
        defaults = {"database_url": f"sqlite:///{self.path}", "public_url": "http://localhost:1"}
        return Settings(**{**defaults, **given})

    def says(self, host: str | None = None, **given: Any) -> dict[str, Check]:  # noqa: ANN401
        """Examine, with these settings; give the checks by name."""
        return self.reads(lambda: self.settings(**given), host)

    def reads(self, load: Callable[[], Settings], host: str | None = None) -> dict[str, Check]:
        """Examine, with settings that are yet to be read."""
        before = snapshot(self.folder)
        checks = examine(load, (), self.machine, host)
        assert snapshot(self.folder) == before
        assert all((check.advice is not None) == told(check) for check in checks)
        by_name = {check.name: check for check in checks}
        assert len(by_name) == len(checks)
        return by_name


def told(check: Check) -> bool:
    """Tell whether a check found something to mend."""
    return check.state in ("warning", "problem")


def bad(checks: dict[str, Check]) -> dict[str, str]:
    """Give the checks that found something to mend, and their state."""
    return {check.name: check.state for check in checks.values() if told(check)}


def left_out(checks: dict[str, Check]) -> set[str]:
    """Name the checks that could not be made."""
    return {check.name for check in checks.values() if check.state == "skipped"}


def advice(check: Check) -> str:
    """Give what a check advises; it must."""
    assert check.advice is not None
    return check.advice


def born(doctor: Doctor, **given: Any) -> Doctor:  # noqa: ANN401  as `Settings` takes them
    """Make the database as a server does, with an account, its owner and a session."""

    async def give_birth() -> None:
        node = await Node.open(
            doctor.settings(**given),
            clock=doctor.clock,
            entropy=system_entropy,
            passwords=Passwords(CHEAP, threads=1),
            serving=True,
        )
        await set_up(node)
        await node.close()

    asyncio.run(give_birth())
    return doctor


def alter(doctor: Doctor, *statements: str) -> None:
    """Change the database, as nothing of lastcall would."""
    db = sqlite3.connect(doctor.path)
    with db:
        for statement in statements:
            db.execute(statement)
    db.close()


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="lastcall-test-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


def snapshot(folder: Path) -> dict[str, object]:
    """Take down everything about a folder that an examination could change."""
    found: dict[str, object] = {".": (folder.stat().st_mtime_ns, folder.stat().st_mode)}
    for file in folder.rglob("*"):
        status = file.stat()
        try:
            content = file.read_bytes() if file.is_file() else None
        except PermissionError:
            content = None
        found[file.name] = (status.st_mtime_ns, status.st_mode, status.st_uid, content)
    return found


@contextmanager
def nobody() -> Iterator[None]:
    """Act as a user who isn't root, so that modes count; where we are none, as ourselves."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
