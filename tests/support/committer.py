"""A process that appends events: `python -m tests.support.committer URL COUNT AT_ONCE`.

Prints the place of each event as soon as its commit was answered.
"""

import asyncio
import sys

from lastcall.clock import system_entropy
from lastcall.events import SYSTEM
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.stores.base import EndSession
from lastcall.stores.opening import open_store
from tests.support.fakes import START


async def main(url: str, count: int, at_once: int) -> None:
    """Append `count` events, `at_once` at a time."""
    store = open_store(url, None, START, system_entropy).store

    async def append(number: int) -> None:
        for _ in range(count // at_once):
            end = EndSession(
                SessionId(f"s_{number}"),
                UserId("u_nobody"),
                AccountId("a_nobody"),
                "revoked",
                SYSTEM,
                START,
            )
            committed = await store.commit(end)
            assert committed.position == committed.events[-1].position
            sys.stdout.write(f"{committed.position.seq}\n")
            sys.stdout.flush()

    await asyncio.gather(*(append(number) for number in range(at_once)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
