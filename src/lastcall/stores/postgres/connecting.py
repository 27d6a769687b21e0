"""Connections to PostgreSQL: each waits for the disk at every commit, and for nothing for ever."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import Connection, NullPool, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from lastcall.stores.postgres.failures import Unknown, Warned, is_refused
from lastcall.stores.postgres.hosts import connect
from lastcall.stores.prepared import plain

T = TypeVar("T")

END_SECONDS: Final = 5.0
"""How long a rollback may take, or a goodbye, before the connection is given up."""


def engine(database_url: str) -> AsyncEngine:
    """Give an engine whose transactions are opened by hand."""

    async def create() -> Any:  # noqa: ANN401  SQLAlchemy asks for no type
        return await connect(database_url)

    # An error's text must not hold what was to be written.
    made = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=create,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )
    event.listen(made.sync_engine, "before_cursor_execute", _plain, retval=True)
    return made


def _plain(
    _connection: object,
    _cursor: object,
    statement: str,
    given: Any,  # noqa: ANN401  a tuple, or several
    _context: object,
    several: bool,
) -> tuple[str, Any]:
    if several:
        return statement, [tuple(map(plain, one)) for one in given]
    return statement, tuple(map(plain, given))


@dataclass(eq=False, slots=True)
class Trust:
    """Which of a store's connections are relied on: once one has given no answer in time, none that
    is older, since whatever lies between may have forgotten them all."""

    lost: int = 0
    """How often that was."""


@dataclass(eq=False, slots=True)
class Link:
    """One connection: as SQLAlchemy has it, and as the driver does."""

    outer: AsyncConnection
    raw: asyncpg.Connection
    trust: Trust = field(default_factory=Trust)
    made: int = 0
    """How often trust was lost before it was made."""
    warned: list[str] = field(default_factory=list)
    """What the server has warned of since the last transaction began."""
    deciding: bool = False
    """Whether it was sent something that may be done although no answer to it ever comes."""

    @classmethod
    async def open(cls, source: AsyncEngine, trust: Trust) -> "Link":
        """Connect. Raises what the driver raises."""
        made = trust.lost
        outer = await source.connect()
        raw: Any = (await outer.get_raw_connection()).driver_connection
        link = cls(outer, raw, trust, made)
        raw.add_log_listener(lambda _, notice: link.warned.append(notice.message))
        return link

    @property
    def closed(self) -> bool:
        """Whether it is of no use: the other side has ended it, or is perhaps not there."""
        return self.made != self.trust.lost or bool(self.raw.is_closed())

    def doubt(self) -> None:
        """It gave no answer in time: rely neither on it nor on those that were made before."""
        if self.made == self.trust.lost:
            self.trust.lost += 1

    async def run(self, do: Callable[[Connection], T]) -> T:
        """Have `do` run on it."""
        return await self.outer.run_sync(do)

    @contextlib.asynccontextmanager
    async def transaction(self, how: str = "") -> AsyncIterator[None]:
        """Begin a transaction; roll it back where this is left by an error. Who is done commits."""
        await self.raw.execute(f"BEGIN {how}")
        try:
            yield
        except asyncio.CancelledError:
            self.raw.terminate()  # what has no answer yet may never have one
            raise
        except BaseException:
            if not self.raw.is_closed():
                await self._roll_back()
            raise

    async def commit(self) -> None:
        """Commit. Raises what the server refuses it with, and Unknown where its answer is missing
        or comes with a warning (instant-logout, rule 15)."""
        self.warned.clear()
        self.deciding = True
        try:
            await self.raw.execute("COMMIT")
        except Exception as error:
            self.deciding = False
            if is_refused(error):
                raise
            raise Unknown(error) from error
        self.deciding = False
        self.require_silence()

    def require_silence(self) -> None:
        """Raise Unknown where the server has warned of something."""
        if self.warned:
            raise Unknown(Warned(self.warned[0]))

    async def _roll_back(self) -> None:
        """Roll back, or let go: what this fails with says nothing of what went wrong before."""
        try:
            async with asyncio.timeout(END_SECONDS):
                await self.raw.execute("ROLLBACK")
        except Exception:  # noqa: BLE001
            self.raw.terminate()

    async def close(self) -> None:
        """Let go of it, in order if that works."""
        if self.closed:
            self.raw.terminate()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(END_SECONDS):  # the other side must say goodbye too
                await self.outer.close()
        if not self.raw.is_closed():
            self.raw.terminate()

    async def drop(self) -> None:
        """Let go of it without another word: what it would say next can't be told."""
        self.raw.terminate()
        with contextlib.suppress(Exception):
            await self.outer.invalidate()
        with contextlib.suppress(Exception):
            await self.outer.close()
