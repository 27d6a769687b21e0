"""Waits until endings are confirmed, for those who asked for them, and says how far they are."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import isfinite
from typing import Final

from lastcall.clock import Clock
from lastcall.errors import Unavailable
from lastcall.events import Event, Position
from lastcall.feed import about, translation
from lastcall.leases.barrier import Outsider, Progress
from lastcall.leases.node import NodeSide
from lastcall.metrics import Metrics
from lastcall.sessions.endings import Confirmation, Termination
from lastcall.stores import base

POLL_SECONDS: Final = 0.02
"""How often a process looks whether another one has written to the store."""
OUTCOMES: Final = 1000
"""How many terminations are remembered with what confirmed them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A termination that is confirmed: by whom, and how long that took from its commit."""

    progress: Progress
    after: timedelta


class Confirmations:
    """The terminations of this process that wait, and what came of the newest others."""

    def __init__(
        self,
        store: base.Store,
        *,
        lease: timedelta,
        metrics: Metrics,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.side: NodeSide | None = None
        """What this process decides as a node; None in one that does not serve."""
        self._store = store
        self._lease = lease.total_seconds()
        self._metrics = metrics
        self._clock = clock
        self._pause = pause
        self._pending: deque[tuple[Position, float]] = deque()
        """Terminations of this process that are not confirmed yet, and since when they are durable.
        """
        self._outcomes: dict[Position, Outcome] = {}
        """The newest that are."""
        self._moved = asyncio.Event()
        self._stopped = False

    def stop(self) -> None:
        """Have all who wait, and will, be told how far it is: the server is stopping."""
        self._stopped = True
        self.look()

    def expect(self, events: Sequence[Event], now: float) -> None:
        """These were committed by this process, and are durable."""
        self._pending += [
            (event.position, now) for event in events if event.kind.endswith("_ended")
        ]

    def look(self) -> None:
        """Have all who wait look again: what is decided may have changed."""
        self._settle()
        self._moved.set()
        self._moved = asyncio.Event()

    async def follow(self, termination: Termination, wait: float = 0.0) -> Termination:
        """Wait until a termination is confirmed, for at most so many seconds, and say how far it
        has come (rule 10)."""
        started = self._clock.lease()
        found = await self.confirm(termination.event.position, wait)
        return replace(
            termination,
            confirmation=found,
            waited=termination.waited + timedelta(seconds=self._clock.lease() - started),
        )

    async def confirm(self, position: Position, wait: float = 0.0) -> Confirmation:
        """The same for whatever event is at a position."""
        until = self._clock.lease() + wait
        try:
            barrier = self.side or await self._outsider(position)
            progress = await self._wait(barrier, position, until)
        except Unavailable:
            # What a command did was done before the store failed: only how far it is, is unknown.
            return Confirmation("confirming")
        certain, unreachable = None, 0
        if progress.state == "confirming":
            unreachable = await self._unreachable(position)
            if isfinite(progress.certain_in):
                certain = self._clock.now() + timedelta(seconds=progress.certain_in)
        outcome = self._outcomes.get(position)
        return Confirmation(
            progress.state,
            certain,
            progress.verifiers,
            progress.acknowledged,
            outcome.after if outcome else None,
            min(unreachable, progress.verifiers - progress.acknowledged),
        )

    async def _unreachable(self, position: Position) -> int:
        """Count the verifiers that have not acknowledged a position and have no connection: those
        of this node, and of the others those that their rows name, where these can be read. What
        was done is done: a store that fails by now is no reason to answer that it was not."""
        now, side = self._clock.lease(), self.side
        found = side.unreachable(position, now) if side else 0
        with contextlib.suppress(Unavailable):
            for row in (await self._store.nodes()).rows:
                told = about.read(row.about) if side is None or row.id != side.name else None
                if told is not None:
                    found += told.unreachable(position.seq, self._clock.now())
        return found

    async def _wait(
        self, barrier: "NodeSide | Outsider", position: Position, until: float
    ) -> Progress:
        while True:
            if (outcome := self._outcomes.get(position)) is not None:
                return outcome.progress
            moved, now = self._moved, self._clock.lease()
            progress = barrier.progress(position, now)
            if progress.state == "confirmed" or now >= until or self._stopped:
                return progress
            left = min(until - now, progress.certain_in)
            if isinstance(barrier, Outsider):
                await self._pause(min(left, POLL_SECONDS))
                await self._look(barrier)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0.001)):
                    await moved.wait()

    async def _outsider(self, position: Position) -> Outsider:
        """Look on from a process that does not serve: it has no verifiers and no view, and waits
        for the rows of those that serve. What it asks about, it has committed or can read here."""
        durable = await self._durable()
        part = await self._store.read_log(position.seq)
        timelines = translation.timelines(part)
        outsider = Outsider(self._lease, part.log.position.epoch, timelines)
        if not part.log.settled:
            outsider.barrier.meet(self._clock.lease())
        if durable:
            outsider.barrier.durable(position.seq, self._clock.lease())
        await self._look(outsider)
        return outsider

    async def _durable(self) -> bool:
        """See to it that what was read here is durable; False where that is unknown (rule 15)."""
        if self._store.deposable:  # elsewhere it was when it could be read
            try:
                await self._store.commit(base.MakeDurable())
            except Unavailable:
                return False
        return True

    async def _look(self, outsider: Outsider) -> None:
        nodes = await self._store.nodes()
        outsider.see(translation.rows(nodes.rows), nodes.log.position, self._clock.lease())

    def _settle(self) -> None:
        """Note which terminations of this process are confirmed: in their order, since what was
        confirmed for one is so for all before it."""
        now = self._clock.lease()
        while self._pending and self.side is not None:
            position, started = self._pending[0]
            progress = self.side.progress(position, now)
            if progress.state != "confirmed":
                break
            self._pending.popleft()
            self._metrics.confirmed(now - started)
            self._outcomes[position] = Outcome(progress, timedelta(seconds=now - started))
            while len(self._outcomes) > OUTCOMES:
                del self._outcomes[next(iter(self._outcomes))]
