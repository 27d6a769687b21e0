"""Why a service may be refused what is good: what went wrong around it, and for how long.

A verifier may say that it can't tell only where no server could be asked, and where either an
outage had lasted for longer than what was left of its lease, or no lease was of use: before the
first one, and for a token that is newer than what the verifier had heard.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.support.verdicts import Check, Record

Way = tuple[int, int]
"""From a verifier to a server."""

SLACK = 0.5
"""Seconds after which a way that is good again can be used, on a machine that has much to do."""
LONGEST = 8.5
"""Seconds after which a verifier has tried again, at the latest (`following.LONGEST_PAUSE`)."""


@dataclass
class Outage:
    """Ways on which something went wrong, and from when until when."""

    kind: str
    at: float
    ways: frozenset[Way]
    until: float = math.inf

    @property
    def over(self) -> float:
        """When a verifier has a lease again: its pauses grow with what they follow."""
        return self.until + min(LONGEST, SLACK + 2 * (self.until - self.at))


@dataclass
class Known:
    """What is known from outside. Sessions are told by their ids: since when they may have begun,
    and since when they may have been over. `left` is what is left of a lease at any time where all
    is well, in seconds."""

    servers: int
    left: float
    outages: list[Outage] = field(default_factory=list)
    begun: dict[str, float] = field(default_factory=dict)
    ending: dict[str, float] = field(default_factory=dict)

    def judge(self, history: Sequence[Record]) -> Iterator[Record]:
        """Give a history with the cause of whatever was not accepted."""
        first: dict[str, float] = {}
        for record in history:
            if isinstance(record, Check):
                first[record.verifier] = min(record.at, first.get(record.verifier, math.inf))
        for record in history:
            if isinstance(record, Check) and record.verdict != "accepted":
                cause = self._cause(record, first[record.verifier])
                yield Check(
                    record.at, record.verifier, record.shows, record.verdict, cause, record.took
                )
            else:
                yield record

    def _cause(self, check: Check, first: float) -> str | None:
        session, end = check.shows[0], check.at + check.took
        if self.ending.get(session, math.inf) <= end:
            return "it was being ended"
        if check.verdict == "refused":
            return None  # whoever can't tell says that
        number = number_of(check.verifier)
        around = [one for one in self.outages if any(way[0] == number for way in one.ways)]
        for server in range(self.servers):
            if not any((number, server) in one.ways for one in _during(around, check.at, end)):
                return None
        began = _began(around, check.at, end)
        if end - began >= self.left:
            return "an outage that was longer than its lease"
        if self.begun[session] >= began - SLACK:
            return "a token that is newer than the outage"
        return "it had no lease yet" if first >= min(began, check.at) - SLACK else None


def number_of(verifier: str) -> int:
    """Tell a verifier's place, which those that come after it share, from its name."""
    return int(verifier[1:].partition("-")[0])


def _during(outages: Iterable[Outage], at: float, end: float) -> Iterator[Outage]:
    return (one for one in outages if one.at <= end and at <= one.until + SLACK)


def _began(outages: Sequence[Outage], at: float, end: float) -> float:
    """When it began that one outage followed on another, before all was well again."""
    began = at
    for one in sorted(outages, key=lambda one: one.over, reverse=True):
        if one.at <= end and one.over >= began:
            began = min(began, one.at)
    return began
