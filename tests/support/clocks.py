"""The machine's clock of leases, made to jump, and waiting for what must happen."""

import threading
from collections.abc import Callable

from lastcall.clock import lease_clock


class Jumping:
    """The real clock, and whatever a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return lease_clock() + self.ahead


def until(happened: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for what must happen; fail where it doesn't."""
    end = lease_clock() + seconds
    never = threading.Event()
    while not happened():
        assert lease_clock() < end, "it did not happen"
        never.wait(0.01)
