"""What is done and what fails in a run, drawn from its seed before it begins, so that parts of it
can be left out and the rest stays as it is."""

from dataclasses import dataclass
from random import Random
from typing import Final

LENGTH: Final = 45.0
"""Seconds of real time of a run, before it is left alone."""
REST: Final = 14.0
"""Seconds after that, in which all that is open must be confirmed."""


@dataclass(frozen=True)
class Step:
    """One thing: when, what, and a number from which whom and how long are drawn."""

    at: float
    kind: str
    number: int


DEEDS: Final = {
    "sign in": 14,
    "refresh": 24,
    "end session": 10,
    "end user": 5,
    "end user but one": 5,
    "end account": 1,
    "stale session": 2,
    "stale user": 2,
    "change key": 1,
    "forget": 3,
    "command line": 3,
    "check": 40,
}
"""What people do, and how often, in a run."""
FAULTS: Final = {
    "pause node": 3,
    "pause verifier": 3,
    "machine sleeps": 2,
    "kill node": 2,
    "kill verifier": 1,
    "fork verifier": 1,
    "cut": 4,
    "stall": 3,
    "deaf": 2,
    "slow store": 2,
    "store cut off": 2,
    "late durability": 2,
    "failover": 1,
    "lossy failover": 1,
    "restore": 0.3,
}
"""What goes wrong, and how often, in a run."""


def draw(seed: int, faults: dict[str, float]) -> list[Step]:
    """Draw a run's steps."""
    random = Random(f"schedule {seed}")
    steps = [
        Step(random.uniform(1.0, LENGTH), kind, random.getrandbits(32))
        for kind, often in {**DEEDS, **faults}.items()
        for _ in range(_number(random, often))
    ]
    first = [Step(0.1 * number, "sign in", random.getrandbits(32)) for number in range(6)]
    return sorted([*first, *steps], key=lambda step: step.at)


def _number(random: Random, often: float) -> int:
    return int(often * random.uniform(0.5, 1.5) + random.random())
