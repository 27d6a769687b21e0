"""Tells a process from its forked children, also where the fork skips Python's hooks (rule 12)."""

import mmap
import os
import sys
from typing import Final, Protocol

_WIPE_ON_FORK: Final = 18
"""MADV_WIPEONFORK of Linux 4.14 and later: a child finds the page full of zeros."""


class Mark(Protocol):
    """`mark[0]` is true in the process that made it, and false in its children."""

    def __getitem__(self, index: int, /) -> int: ...


class _OwnPid:
    """For systems that can't wipe a page: it asks who this is, which takes longer."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int, /) -> int:
        return os.getpid() == self._pid


def new_mark() -> Mark:
    """Mark this process."""
    if sys.platform == "linux":
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            page.madvise(_WIPE_ON_FORK)
        except OSError:  # pragma: no cover  an older kernel
            page.close()
        else:
            page[0] = 1
            return page
    return _OwnPid()
