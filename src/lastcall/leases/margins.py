"""How far clocks may run apart, and the times that follow from it."""

from typing import Final

EPSILON: Final = 0.1
"""Clocks run within this share of real time: chrony alone may slew by 8 %."""
MARGIN: Final = (1 + EPSILON) / (1 - EPSILON)
"""What lasts a second on the fastest clock is over on the slowest after this many."""
UNACKNOWLEDGED: Final = 2.0
"""Seconds that a verifier may leave an event unacknowledged before its lease is not renewed
(rule 9)."""
NODE_RENEWS: Final = 1 / 12
VERIFIER_RENEWS: Final = 1 / 10
"""After which share of a node's lease the one and the other renew: with a lease of 30 s a verifier
always has 19 s left."""


def kept(lease: float) -> float:
    """How long a grantor keeps a lease that it gave for so long (rule 7)."""
    return lease * MARGIN


def inside(left: float) -> float:
    """How long a lease may be that fits inside what is left of another one (rule 9)."""
    return left / MARGIN
