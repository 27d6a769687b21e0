"""What goes wrong between servers and verifiers, each thing for a while."""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

from lastcall.clock import lease_clock
from tests.faults.stage import Stage, end
from tests.support.causes import Way
from tests.support.rough_proxy import Direction, RoughProxy

AT_A_TIME: Final = 2
"""How many things go wrong at a time."""
DIRECTIONS: Final[tuple[Direction, ...]] = ("up", "down")

Kind = Callable[[], AbstractAsyncContextManager[None]]
T = TypeVar("T")


class Trouble:
    """Makes things go wrong, of each kind as often as of any other. Each kind lasts for as long as
    its context."""

    def __init__(self, stage: Stage, choose: random.Random) -> None:
        self._stage = stage
        self._choose = choose
        self._busy: set[Hashable] = set()
        """What something goes wrong with already."""
        self._deck: list[Kind] = []
        self._servers = range(stage.plan.servers)
        self._verifiers = range(stage.plan.verifiers)
        self._ways = [(one, to) for one in self._verifiers for to in self._servers]
        kinds = (
            self.stop_verifier, self.stop_server, self.kill_server, self.kill_verifier, self.fork,
            self.cut, self.refuse, self.cut_off, self.stall, self.lose, self.slow,
        )  # fmt: skip
        self.kinds: tuple[Kind, ...] = (*kinds, self.lose_packets) if stage.network else kinds

    async def run(self) -> None:
        """Go on until it is cancelled; then all is well again."""
        while True:
            if not self._deck:
                self._deck = [*self.kinds]
                self._choose.shuffle(self._deck)
            lasts = self._choose.choice((0.1, 0.5, 1.5, self._stage.plan.lease * 1.4))
            async with self._deck.pop()():
                await asyncio.sleep(lasts)
            await asyncio.sleep(self._choose.uniform(0.0, 0.7))

    # Processes.

    @contextlib.asynccontextmanager
    async def stop_verifier(self) -> AsyncIterator[None]:
        """One stands still."""
        with self._noted("stop_verifier", self._verifiers, self._verifier, self._from) as number:
            process = self._stage.verifiers[number]
            process.send_signal(signal.SIGSTOP)
            try:
                yield
            finally:
                process.send_signal(signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def stop_server(self) -> AsyncIterator[None]:
        """One stands still, perhaps as it writes to the database, which the others need as well."""
        with self._noted("stop_server", self._servers, self._server, lambda _: self._ways) as one:
            since = lease_clock()
            self._stage.stop_server(one)
            try:
                yield
            finally:
                self._stage.resume_server(one, since)

    @contextlib.asynccontextmanager
    async def kill_server(self) -> AsyncIterator[None]:
        """One dies, and another one takes its place."""
        with self._noted("kill_server", self._servers, self._server, self._to) as number:
            self._stage.kill_server(number)
            try:
                yield
            finally:
                await self._stage.start_server(number)

    @contextlib.asynccontextmanager
    async def kill_verifier(self) -> AsyncIterator[None]:
        """One dies, and another one takes its place."""
        with self._noted("kill_verifier", self._verifiers, self._verifier, _none) as number:
            end(self._stage.verifiers[number])
            try:
                yield
            finally:
                self._stage.start_verifier(number)

    @contextlib.asynccontextmanager
    async def fork(self) -> AsyncIterator[None]:
        """A verifier's process forks, and both go on."""
        with self._noted("fork", self._verifiers, self._verifier, _none) as number:
            self._stage.tell(self._stage.verifiers[number], ["fork\n"])
            yield

    # Ways.

    @contextlib.asynccontextmanager
    async def cut_off(self) -> AsyncIterator[None]:
        """A verifier reaches nobody."""
        with self._noted("cut_off", self._verifiers, self._from, self._from) as number:
            proxies = [self._stage.proxies[way] for way in self._from(number)]
            for proxy in proxies:
                proxy.refuse()
            try:
                yield
            finally:
                for proxy in proxies:
                    await proxy.heal()

    def cut(self) -> AbstractAsyncContextManager[None]:
        """A way's connections are reset."""
        return self._rough("cut", RoughProxy.cut)

    def refuse(self) -> AbstractAsyncContextManager[None]:
        """Nobody listens at the end of a way."""
        return self._rough("refuse", RoughProxy.refuse)

    def stall(self) -> AbstractAsyncContextManager[None]:
        """What goes one direction is held back."""
        direction = self._choose.choice(DIRECTIONS)
        return self._rough("stall", lambda proxy: proxy.stall(direction))

    def lose(self) -> AbstractAsyncContextManager[None]:
        """What goes one direction is lost for good."""
        direction = self._choose.choice(DIRECTIONS)
        return self._rough("lose", lambda proxy: proxy.lose(direction))

    def slow(self) -> AbstractAsyncContextManager[None]:
        """What goes one direction trickles."""
        direction = self._choose.choice(DIRECTIONS)
        return self._rough("slow", lambda proxy: proxy.slow(direction))

    @contextlib.asynccontextmanager
    async def lose_packets(self) -> AsyncIterator[None]:
        """The first verifier's network loses whatever goes one direction."""
        network = self._stage.network
        assert network is not None
        with self._noted(
            "lose_packets", DIRECTIONS, lambda one: (one,), lambda _: self._from(0)
        ) as direction:
            network.lose(direction)
            try:
                yield
            finally:
                network.heal(direction)

    @contextlib.asynccontextmanager
    async def _rough(self, kind: str, fault: Callable[[RoughProxy], None]) -> AsyncIterator[None]:
        with self._noted(kind, self._ways, lambda way: (way,), lambda way: (way,)) as way:
            fault(self._stage.proxies[way])
            try:
                yield
            finally:
                await self._stage.proxies[way].heal()

    # Within.

    def _verifier(self, number: int) -> tuple[Hashable, ...]:
        return (("verifier", number),)

    def _server(self, number: int) -> tuple[Hashable, ...]:
        return (("server", number),)

    def _from(self, number: int) -> list[Way]:
        return [way for way in self._ways if way[0] == number]

    def _to(self, number: int) -> list[Way]:
        return [way for way in self._ways if way[1] == number]

    @contextlib.contextmanager
    def _noted(
        self,
        kind: str,
        among: Sequence[T],
        holds: Callable[[T], Iterable[Hashable]],
        ways: Callable[[T], Iterable[Way]],
    ) -> Iterator[T]:
        """Choose one with which nothing goes wrong yet, and note from when until when something
        does, and on which ways."""
        one = self._choose.choice([it for it in among if self._busy.isdisjoint(holds(it))])
        held = {*holds(one)}
        self._busy |= held
        try:
            with self._stage.outage(kind, ways(one)):
                yield one
        finally:
            self._busy -= held


def _none(_: int) -> tuple[Way, ...]:
    """No way is touched: who is dead checks nothing."""
    return ()
