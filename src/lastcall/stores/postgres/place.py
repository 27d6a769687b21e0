"""Where a PostgreSQL database lies: what is done to it before it is a store."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, text

from lastcall.clock import Entropy
from lastcall.errors import SettingsError
from lastcall.stores.base import Observer, Store
from lastcall.stores.place import ADDRESSES, KEY_FILE
from lastcall.stores.postgres import connecting, failures, timeline
from lastcall.stores.postgres.store import PostgresStore

T = TypeVar("T")

_LOCK: Final = 0x6C61737463616C6C
"""The advisory lock of who changes the schema: "lastcall" in ASCII."""
_LIMITS: Final = (
    "SET LOCAL statement_timeout = '10min'",
    "SET LOCAL lock_timeout = '10min'",  # as long as somebody else's migration may take
    f"SELECT pg_advisory_xact_lock({_LOCK})",
    "SET LOCAL lock_timeout = '5s'",  # or the servers would wait behind who waits here
    "SET LOCAL idle_in_transaction_session_timeout = '10min'",  # while a copy's source is read
)


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A database of a PostgreSQL server."""

    url: str = field(repr=False)

    @property
    def name(self) -> str:
        """Name it for people."""
        return "the PostgreSQL database"

    @property
    def secret_file(self) -> Path:
        """Tell where its secret file lies: in the working directory, as with SQLite's default."""
        return Path(KEY_FILE)

    def require(self) -> None:
        """Nothing can be told without asking the server."""

    def exclusively(self, do: Callable[[Connection], T]) -> T:
        """Hold an advisory lock, with limits for how long others wait for what is changed."""
        return self._run(do, "", _LIMITS)

    def look(self, do: Callable[[Connection], T]) -> T:
        """Have `do` run in a transaction that can change nothing. Raises Unavailable."""
        return self._run(do, "READ ONLY", ())

    def _run(self, do: Callable[[Connection], T], how: str, first: Sequence[str]) -> T:
        try:
            return _apart(lambda: self._transact(do, how, first))
        except failures.Unknown as error:
            raise failures.unavailable(error.error, unknown=True) from error
        except Exception as error:
            if failures.is_failure(error):
                raise failures.unavailable(error) from error
            raise

    async def _transact(self, do: Callable[[Connection], T], how: str, first: Sequence[str]) -> T:
        source = connecting.engine(self.url)
        try:
            link = await connecting.Link.open(source, connecting.Trust())
        except Exception as error:
            if isinstance(failures.cause(error), ValueError | OverflowError):
                # What the driver says may repeat the address.
                raise SettingsError(ADDRESSES) from None
            raise
        try:
            async with link.transaction(how):
                for statement in first:
                    await link.raw.execute(statement)
                value = await link.run(do)
                await link.commit()
            return value
        finally:
            await link.close()

    def server(self, db: Connection) -> str | None:
        """Name the cluster and its timeline."""
        return str(db.execute(text(f"SELECT {timeline.SERVER}")).scalar_one())

    def open(self, entropy: Entropy, observe: Observer) -> Store:
        """Give the store."""
        return PostgresStore(self.url, entropy, observe)


def _apart(do: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Wait for something on an event loop of its own, also where one is running here. Whoever
    interrupts the wait has it cancelled: it does not go on behind their back."""
    begun: Future[Callable[[], object]] = Future()

    async def cancellable() -> T:
        task = asyncio.ensure_future(do())
        loop = asyncio.get_running_loop()
        begun.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
        return await task

    with ThreadPoolExecutor(1, "lastcall-opening") as pool:
        done = pool.submit(lambda: asyncio.run(cancellable()))
        try:
            return done.result()
        except BaseException:
            if not done.done():
                begun.result()()
            raise
