"""Who follows the log is woken by NOTIFY, as soon as something was committed. A wake-up only: what
is true is read from the log, and a poll covers one that was lost (instant-logout, last section)."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from lastcall.errors import Unavailable
from lastcall.stores.postgres import hosts
from lastcall.stores.postgres.failures import is_failure

log = logging.getLogger("lastcall.stores")

CHANNEL: Final = "lastcall"
NOTIFY: Final = f"NOTIFY {CHANNEL}"
"""Wakes all nodes at the commit. It makes commits take turns: none for a refresh."""
POLL_SECONDS: Final = 0.25
"""How long a lost wake-up goes unnoticed."""
AGAIN_SECONDS: Final = 1.0
"""How long a dead listener waits before it listens anew."""
ASK_SECONDS: Final = 1.0
"""How often it is asked whether the other side is there."""
SILENT_SECONDS: Final = 5.0
"""How long that may take to answer."""


class Wakeups:
    """Counts wake-ups, on a connection that only listens."""

    def __init__(self, database_url: str) -> None:
        self.version = 0
        """Another number after each wake-up."""
        self._database_url = database_url
        self._tell: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen from now on; more than once is as once, on an event loop."""
        if self._task is None or self._task.done():  # it ended with its loop
            self._task = asyncio.get_running_loop().create_task(self._run())

    def watch(self, tell: Callable[[], None]) -> None:
        """Have this called at each wake-up."""
        self._tell.append(tell)

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            # The driver may have an error of its own to say of an operation that is cut off.
            await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def _woken(self, *_: object) -> None:
        self.version += 1
        for tell in self._tell:
            tell()

    async def _run(self) -> None:
        """Listen, and poll whatever becomes of that."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                await asyncio.sleep(POLL_SECONDS)
                self._woken()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            link: Any = None
            try:
                link = await hosts.connect(self._database_url)
                async with asyncio.timeout(SILENT_SECONDS):
                    await link.add_listener(CHANNEL, self._woken)
                self._woken()  # for what happened before it listened
                while True:
                    await asyncio.sleep(ASK_SECONDS)
                    async with asyncio.timeout(SILENT_SECONDS):
                        await link.execute(f"LISTEN {CHANNEL}")  # once more is as once
            except Exception as error:
                if not is_failure(error) and not isinstance(error, Unavailable):
                    raise
                log.warning("no wake-ups from the database: %s", type(error).__name__)
            finally:
                if link is not None:
                    link.terminate()
            self._woken()
            await asyncio.sleep(AGAIN_SECONDS)
