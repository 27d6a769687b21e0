"""The only callers of the system's clocks and of its randomness."""

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

Entropy = Callable[[int], bytes]
"""Gives that many random bytes, fit for secrets."""


class Clock(Protocol):
    """What tells the time. An operation asks once and passes the answer on."""

    def now(self) -> datetime:
        """Give the wall clock's time, aware, in UTC."""

    def monotonic(self) -> float:
        """Give seconds since some moment; never goes back."""

    def lease(self) -> float:
        """Give seconds since some moment on a clock that leases count by: it never goes back, and
        goes on while the machine sleeps (instant-logout, rule 13)."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Give the wall clock's time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds since some moment; never goes back."""
        return time.monotonic()

    def lease(self) -> float:
        """Give seconds since the machine's start, its sleep included."""
        return lease_clock()


def _lease_clock() -> Callable[[], float]:
    if sys.platform == "linux":
        clock = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    elif sys.platform == "darwin":  # where Python's own monotonic clock stops in sleep
        clock = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    else:  # Windows counts its sleep
        clock = time.monotonic
    return clock


lease_clock: Final = _lease_clock()
"""What `SystemClock.lease` gives, without a call in between: for what asks at each request."""


def system_entropy(size: int) -> bytes:
    """Give `size` bytes from the operating system's generator."""
    return os.urandom(size)


def round_up(at: datetime) -> datetime:
    """Give the full second at or after a time: what is certain by then is so when that is shown."""
    return (at + timedelta(seconds=1, microseconds=-1)).replace(microsecond=0)
