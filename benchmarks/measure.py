"""Measuring side by side: short turns, one contender after another, round after round.

A machine that other work shares is a quarter faster or slower from one second to the next. Two
turns that follow each other see about the same machine, so what is reported is the ratio within a
round, as the median over the rounds; a single rate says little.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Protocol

WARM_UP = 0.3
"""How long the discarded first turns are, as a share of the others."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one contender did in one turn. Times are in seconds."""

    elapsed: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """Operations a second."""
        return len(self.latencies) / self.elapsed


class Contender(Protocol):
    """What can be measured."""

    @property
    def name(self) -> str:
        """What it does, for people."""

    async def run(self, seconds: float) -> Turn:
        """Work for about so long, with one operation at least."""


@dataclass(frozen=True, slots=True)
class Case:
    """An operation of lastcall and what it is held against. `length`: its turns, times the usual
    ones, where the operation is slow."""

    name: str
    clients: int
    lastcall: Contender
    floors: tuple[Contender, ...]
    length: float = 1.0


@dataclass(slots=True)
class Side:
    """All turns of one contender."""

    name: str
    turns: list[Turn] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median of the rounds' rates, a second."""
        return median(turn.rate for turn in self.turns)

    def latency(self, share: float) -> float:
        """The latency that this share of all operations stays under, in seconds."""
        ordered = sorted(latency for turn in self.turns for latency in turn.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case, measured."""

    case: str
    clients: int
    lastcall: Side
    floors: tuple[Side, ...]

    def ratios(self, floor: Side) -> list[float]:
        """Lastcall's rate over the floor's, for each round."""
        return [
            own.rate / other.rate
            for own, other in zip(self.lastcall.turns, floor.turns, strict=True)
        ]


@contextmanager
def _set_aside() -> Iterator[None]:
    """Keep `gc.collect` from what is there already: to look through it takes longer than a short
    turn."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def compare(
    cases: Sequence[Case], rounds: int, seconds: float, tell: Callable[[str], None]
) -> list[Outcome]:
    """Run the cases in rounds, in turns of so many seconds; `tell` hears how far it has come."""
    outcomes = [
        Outcome(
            case.name,
            case.clients,
            Side(case.lastcall.name),
            tuple(Side(floor.name) for floor in case.floors),
        )
        for case in cases
    ]
    with _set_aside():
        for number in range(rounds + 1):
            tell(f"round {number} of {rounds}" if number else "warming up")
            for case, outcome in zip(cases, outcomes, strict=True):
                pairs = list(
                    zip(
                        (case.lastcall, *case.floors),
                        (outcome.lastcall, *outcome.floors),
                        strict=True,
                    )
                )
                # Whoever comes first in one round comes last in the next.
                for contender, side in pairs if number % 2 else reversed(pairs):
                    gc.collect()
                    length = seconds * case.length * (1 if number else WARM_UP)
                    turn = await contender.run(length)
                    if number:
                        side.turns.append(turn)
    return outcomes


@dataclass(frozen=True, slots=True)
class Tasks:
    """Operations in this process, by so many tasks; each does its own one again and again."""

    name: str
    operations: Sequence[Callable[[], Awaitable[object]]]

    async def run(self, seconds: float) -> Turn:
        """Work for about so long."""
        latencies: list[float] = []
        started = perf_counter()
        until = started + seconds

        async def repeat(operation: Callable[[], Awaitable[object]]) -> None:
            before = perf_counter()
            while True:
                await operation()
                now = perf_counter()
                latencies.append(now - before)
                if now >= until:
                    return
                before = now

        await asyncio.gather(*(repeat(operation) for operation in self.operations))
        return Turn(perf_counter() - started, latencies)


@dataclass(frozen=True, slots=True)
class Calls:
    """A function, called again and again in this thread."""

    name: str
    function: Callable[[], object]

    async def run(self, seconds: float) -> Turn:
        """Work for about so long."""
        latencies: list[float] = []
        before = started = perf_counter()
        until = started + seconds
        while before < until or not latencies:
            self.function()
            now = perf_counter()
            latencies.append(now - before)
            before = now
        return Turn(before - started, latencies)
