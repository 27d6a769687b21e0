"""A commit on PostgreSQL whose answer is missing is of unknown outcome, whatever fails after it."""

import asyncio
from typing import Any, cast

import asyncpg
import pytest

from lastcall.errors import Unavailable
from lastcall.stores.postgres import connecting, store
from lastcall.stores.postgres.connecting import Link
from lastcall.stores.postgres.lane import Lane, Work


class Raw:
    """A connection that is lost at the commit, which it does not know yet."""

    def __init__(self, *, hangs: bool) -> None:
        self.hangs = hangs
        self.said: list[str] = []
        self.terminated = False

    async def execute(self, statement: str) -> None:
        self.said.append(statement.strip())
        if statement == "COMMIT":
            raise asyncpg.ConnectionDoesNotExistError("connection was closed")
        if statement == "ROLLBACK":
            if self.hangs:
                await asyncio.Event().wait()
            raise asyncpg.InterfaceError("cannot perform operation")

    def is_closed(self) -> bool:
        return self.terminated

    def terminate(self) -> None:
        self.terminated = True


class Outer:
    """The same as SQLAlchemy has it."""

    async def run_sync(self, do: Any) -> Any:  # noqa: ANN401  whatever is done
        return do(None)

    async def invalidate(self) -> None:
        """Nothing is to be done."""

    close = invalidate


@pytest.mark.parametrize("hangs", [False, True], ids=["a rollback fails", "a rollback hangs"])
async def test_a_lost_commit_is_told_as_unknown_and_not_done_again(
    monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    monkeypatch.setattr(connecting, "END_SECONDS", 0.01)
    raws: list[Raw] = []

    async def connect() -> Link:
        raws.append(Raw(hangs=hangs))
        return Link(cast(Any, Outer()), cast(Any, raws[-1]))

    async def write(link: Link, works: list[Work[Any]]) -> None:
        if len(raws) == 1 and not raws[0].said:  # the connection is not new
            raws[0].said.append("before")
            works[0].settle(None)
            return
        await store._write(link, works)  # noqa: SLF001  what is to be held to it

    lane: Lane[Any] = Lane(connect, write)
    await lane.run(lambda _: None)
    with pytest.raises(Unavailable, match="unknown"):
        await lane.run(lambda _: None)
    await lane.close()
    assert [raw.said for raw in raws] == [["before", "BEGIN", "COMMIT", "ROLLBACK"]]
    assert raws[0].terminated
