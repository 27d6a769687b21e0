"""When a termination is confirmed (rule 10): what is known durable since when, and what the other
nodes' rows say."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lastcall.events import Position
from lastcall.leases import margins
from lastcall.leases.view import Begun, Verdict, place


@dataclass(frozen=True, slots=True)
class Row:
    """Another node's row in the store: its `beat` moves with each of its renewals; how long its
    leases last, and how many verifiers have one."""

    id: str
    beat: int
    acked: Position | None
    lease: float = 0.0
    verifiers: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a termination has come: whether it is confirmed, and else in how many seconds it is
    certain at the latest; of how many verifiers with a lease how many have acknowledged it."""

    state: Literal["confirmed", "confirming"]
    certain_in: float
    verifiers: int
    acknowledged: int


class Barrier:
    """The waiting of one process for all the others."""

    def __init__(self, lease: float) -> None:
        self._wait = margins.kept(lease)
        self._durable: deque[tuple[int, float]] = deque()
        """Places in the log, and since when all up to there is known durable; both grow."""
        self._since: dict[str, tuple[int, float]] = {}
        """Each other node's beat, and since when it has not moved, as this process saw it."""
        self._rows: tuple[Row, ...] | None = None
        self._rows_at = 0
        """The log's end in the snapshot that holds the rows."""
        self._grace_until = -math.inf

    def durable(self, seq: int, now: float) -> None:
        """All up to this place is durable: its commit was answered, or that of a later write."""
        if not self._durable or seq > self._durable[-1][0]:
            self._durable.append((seq, now))
            while len(self._durable) > 1 and now - self._durable[1][1] >= self._wait:
                self._durable.popleft()

    def meet(self, now: float) -> None:
        """A timeline or an epoch is met that the store does not call settled: rows say nothing
        until every lease of before has run out (rule 6)."""
        self._grace_until = max(self._grace_until, now + self._wait)
        # A beat that was lost may come again: it says nothing of when it was seen before.
        self._since.clear()
        self._rows = None

    def lose(self, now: float) -> None:
        """The log is another one than before, which may lack what was known durable of that."""
        self._durable.clear()
        self.meet(now)

    def settled(self, now: float) -> bool:
        """Whether rows may speak."""
        return now >= self._grace_until

    def see(self, rows: Iterable[Row], end: int, now: float) -> list[Row]:
        """Take in the other nodes' rows and the log's end, of one snapshot. Gives the rows to be
        removed: their beat has not moved for as long as a lease can be used."""
        self._rows, self._rows_at = tuple(rows), end
        longest = max((row.lease for row in self._rows), default=0.0)
        self._wait = max(self._wait, margins.kept(longest))  # never shorter: it may still be in use
        seen = {row.id: self._since.get(row.id, (-1, now)) for row in self._rows}
        self._since = {
            row.id: seen[row.id] if seen[row.id][0] == row.beat else (row.beat, now)
            for row in self._rows
        }
        return [row for row in self._rows if now - self._since[row.id][1] >= self._wait]

    def others(self, now: float) -> bool:
        """Whether another node has renewed not long ago, as far as was seen here."""
        return any(now - self._since[row.id][1] < row.lease / 2 for row in self._rows or ())

    def silent_for(self, node: str, now: float) -> float:
        """For how many seconds another node's beat has not moved, as far as was seen here."""
        return now - self._since[node][1] if node in self._since else 0.0

    def certain_in(self, seq: int, now: float) -> float:
        """In how many seconds every lease that does not know this place has run out; infinite while
        it is not known durable."""
        at = bisect_left(self._durable, (seq, -math.inf))
        if at == len(self._durable):
            return math.inf
        return max(0.0, self._durable[at][1] + self._wait - now)

    def verifiers(self, seq: int) -> tuple[int, int]:
        """How many verifiers the other nodes have, and for how many of them their rows speak."""
        rows = self._rows or ()
        told = sum(row.verifiers for row in rows if row.acked is not None and row.acked.seq >= seq)
        return sum(row.verifiers for row in rows), told

    def all_acknowledged(self, seq: int, contains: Callable[[Position], bool], now: float) -> bool:
        """Whether every other node's row says so, in a snapshot that contains this place."""
        return (
            self._rows is not None
            and self._rows_at >= seq
            and self.settled(now)
            and all(
                row.acked is not None and row.acked.seq >= seq and contains(row.acked)
                for row in self._rows
            )
        )


class Outsider:
    """The barrier of a process that is no node: it ends sessions and goes (a command line)."""

    def __init__(self, lease: float, epoch: str, timelines: Sequence[Begun]) -> None:
        self.barrier = Barrier(lease)
        self._epoch = epoch
        self._timelines = timelines
        self._end = 0

    def see(self, rows: Iterable[Row], end: Position, now: float) -> None:
        """Take in all nodes' rows and the log's end, of one snapshot."""
        # On a timeline that was not met here, nothing says which of the rows are of before it.
        met = end.epoch == self._epoch and end.timeline == self._timelines[-1].timeline
        self._end = end.seq if met else 0
        self.barrier.see(rows, self._end, now)

    def progress(self, position: Position, now: float) -> Progress:
        """Say how far a termination has come."""
        certain_in = self.barrier.certain_in(position.seq, now)
        # As a node has it: not by rows either while it may be lost (rule 15).
        confirmed = certain_in <= 0 or (
            self._contains(position)
            and certain_in < math.inf
            and self.barrier.all_acknowledged(position.seq, self._contains, now)
        )
        state: Literal["confirmed", "confirming"] = "confirmed" if confirmed else "confirming"
        verifiers, acknowledged = self.barrier.verifiers(position.seq)
        return Progress(state, 0.0 if confirmed else certain_in, verifiers, acknowledged)

    def _contains(self, position: Position) -> bool:
        return place(position, self._epoch, self._timelines, self._end) is Verdict.LIVES
