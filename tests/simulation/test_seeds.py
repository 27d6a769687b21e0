"""The protocol in a simulation: thousands of runs, each from a seed, none with a fault."""

import pytest

from tests.simulation.mutants import FOUND
from tests.simulation.runs import Run, plan
from tests.simulation.shrinking import shortest

SEEDS = 2000
CHUNK = 250


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_run_shows_a_fault(first: int) -> None:
    for seed in map(str, range(first, first + CHUNK)):
        if Run(seed, plan(seed)).faults():
            pytest.fail(shortest(seed))


@pytest.mark.parametrize("mutant", FOUND)
def test_the_simulation_finds(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks, seed = FOUND[mutant]
    breaks(monkeypatch)
    found = Run(str(seed), plan(str(seed))).faults()
    assert any(fault.startswith("unsafe") for fault in found)
