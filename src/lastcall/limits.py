"""How often somebody may try: the limits, and the rule by which attempts count and are forgotten.

A limit is kept as one moment a slot: when all of its attempts will be forgotten (the generic cell
rate algorithm, ITU-T I.371). There are so many slots and no more, so that no flood grows anything;
who shares a slot shares its attempts, and a slot tells of nobody.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lastcall.errors import RateLimited

SLOTS: Final = 1 << 17
"""How many slots a limit has: about 4 MB where all are taken."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts at once; each is forgotten after its share of the period."""

    name: str
    attempts: int
    period: timedelta

    def take(self, free_at: datetime | None, now: datetime) -> datetime:
        """Count one attempt more; gives when all will be forgotten. `free_at` is what this gave
        last. Raises RateLimited, which counts nothing.
        """
        taken = self._taken(free_at, now) + self._each
        if taken > self.period:
            wait = taken - self.period
            raise RateLimited(-(-wait // timedelta(seconds=1)), self.name)
        return now + taken

    def give_back(self, free_at: datetime | None, now: datetime) -> datetime:
        """Forget one attempt that was none after all."""
        return now + max(self._taken(free_at, now) - self._each, timedelta(0))

    @property
    def _each(self) -> timedelta:
        return self.period // self.attempts

    def _taken(self, free_at: datetime | None, now: datetime) -> timedelta:
        # Never more than the period, whatever a clock has done.
        left = free_at - now if free_at is not None else timedelta(0)
        return min(max(left, timedelta(0)), self.period)


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the attempts of one user, address or device are counted. `number` is below `SLOTS`."""

    limit: Limit
    number: int


_SHORT: Final = timedelta(minutes=15)

SIGN_IN_USER: Final = Limit("sign_in_user", 10, _SHORT)
"""Wrong passwords for one e-mail address, from browsers that its user has not signed in with."""
SIGN_IN_USER_DAY: Final = Limit("sign_in_user_day", 100, timedelta(days=1))
"""The same over a day: NIST SP 800-63B-4, 3.2.2, has a hundred in a row as the most."""
SIGN_IN_ADDRESS: Final = Limit("sign_in_address", 100, _SHORT)
"""Wrong passwords from one address, for whomever: an office behind one address makes mistakes."""
SIGN_IN_DEVICE: Final = Limit("sign_in_device", 10, _SHORT)
"""Wrong passwords for a user from one browser in which they have signed in before."""
PROOF: Final = Limit("proof", 10, _SHORT)
"""Wrong passwords within one session: fresh proofs and changes of the password together."""
REFRESH: Final = Limit("refresh", 100, _SHORT)
"""Refresh tokens from one address that this server does not know."""
LINK: Final = Limit("link", 30, _SHORT)
"""Invitation and set-up links from one address that are good for nothing."""
