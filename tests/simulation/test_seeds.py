"""Thousands of runs, each from its seed: nothing that is promised breaks, whatever fails.

The other half is in `test_more_seeds.py`, so that two processors share the work.
"""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.simulation.run import run

TOGETHER = 100


def judge(first: int) -> None:
    """Run so many seeds as `make simulate` does; the first that shows a fault fails, with its
    shortest history. No coverage is measured there: that took longer than the runs."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.simulate", str(TOGETHER), "--first", str(first)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("first", range(0, 1000, TOGETHER))
def test_no_run_breaks_a_promise(first: int) -> None:
    judge(first)


def test_the_same_seed_gives_the_same_run() -> None:
    one, other = run(7), run(7)
    assert one.story == other.story
    assert (one.checks, one.confirmed) == (other.checks, other.confirmed)
    assert one.confirmed > 3
    assert one.checks > 50
