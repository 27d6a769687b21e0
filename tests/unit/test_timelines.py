"""Which places of the timelines that a log has left behind are on it."""

from typing import cast

import pytest

from lastcall.events import Position, Timeline
from lastcall.sessions.timelines import Timelines
from lastcall.stores import base

FIRST, SECOND, THIRD = Timeline(1, "first"), Timeline(2, "second"), Timeline(3, "third")
STARTS = (
    base.TimelineStart(FIRST, 1), base.TimelineStart(SECOND, 10), base.TimelineStart(THIRD, 20)
)  # fmt: skip


class Log:
    """A store that holds a log, and counts how often it is read."""

    def __init__(self) -> None:
        self.end = Position("epoch", SECOND, 15)
        self.reads = 0

    async def read_log(self, after: int, most: int) -> base.LogPart:
        assert (after > 0, most) == (True, 1), "of its events as few as can be"
        self.reads += 1
        starts = tuple(one for one in STARTS if one.seq <= self.end.seq)
        return base.LogPart(base.LogEnd(self.end, 0), starts, (), (), 0)


@pytest.fixture
def store() -> Log:
    return Log()


@pytest.fixture
def timelines(store: Log) -> Timelines:
    return Timelines(cast(base.Store, store))


@pytest.mark.parametrize(
    ("position", "last"),
    [
        (Position("epoch", SECOND, 12), 15),
        (Position("epoch", FIRST, 3), 9),
        (Position("epoch", FIRST, 12), 9),
        (Position("other", FIRST, 3), None),
        (Position("epoch", Timeline(1, "twin"), 3), None),
        (Position("epoch", THIRD, 3), None),
    ],
    ids=["the newest", "an earlier one", "past its end", "another epoch", "a twin", "a later one"],
)
async def test_a_timeline_lasts_until_the_next_one_opens(
    store: Log, timelines: Timelines, position: Position, last: int | None
) -> None:
    assert await timelines.last(position, store.end) == last


async def test_what_is_before_its_timeline_s_start_is_nowhere(
    store: Log, timelines: Timelines
) -> None:
    store.end = Position("epoch", THIRD, 25)
    assert await timelines.last(Position("epoch", SECOND, 10), store.end) == 19
    assert await timelines.last(Position("epoch", SECOND, 9), store.end) is None


async def test_the_log_is_read_once_a_timeline_and_not_for_tokens_of_the_newest(
    store: Log, timelines: Timelines
) -> None:
    await timelines.last(Position("epoch", SECOND, 12), store.end)
    assert store.reads == 0
    for _ in range(3):
        assert await timelines.last(Position("epoch", FIRST, 3), store.end) == 9
    assert store.reads == 1
    old, store.end = store.end, Position("epoch", THIRD, 25)
    for _ in range(3):
        assert await timelines.last(Position("epoch", SECOND, 12), store.end) == 19
        assert await timelines.last(old, old) == 15
    assert store.reads == 2
