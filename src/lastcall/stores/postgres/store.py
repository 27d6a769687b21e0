"""The store on PostgreSQL.

What appends to the log takes turns under the log's lock, and shares a transaction with what waits
beside it; refreshes share a statement; all else is a transaction of its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
from sqlalchemy import Connection

from lastcall.clock import Entropy
from lastcall.errors import Unavailable
from lastcall.events import Position
from lastcall.ids import SessionId
from lastcall.stores import base
from lastcall.stores.commit import appends, commit
from lastcall.stores.postgres import refreshing, timeline
from lastcall.stores.postgres.connecting import Link, Trust, engine
from lastcall.stores.postgres.failures import Unknown, is_failure, is_gone, may_try_again
from lastcall.stores.postgres.gaps import Gaps
from lastcall.stores.postgres.lane import BATCH, Lane, Work
from lastcall.stores.postgres.wakeups import NOTIFY, Wakeups
from lastcall.stores.sql import Reads

T = TypeVar("T")

READERS: Final = 4
"""How many connections read at most."""
WRITERS: Final = 4
"""How many connections write at most, beside the one that appends to the log and that of the node's
own row."""
REFRESHERS: Final = 2
"""How many connections refresh: while one waits for the disk, the other one takes what has come."""
PROMPT_SECONDS: Final = 6.0
"""How long a refresh, and what the leases of this node and its verifiers hang on, may take before
the connection is given up: far shorter than those are, and longer than a wait for a lock."""
TRIES: Final = 3
"""How often a transaction is tried that the server rolls back for the sake of others."""
SNAPSHOT: Final = "ISOLATION LEVEL REPEATABLE READ READ ONLY"

_OF_NODES: Final = base.RegisterNode | base.RenewNode | base.SettleTimeline

Do = Callable[[Connection], Any]
Append = Callable[[Connection, Position], base.Committed]
"""Is given the log's end, under its lock."""


class _Lanes(NamedTuple):
    """The connections, by what they do."""

    reader: Lane[Do]
    snapshots: Lane[Do]
    """Reads of several statements: of the log."""
    writer: Lane[Do]
    log: Lane[Append]
    """Commits that append to the log."""
    refresher: Lane[base.Refresh]
    node: Lane[Do]
    """The node's own row."""


