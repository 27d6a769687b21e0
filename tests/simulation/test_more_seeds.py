"""The second thousand of runs, see `test_seeds.py`."""

import pytest

from tests.simulation.test_seeds import TOGETHER, judge


@pytest.mark.parametrize("first", range(1000, 2000, TOGETHER))
def test_no_run_breaks_a_promise(first: int) -> None:
    judge(first)
