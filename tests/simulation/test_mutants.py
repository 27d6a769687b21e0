"""The simulation can fail: each rule that is broken on purpose shows."""

import pytest

from tests.simulation.mutants import MUTANTS, MUTE, Mutant
from tests.simulation.run import run, shortest, tell
from tests.simulation.schedule import FAULTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_shows(mutant: Mutant) -> None:
    if mutant.scenario is None:
        assert mutant.find() is not None
    else:
        assert not mutant.scenario()
        with mutant.broken():
            assert mutant.scenario()


def test_a_verifier_that_never_acknowledges_delays_and_breaks_nothing() -> None:
    with MUTE:
        for seed in range(40):
            assert not run(seed).faults


def test_a_fault_is_told_by_its_shortest_history() -> None:
    found = next(one for one in MUTANTS if one.name == "forget on disconnect")
    outcome = found.find()
    assert outcome is not None
    with found.broken():
        short = shortest(outcome, {**FAULTS, **(found.often or {})}, most=60)
        assert short.faults
        assert len(short.steps) < len(outcome.steps) / 2
        assert "is confirmed by" in tell(short)
        assert "unsafe" in tell(short)