class PostgresStore(Reads):
    """The contract of `base`, on one database."""

    deposable = True
    refreshes = True

    def __init__(
        self, database_url: str, entropy: Entropy, observe: base.Observer = base.unobserved
    ) -> None:
        """A database of the right schema; connections are made as they are needed."""
        self._observe = observe
        self._entropy = entropy
        self._source = engine(database_url)
        self._trust = Trust()
        self._wakeups = Wakeups(database_url)
        self._gaps = Gaps()
        self._on: tuple[asyncio.AbstractEventLoop, _Lanes] | None = None
        self._acked: list[Position | None] = []
        self._closed = False

    async def commit(self, *writes: base.Write, actor: SessionId | None = None) -> base.Committed:
        """Apply the writes, all or none."""
        lanes = self._lanes()
        committed: base.Committed
        if appends(writes):
            committed = await lanes.log.run(lambda db, end: commit(db, writes, actor, end))
        else:
            of_nodes = all(isinstance(one, _OF_NODES) for one in writes)
            wakes = self._wakes(writes)

            def do(db: Connection) -> base.Committed:
                done = commit(db, writes, actor)
                if wakes:
                    db.exec_driver_sql(NOTIFY)
                return done

            committed = await (lanes.node if of_nodes else lanes.writer).run(do)
        self._observe(writes, committed)
        return committed

    async def refresh(self, shown: base.Refresh) -> base.Refreshed | None:
        """Rotate a session that was not read before, together with what waits beside it."""
        done: base.Refreshed | None = await self._lanes().refresher.run(shown)
        if done is not None:
            self._observe((base.Rotate(done.session),), base.Committed(done.position, ()))
        return done

    async def data_version(self) -> int:
        """Give a number that is another one once any process has committed what nodes follow."""
        self._wakeups.start()
        return self._wakeups.version

    def watch(self, moved: Callable[[], None]) -> None:
        """Have this called as soon as `data_version` is another one."""
        self._wakeups.watch(moved)

    async def changes(self, after: int | None) -> base.Changes:
        """List who is concerned by what was recorded after a number."""
        if after is None:
            return await self._read(self._gaps.end)
        return await self._read(lambda db: self._gaps.changes(db, after))

    async def ping(self) -> None:
        """Raise Unavailable unless a write could begin now."""
        await self._lanes().writer.run(_require_writable)

    async def close(self) -> None:
        """Finish what is under way and let go of the connections."""
        await self._wakeups.close()
        if not self._closed:
            lanes = self._lanes()
            self._closed = True
            await asyncio.gather(*(lane.close() for lane in lanes))
        await self._source.dispose()

    def _lanes(self) -> "_Lanes":
        """Give the lanes of this event loop: connections live on one. Those of a loop that is
        closed are gone with it."""
        loop = asyncio.get_running_loop()
        if self._on is None or self._on[0] is not loop:
            if self._on is not None and not self._on[0].is_closed():
                raise Unavailable("the database is in use on another event loop of this process")
            if self._closed:
                raise Unavailable("the database is being closed")
            self._on = (
                loop,
                _Lanes(
                    reader=Lane(self._connect, _read, width=READERS),
                    snapshots=Lane(self._connect, _read_snapshot, seconds=PROMPT_SECONDS),
                    writer=Lane(self._connect, _write, width=WRITERS),
                    log=Lane(self._connect, self._append, batch=BATCH),
                    refresher=Lane(
                        self._connect,
                        _refresh,
                        width=REFRESHERS,
                        batch=BATCH,
                        seconds=PROMPT_SECONDS,
                    ),
                    node=Lane(self._connect, _write, seconds=PROMPT_SECONDS),
                ),
            )
        return self._on[1]

    async def _connect(self) -> Link:
        return await Link.open(self._source, self._trust)

    async def _read(self, read: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        lanes = self._lanes()
        value: T = await (lanes.snapshots if snapshot else lanes.reader).run(read)
        return value

    def _version(self, _db: Connection) -> int:
        return self._wakeups.version

    def _wakes(self, writes: Sequence[base.Write]) -> bool:
        """Whether the other nodes wait for this: for what one has acknowledged, as they do for an
        event, or for one that is gone."""
        acked = [one.acked for one in writes if isinstance(one, base.RenewNode)]
        if acked and acked != self._acked:
            self._acked = acked
            return True
        return any(isinstance(one, base.RemoveNode) for one in writes)

    async def _append(self, link: Link, works: list[Work[Append]]) -> None:
        """Do all under the log's lock in one transaction; where one of them can't be done, each in
        a transaction of its own."""
        try:
            values = await self._appended(link, works)
        except Exception as error:
            if is_failure(error) or isinstance(error, Unknown):
                raise
            if len(works) == 1:
                works[0].fail(error)
                return
            for work in works:
                await self._append(link, [work])
        else:
            for work, value in zip(works, values, strict=True):
                work.settle(value)

    async def _appended(self, link: Link, works: list[Work[Append]]) -> list[base.Committed]:
        def do(db: Connection) -> list[base.Committed]:
            end, done = timeline.lock(db, self._entropy), []
            for work in works:
                done.append(work.do(db, end))
                end = done[-1].position
            db.exec_driver_sql(NOTIFY)
            return done

        return await _in_transaction(link, do)


async def _refresh(link: Link, works: list[Work[base.Refresh]]) -> None:
    shown = [work.do for work in works]
    link.warned.clear()
    for tries in range(TRIES):
        link.deciding = True
        try:
            done = await refreshing.refresh(link.raw, shown)
            link.deciding = False
            link.require_silence()
        except Exception as error:
            link.deciding = False
            if tries + 1 < TRIES and may_try_again(error):
                continue
            if is_gone(error):
                raise Unknown(error) from error
            raise
        else:
            for work, one in zip(works, done, strict=True):
                work.settle(one)
            return


async def _read(link: Link, works: list[Work[Do]]) -> None:
    for work in works:
        try:
            work.settle(await link.run(work.do))
        except Exception as error:
            if is_failure(error):
                raise
            work.fail(error)


async def _read_snapshot(link: Link, works: list[Work[Do]]) -> None:
    for work in works:
        async with link.transaction(SNAPSHOT):
            value = await link.run(work.do)
            await link.raw.execute("COMMIT")
        work.settle(value)


async def _write(link: Link, works: list[Work[Do]]) -> None:
    for work in works:
        try:
            work.settle(await _in_transaction(link, work.do))
        except Exception as error:
            if is_failure(error) or isinstance(error, Unknown):
                raise
            work.fail(error)


def _require_writable(db: Connection) -> None:
    if db.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on":
        raise asyncpg.ReadOnlySQLTransactionError


async def _in_transaction(link: Link, do: Callable[[Connection], T]) -> T:
    """Do it in a transaction, again where the server rolls it back for the sake of others. Raises
    Unknown as `Link.commit` does."""
    for tries in range(TRIES):
        try:
            async with link.transaction():
                value = await link.run(do)
                await link.commit()
        except Exception as error:
            if tries + 1 == TRIES or not may_try_again(error):
                raise
        else:
            return value
    raise AssertionError
