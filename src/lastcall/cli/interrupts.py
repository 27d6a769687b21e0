"""Signals that end a command: its work on the event loop ends first, between two of its steps."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from types import FrameType

T = TypeVar("T")

_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


def run(work: Coroutine[object, object, T]) -> T:
    """Run work to its end. Where a signal ends the process meanwhile, the work is cancelled, so
    that it lets go of everything in order; then the signal does what it would have done."""
    received: list[int] = []

    async def cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

        def stop(number: int, _frame: "FrameType | None") -> None:
            received.append(number)
            loop.call_soon_threadsafe(task.cancel)

        before = {number: signal.signal(number, stop) for number in _ENDING}
        try:
            return await task
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    try:
        return asyncio.run(cancellable())
    finally:
        if received:
            signal.raise_signal(received[0])
