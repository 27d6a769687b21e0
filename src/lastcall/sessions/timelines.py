"""Where the timelines ended that the log has left behind (instant-logout, rule 5)."""

from itertools import pairwise

from lastcall.events import Position, Timeline
from lastcall.stores import base


class Timelines:
    """Remembers them for the newest one: they change only when another one is opened."""

    def __init__(self, store: base.Store) -> None:
        self._store = store
        self._newest: tuple[str, Timeline] | None = None
        self._spans: dict[Timeline, tuple[int, int]] = {}
        """The first and the last place of each timeline, those of the newest one left out."""

    async def last(self, position: Position, end: Position) -> int | None:
        """Give the last place of a position's timeline on a log that was read to end at `end`; None
        where that log does not have it. Raises Unavailable."""
        if position.epoch != end.epoch:
            return None
        if position.timeline == end.timeline:
            return end.seq
        if self._newest != (end.epoch, end.timeline):
            await self._read(end)
        span = self._spans.get(position.timeline)
        return span[1] if span is not None and span[0] <= position.seq else None

    async def _read(self, end: Position) -> None:
        part = await self._store.read_log(end.seq, most=1)
        self._spans = {
            one.timeline: (one.seq, after.seq - 1) for one, after in pairwise(part.timelines)
        }
        self._newest = (part.log.position.epoch, part.log.position.timeline)
