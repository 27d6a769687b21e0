"""Work for the database, done on connections that nobody else uses.

Whoever waits for work may go away: the work goes on by itself and is settled on its connection, so
that no connection is ever left with an answer that was meant for somebody else. Work that arrives
while a batch is under way forms the next one, without any timer.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Generic, TypeVar

from lastcall.errors import Unavailable
from lastcall.stores.postgres.connecting import Link
from lastcall.stores.postgres.failures import Unknown, is_failure, is_gone, unavailable

T = TypeVar("T")

QUEUE: Final = 2000
"""How much work may wait in a lane; what comes on top is refused."""
BATCH: Final = 128
"""How much work shares a transaction at most."""
SECONDS: Final = 12.0
"""How long a batch may take before its connection is given up: longer than the server itself lets a
statement take (`hosts.SETTINGS`), so that the other side is perhaps not there any more."""


class Work(Generic[T]):
    """Something to do, and where its outcome goes."""

    __slots__ = ("do", "future", "over")

    def __init__(self, do: T, future: "asyncio.Future[Any]") -> None:
        self.do = do
        self.future = future
        self.over = False
        """Whether something came of it, whoever is there to be told."""

    def settle(self, value: object) -> None:
        """Tell the caller, unless it has gone."""
        self.over = True
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Tell the caller, unless it has gone or has been told."""
        self.over = True
        if not self.future.done():
            self.future.set_exception(error)


class Lane(Generic[T]):
    """Takes work to up to `width` connections, up to `batch` pieces at once. `serve` does a batch:
    it settles each piece, or raises what befell the connection; after `seconds` it is given up."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Link]],
        serve: Callable[[Link, list[Work[T]]], Awaitable[None]],
        *,
        width: int = 1,
        batch: int = 1,
        seconds: float | None = None,
    ) -> None:
        self._connect = connect
        self._serve = serve
        self._width = width
        self._batch = batch
        self._seconds = SECONDS if seconds is None else seconds
        self._queue: deque[Work[T]] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._links: set[Link] = set()
        """The connections that its workers have."""
        self._closing = False

    async def run(self, do: T) -> Any:  # noqa: ANN401  what comes of `do` is its caller's to know
        """Have it done. Raises what it raises; Unavailable."""
        if self._closing:
            raise Unavailable("the database is being closed")
        if len(self._queue) >= QUEUE:
            raise Unavailable("too much work is waiting for the database")
        work = Work(do, asyncio.get_running_loop().create_future())
        self._queue.append(work)
        self._wake()
        return await work.future

    async def close(self) -> None:
        """Finish what is waiting and let go of the connections."""
        self._closing = True
        for idle in self._idle:
            if not idle.done():
                idle.set_result(None)
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _wake(self) -> None:
        if not self._wake_idle() and len(self._workers) < self._width:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    def _wake_idle(self) -> bool:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return True
        return False

    async def _work(self) -> None:
        link: Link | None = None
        try:
            while True:
                while not self._queue:
                    if self._closing:
                        return
                    idle = asyncio.get_running_loop().create_future()
                    self._idle.append(idle)
                    await idle
                works = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
                before = link
                try:
                    link = await self._connected(link)
                except Exception as error:  # noqa: BLE001  whoever waits is told
                    link = None
                    if any(not one.closed for one in self._links):
                        self._give_back(works)  # to those who have one
                        return
                    self._refuse(works, error)
                    continue
                if not await self._do(link, works, fresh=link is not before):
                    link = None
        finally:
            if link is not None:
                self._links.discard(link)
                await link.close()

    async def _connected(self, link: Link | None) -> Link:
        """Give this connection, or a new one if it is not there any more. Raises what the driver
        raises, Unavailable."""
        if link is not None:
            if not link.closed:
                return link
            await self._drop(link)
        made = await self._connect()
        self._links.add(made)
        return made

    async def _drop(self, link: Link) -> None:
        self._links.discard(link)
        await link.drop()

    def _give_back(self, works: list[Work[T]]) -> None:
        self._queue.extendleft(reversed(works))
        self._wake_idle()

    def _refuse(self, works: list[Work[T]], error: Exception) -> None:
        """No connection is to be had: tell all who wait, each of whom would wait as long again."""
        self._fail([*works, *self._queue], error)
        self._queue.clear()

    async def _do(self, link: Link, works: list[Work[T]], *, fresh: bool) -> bool:
        """Do a batch; give whether the connection is good for more. What failed with a connection
        of before, and before it was committed, is done once more on another one, and nothing else
        of the batch."""
        try:
            await self._served(link, works)
        except Exception as error:  # noqa: BLE001  whoever waits is told
            unknown = isinstance(error, Unknown) or link.deciding
            failed = error.error if isinstance(error, Unknown) else error
            gone = is_gone(failed)
            if not gone and not unknown:
                self._fail(works, failed)
                return True
            await self._drop(link)
            if unknown or fresh:
                self._fail(works, failed, unknown=unknown)
            else:
                self._give_back([work for work in works if not work.over])
            return False
        return True

    async def _served(self, link: Link, works: list[Work[T]]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._serve(link, works)
        except TimeoutError:
            link.doubt()
            raise

    def _fail(
        self, works: Iterable[Work[T]], error: BaseException, *, unknown: bool = False
    ) -> None:
        known = not unknown and not is_failure(error)
        for work in works:
            work.fail(error if known else unavailable(error, unknown=unknown))
