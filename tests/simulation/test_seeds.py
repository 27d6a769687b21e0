"""Thousands of runs, each from its seed: nothing that is promised breaks, whatever fails.

The other half is in `test_more_seeds.py`, so that two processors share the work.
"""

import pytest

from tests.simulation.run import run, shortest, tell

TOGETHER = 100


def judge(first: int) -> None:
    """Run so many seeds; the first that shows a fault fails, with its shortest history."""
    for seed in range(first, first + TOGETHER):
        outcome = run(seed)
        assert not outcome.faults, tell(shortest(outcome))


@pytest.mark.parametrize("first", range(0, 1000, TOGETHER))
def test_no_run_breaks_a_promise(first: int) -> None:
    judge(first)


def test_the_same_seed_gives_the_same_run() -> None:
    one, other = run(7), run(7)
    assert one.story == other.story
    assert (one.checks, one.confirmed) == (other.checks, other.confirmed)
    assert one.confirmed > 3
    assert one.checks > 50
