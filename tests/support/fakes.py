"""Time and randomness that a test holds in its hand."""

import hashlib
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
"""When every test begins; not a whole second, so that rounding shows."""


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime = START) -> None:
        self._at = at
        self._ticks = 1000.0

    def now(self) -> datetime:
        """Give the wall clock's time."""
        return self._at

    def monotonic(self) -> float:
        """Give the seconds that have passed; a step of the wall clock adds none."""
        return self._ticks

    def lease(self) -> float:
        """Give the seconds that have passed, by the clock of leases."""
        return self._ticks

    def advance(self, *, days: float = 0, hours: float = 0, seconds: float = 0) -> datetime:
        """Let time pass."""
        by = timedelta(days=days, hours=hours, seconds=seconds)
        self._at += by
        self._ticks += by.total_seconds()
        return self._at

    def step(self, by: timedelta) -> datetime:
        """Set the wall clock, in either direction, without time passing."""
        self._at += by
        return self._at


class FakeEntropy:
    """The same bytes in every run, and never the same ones twice; it keeps what it gave."""

    def __init__(self, seed: str = "") -> None:
        self._seed = seed
        self.given: list[bytes] = []

    def __call__(self, size: int) -> bytes:
        """Give that many bytes."""
        name = f"{self._seed}:{len(self.given)}".encode()
        self.given.append(hashlib.shake_256(name).digest(size))
        return self.given[-1]
