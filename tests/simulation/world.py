"""Real time, and processes in it: each with clocks of its own, paused, asleep or dead."""

import heapq
from collections.abc import Callable, Generator
from random import Random
from typing import Any

Task = Generator[Any, Any, Any]
"""Yields seconds to wait by its own clock, or a Reply to wait for."""


class World:
    """A heap of what is to happen, by real time; everything random comes from the seed."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.now = 0.0
        self.story: list[tuple[float, str]] = []
        """What a person who looks for a fault wants to read."""
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def random(self, name: str) -> Random:
        """Give somebody a source of their own, so that nobody else's steps change what it gives."""
        return Random(f"{self.seed} {name}")

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Have something happen at a moment, after what was set for that moment before."""
        self._count += 1
        heapq.heappush(self._heap, (max(moment, self.now), self._count, do))

    def after(self, delay: float, do: Callable[[], None]) -> None:
        """Have something happen after so many seconds of real time."""
        self.at(self.now + delay, do)

    def tell(self, text: str) -> None:
        """Add a line to the story."""
        self.story.append((self.now, text))

    def run(self, until: float) -> None:
        """Let time pass."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, do = heapq.heappop(heap)
            do()
        self.now = until


class Reply:
    """An answer that is to come: a value, or an error."""

    def __init__(self) -> None:
        self._then: Callable[[Any, Exception | None], None] | None = None
        self._come: tuple[Any, Exception | None] | None = None

    def give(self, value: Any = None, error: Exception | None = None) -> None:  # noqa: ANN401
        """Answer; what comes after the first answer is too late."""
        if self._come is None:
            self._come = (value, error)
            if self._then is not None:
                self._then(value, error)

    def then(self, do: Callable[[Any, Exception | None], None]) -> None:
        """Have the answer taken when it comes."""
        self._then = do
        if self._come is not None:
            do(*self._come)


class Process:
    """One process on its machine: clocks within 10 % of real time, wall clocks hours apart."""

    sleeping_counts = True
    """The clock of leases goes on while the machine sleeps (rule 13)."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.random = world.random(name)
        self.rate = self.random.choice((0.9, 1.1, self.random.uniform(0.9, 1.1)))
        self._start = self.random.uniform(0, 1e5)
        self._wall = self.random.uniform(-4, 4) * 3600
        self._slept = 0.0
        self.alive = True
        self._paused_until = 0.0
        self._sleepers: dict[int, Callable[[], None]] = {}
        self._sleeps = 0

    def clock(self) -> float:
        """The clock of leases, in seconds."""
        return self._start + self.rate * (self.world.now - self._slept)

    def wall(self) -> float:
        """What the wall clock shows, in seconds."""
        return 1.7e9 + self._wall + self.rate * self.world.now

    def real(self, seconds: float) -> float:
        """How much real time is so much of this process's."""
        return seconds / self.rate

    @property
    def awake(self) -> bool:
        """Whether it can do anything now."""
        return self.alive and self.world.now >= self._paused_until

    def pause(self, seconds: float, *, asleep: bool = False) -> None:
        """Stop for so much real time; what comes meanwhile waits."""
        self._paused_until = max(self._paused_until, self.world.now + seconds)
        if asleep and not self.sleeping_counts:
            self._slept += seconds

    def resume(self) -> None:
        """Go on at once."""
        self._paused_until = min(self._paused_until, self.world.now)

    def soon(self, delay: float, do: Callable[[], None]) -> None:
        """Do something after so much real time: later if paused, never if dead."""

        def due() -> None:
            if not self.alive:
                return
            if self.world.now < self._paused_until:
                self.world.at(self._paused_until, due)
            else:
                do()

        self.world.after(delay, due)

    def start(self, task: Task) -> None:
        """Run a task, up to its end or that of the process."""
        self._step(task, None, None)

    def wake(self) -> None:
        """End the waits of all tasks that may be woken."""
        sleepers, self._sleepers = self._sleepers, {}
        for go_on in sleepers.values():
            self.soon(0.0, go_on)

    def _step(self, task: Task, value: Any, error: Exception | None) -> None:  # noqa: ANN401
        try:
            wanted = task.send(value) if error is None else task.throw(error)
        except StopIteration:
            return
        if isinstance(wanted, Reply):
            wanted.then(lambda v, e: self.soon(0.0, lambda: self._step(task, v, e)))
            return
        self._sleeps += 1
        number = self._sleeps

        def go_on() -> None:
            self._step(task, None, None)

        def over() -> None:
            if self._sleepers.pop(number, None) is not None:
                go_on()

        self._sleepers[number] = go_on
        self.soon(self.real(wanted), over)
