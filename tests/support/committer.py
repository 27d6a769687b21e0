"""A process that appends events: `python -m tests.support.committer URL KEY COUNT AT_ONCE`.

KEY is the secret file. Prints the place of each event as soon as its commit was answered.
"""

import asyncio
import sys
from pathlib import Path

from lastcall.clock import system_entropy
from lastcall.events import SYSTEM
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.stores.base import EndSession
from lastcall.stores.opening import open_store
from tests.support.fakes import START


async def main(url: str, key: Path, count: int, at_once: int) -> None:
    """Append `count` events, `at_once` at a time."""
    store = open_store(url, key, START, system_entropy).store

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
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
