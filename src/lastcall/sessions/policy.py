"""How long things last, and the presets that a setting names.

NIST SP 800-63B-4, 2.1.3, 2.2.3 and 2.3.3; ASVS 7.1.1, 7.3.1, 7.3.2.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Policy:
    """The durations that rule sessions, and the least length of a password in characters."""

    access_lifetime: timedelta = timedelta(hours=1)
    refresh_lifetime: timedelta = timedelta(hours=24)
    """A refresh token's, from its last use: the longest inactivity."""
    absolute_lifetime: timedelta = timedelta(days=30)
    refresh_grace: timedelta = timedelta(seconds=10)
    """How long the previous refresh token still gets the same successor."""
    step_up: timedelta = timedelta(minutes=10)
    """How old a proof may be for what needs a fresh one."""
    password_min_length: int = 8
    second_factor: bool = False
    """Whether a session needs a second factor."""

    def __post_init__(self) -> None:
        if self.access_lifetime <= timedelta(0):
            raise ValueError("the access lifetime must be longer than 0 seconds")
        if self.access_lifetime * 2 > self.refresh_lifetime:
            raise ValueError("the access lifetime may be at most half the refresh lifetime")
        if self.refresh_lifetime > self.absolute_lifetime:
            raise ValueError("the refresh lifetime may be at most the absolute lifetime")
        if self.refresh_grace <= timedelta(0):
            # Two open tabs that refresh at once would count as a theft.
            raise ValueError("the refresh grace must be longer than 0 seconds")
        if self.step_up <= timedelta(0):
            raise ValueError("the step-up age must be longer than 0 seconds")


REPEATS: Final = 100
"""How often a refresh may be repeated within the grace."""

PRESETS: Final = {
    "default": Policy(),
    "aal1": Policy(password_min_length=15),
    "aal2": Policy(
        access_lifetime=timedelta(minutes=15),
        refresh_lifetime=timedelta(hours=1),
        absolute_lifetime=timedelta(hours=24),
        second_factor=True,
    ),
    "aal3": Policy(
        access_lifetime=timedelta(minutes=5),
        refresh_lifetime=timedelta(minutes=15),
        absolute_lifetime=timedelta(hours=12),
        second_factor=True,
    ),
}
