"""Transactions of PostgreSQL that a test holds open, and those that wait for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

PATIENCE = 30
BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@asynccontextmanager
async def raw(url: str) -> AsyncIterator[Any]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


async def until(url: str, question: str, *expected: object) -> None:
    """Wait until the database gives one of these answers."""
    async with raw(url) as db, asyncio.timeout(PATIENCE):
        while await db.fetchval(question) not in expected:  # noqa: ASYNC110  nothing announces it
            await asyncio.sleep(0.005)


async def blocked(url: str, count: int = 1) -> None:
    """Wait until so many transactions wait for a lock."""
    await until(url, BLOCKED, count)


async def stopped(url: str, task: "asyncio.Future[Any]") -> None:
    """Wait until a task is at its end or at a lock."""
    async with raw(url) as db, asyncio.timeout(PATIENCE):
        while not task.done() and not await db.fetchval(BLOCKED):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def outcome(work: Awaitable[Any]) -> Any:  # noqa: ANN401
    """Give what comes of it, an error too."""
    return (await asyncio.gather(work, return_exceptions=True))[0]
