"""The rule by which attempts count and are forgotten."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastcall.errors import RateLimited
from lastcall.limits import Limit
from tests.support.fakes import START

TEN = Limit("ten", 10, timedelta(minutes=15))
EACH = timedelta(seconds=90)


def take(limit: Limit, times: int, now: datetime = START) -> datetime | None:
    free_at = None
    for _ in range(times):
        free_at = limit.take(free_at, now)
    return free_at


def test_as_many_attempts_as_the_limit_says_are_taken_at_once_and_no_more() -> None:
    free_at = take(TEN, 10)
    with pytest.raises(RateLimited) as refused:
        TEN.take(free_at, START)
    assert (refused.value.retry_after, refused.value.limit) == (90, "ten")


@pytest.mark.parametrize("limit", [Limit("odd", 7, timedelta(seconds=10)), TEN])
def test_the_last_attempt_of_a_period_that_does_not_divide_is_taken_too(limit: Limit) -> None:
    free_at = take(limit, limit.attempts)
    with pytest.raises(RateLimited):
        limit.take(free_at, START)


def test_who_waits_as_long_as_was_said_gets_one_attempt_and_not_two() -> None:
    free_at = take(TEN, 10)
    with pytest.raises(RateLimited) as refused:
        TEN.take(free_at, START + timedelta(seconds=30.5))
    assert refused.value.retry_after == 60
    again = TEN.take(free_at, START + EACH)
    with pytest.raises(RateLimited):
        TEN.take(again, START + EACH)


def test_after_the_period_all_is_forgotten() -> None:
    free_at = take(TEN, 10)
    assert TEN.take(free_at, START + TEN.period) == START + TEN.period + EACH


def test_an_attempt_that_is_given_back_can_be_taken_again() -> None:
    free_at = TEN.give_back(take(TEN, 10), START)
    assert free_at == START + 9 * EACH
    TEN.take(free_at, START)
    assert TEN.give_back(None, START) == START
    assert TEN.give_back(START - EACH, START) == START


def test_a_clock_that_goes_back_keeps_nobody_out_for_longer_than_the_period() -> None:
    free_at, earlier = take(TEN, 10), START - timedelta(days=3)
    with pytest.raises(RateLimited) as refused:
        TEN.take(free_at, earlier)
    assert refused.value.retry_after == 90


@given(steps=st.lists(st.integers(0, 200), max_size=80))
def test_in_no_stretch_of_time_more_is_taken_than_the_limit_and_what_was_forgotten(
    steps: list[int],
) -> None:
    """With 10 in 15 minutes: at most 10 and one more for each 90 seconds of the stretch."""
    free_at, now, taken = None, START, []
    for step in steps:
        now += timedelta(seconds=step)
        try:
            free_at = TEN.take(free_at, now)
        except RateLimited:
            continue
        taken.append(now)
    for index, first in enumerate(taken):
        for count, last in enumerate(taken[index:], 1):
            assert count <= 10 + (last - first) // EACH
