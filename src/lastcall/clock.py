"""The only callers of the system's clocks and of its randomness."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

Entropy = Callable[[int], bytes]
"""Gives that many random bytes, fit for secrets."""


class Clock(Protocol):
    """What tells the time. An operation asks once and passes the answer on."""

    def now(self) -> datetime:
        """Give the wall clock's time, aware, in UTC."""

    def monotonic(self) -> float:
        """Give seconds since some moment; never goes back."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Give the wall clock's time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds since some moment; never goes back."""
        return time.monotonic()


def system_entropy(size: int) -> bytes:
    """Give `size` bytes from the operating system's generator."""
    return os.urandom(size)
