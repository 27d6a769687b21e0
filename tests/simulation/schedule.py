"""What is done and what fails in a run, drawn from its seed before it begins, so that parts of it
can be left out and the rest stays as it is."""

from dataclasses import dataclass
from random import Random
from typing import Final

LENGTH: Final = 26.0
"""Seconds of real time of a run, before it is left alone."""
REST: Final = 9.0
"""Seconds after that, in which all that is open must be confirmed."""


@dataclass(frozen=True)
class Step:
    """One thing: when, what, and a number from which whom and how long are drawn."""

    at: float
    kind: str
    number: int


DEEDS: Final = {
    "sign in": 8,
    "refresh": 14,
    "end session": 6,
    "end user": 3,
    "end user but one": 3,
    "end account": 0.5,
    "stale session": 1,
    "stale user": 1,
    "change key": 0.5,
    "forget": 2,
    "command line": 2,
    "check": 20,
}
"""What people do, and how often, in a run."""
FAULTS: Final = {
    "pause node": 2,
    "pause verifier": 2,
    "pause verifier at a grant": 0.5,
    "machine sleeps": 1,
    "kill node": 1.2,
    "kill verifier": 0.5,
    "fork verifier": 0.5,
    "cut": 2,
    "stall": 3,
    "slow store": 1,
    "store cut off": 1,
    "late durability": 1,
    "failover": 0.5,
    "lossy failover": 0.6,
    "restore": 0.15,
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
