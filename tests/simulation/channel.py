"""A verifier's connection to a node: ordered, nothing twice; it breaks, and either side may learn
of it late."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from lastcall.leases import messages
from tests.simulation.world import Process, World

LATE: Final = 4.0
"""Seconds of real time after which, at the latest, a side learns that its connection broke."""


class End:
    """One side of it: who hears, what has arrived, and what is done with it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.inbox: deque[Any] = deque()
        self.hear: Callable[[Any], None] = lambda _: None
        self.lost: Callable[[], None] = lambda: None
        self.closed = False
        self.delay = 0.0
        """How much longer than usual what comes here is under way."""
        self.last = 0.0


class Channel:
    """Both ends."""

    def __init__(self, world: World, verifier: Process, node: Process, *, encoded: bool) -> None:
        self.number = next(world.numbers)
        self.verifier = End(verifier)
        self.node = End(node)
        self._world = world
        self._random = world.random(f"channel {self.number} {verifier.name}")
        self._encoded = encoded
        self.broken = False

    def say(self, to: End, message: Any) -> None:  # noqa: ANN401  either side's
        """Send a message to one end."""
        if self.broken:
            return
        if self._encoded:
            raw = messages.write(message)
            is_node = to is self.node
            message = (messages.read_from_verifier if is_node else messages.read_from_node)(raw)
        if to.process.ambush and isinstance(message, messages.Grant):
            to.process.pause(to.process.ambush)
            to.process.ambush = 0.0
        at = self._world.now + self._random.uniform(0.0005, 0.02) + to.delay
        to.last = max(at, to.last)
        self._world.at(to.last, lambda: self._arrive(to, message))

    def _arrive(self, to: End, message: Any) -> None:  # noqa: ANN401  either side's
        if self.broken or to.closed:
            return
        to.inbox.append(message)
        to.process.soon(0.0, lambda: self._take(to))

    def _take(self, to: End) -> None:
        if to.inbox and not to.closed:
            to.hear(to.inbox.popleft())

    def close(self, own: End) -> None:
        """One side closes it; what the other has sent is not read any more."""
        if not own.closed:
            own.closed = True
            own.inbox.clear()
            own.lost()
            self.cut()

    def cut(self) -> None:
        """It breaks; each side learns of it by itself."""
        if self.broken:
            return
        self.broken = True
        for end in (self.verifier, self.node):
            delay = self._random.choice((0.0, 0.05, self._random.uniform(0.0, LATE)))
            end.process.soon(delay, lambda end=end: self._lose(end))  # type: ignore[misc]

    def _lose(self, end: End) -> None:
        if not end.closed:
            end.closed = True
            end.inbox.clear()
            end.lost()
