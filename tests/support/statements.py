"""Statements on their way to PostgreSQL, of the connections that write: a test comes between."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection

Execute = Callable[[], Awaitable[Any]]
Around = Callable[[Any, str, Execute], Awaitable[Any]]
"""Is given a connection, a statement's first words and what executes it; gives what comes of it."""


def connecting(around: Around) -> Callable[..., Awaitable[Connection]]:
    """Give an `asyncpg.connect` whose connections have this around each statement that writes:
    those of transactions that may, BEGIN and COMMIT and what they read among them, and an UPDATE
    that needs none."""

    class Ours(_Observed):
        between = staticmethod(around)

    return partial(asyncpg.connect, connection_class=Ours)


class _Observed(Connection):
    between: Any
    """An `Around`, which mypy would take for a method."""
    writes = False

    async def execute(self, query: str, *args: Any, **options: Any) -> str:  # noqa: ANN401
        return str(await self.passes(query, partial(super().execute, query, *args, **options)))

    async def executemany(self, command: str, args: Any, **options: Any) -> None:  # noqa: ANN401
        await self.passes(command, partial(super().executemany, command, args, **options))

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        return await self.passes(query, partial(super().fetch, query, *args, **options))

    async def prepare(self, query: str, **options: Any) -> Any:  # noqa: ANN401
        return _Prepared(self, query, await super().prepare(query, **options))

    async def passes(self, query: str, execute: Execute) -> Any:  # noqa: ANN401
        name = " ".join(query.split()[:3])
        if name.startswith("BEGIN"):
            self.writes = "READ ONLY" not in query
        is_ours = self.writes or name.startswith("UPDATE")
        if name in ("COMMIT", "ROLLBACK"):
            self.writes = False
        return await (self.between(self, name, execute) if is_ours else execute())


class _Prepared:
    """A prepared statement, as far as SQLAlchemy uses it."""

    def __init__(self, of: _Observed, query: str, prepared: Any) -> None:  # noqa: ANN401
        self._of = of
        self._query = query
        self._prepared = prepared

    async def fetch(self, *args: Any) -> Any:  # noqa: ANN401
        return await self._of.passes(self._query, partial(self._prepared.fetch, *args))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._prepared, name)
