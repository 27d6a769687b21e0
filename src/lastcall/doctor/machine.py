"""The machine that is examined, as far as it is not the settings and the database."""

import ctypes
import sqlite3
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lastcall.clock import Clock, SystemClock

_MOUNTS: Final = Path("/proc/self/mounts")
_TIMEX: Final = 512
"""More bytes than any `struct timex` has; all zero asks and sets nothing (adjtimex(2))."""
_TIME_ERROR: Final = 5


def synchronised() -> bool | None:
    """Tell whether the kernel says that something keeps its clock right; None: it doesn't say."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX))
    except (AttributeError, OSError, TypeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def mounts() -> str | None:
    """Read the table of mounted file systems; None where there is none."""
    try:
        return _MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Machine:
    """What checks ask of the machine; a test gives its own answers."""

    clock: Clock = field(default_factory=SystemClock)
    mounts: str | None = field(default_factory=mounts)
    synchronised: bool | None = field(default_factory=synchronised)
    sqlite: tuple[int, ...] = sqlite3.sqlite_version_info
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context
    wait: float = 5.0
    """Seconds until a lock that is held counts as stuck."""

    def file_system(self, path: Path) -> str | None:
        """Give the type of the file system that a file lies on; None where it can't be told."""
        where = path.resolve()
        best: tuple[int, str] | None = None
        for line in (self.mounts or "").splitlines():
            _, mounted, kind, *_ = (*line.split(" "), "", "", "")
            point = Path(_plain(mounted)) if mounted else None
            if point is None or not where.is_relative_to(point):
                continue
            # The later of two that are mounted on one place covers the earlier.
            if best is None or len(point.parts) >= best[0]:
                best = len(point.parts), kind
        return best[1] if best else None


def owner(path: Path) -> str:
    """Name the user whom a file belongs to. Raises OSError."""
    try:
        return path.owner()
    except (KeyError, NotImplementedError):
        return f"user {path.stat().st_uid}"


def _plain(mounted: str) -> str:
    r"""Undo the escapes of the mount table: a blank is written \040."""
    for code in ("\\040", "\\011", "\\012", "\\134"):
        mounted = mounted.replace(code, chr(int(code[1:], 8)))
    return mounted
