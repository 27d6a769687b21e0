"""Real servers, real verifiers and everything that can go wrong between them: whatever is reported
as confirmed is accepted by nobody any more, that is reported in time, and what is good is refused
only where something goes wrong."""

import asyncio
import random
import sys
from pathlib import Path

import pytest

from tests.faults.people import People
from tests.faults.stage import Plan, Prepared, Stage, staged
from tests.faults.trouble import AT_A_TIME, Trouble
from tests.support import network

MISSING = network.missing()


async def play(stage: Stage, endings: int, seed: int) -> list[str]:
    """End so many sessions while things go wrong; tell what was not confirmed in the end."""
    people = People(stage, random.Random(seed))
    trouble = Trouble(stage, random.Random(seed + 1))
    troubles = [asyncio.create_task(trouble.run()) for _ in range(AT_A_TIME)]
    acting = asyncio.create_task(people.act(endings))
    done, _ = await asyncio.wait([acting, *troubles], return_when=asyncio.FIRST_COMPLETED)
    for task in (acting, *troubles):
        task.cancel()
    await asyncio.gather(acting, *troubles, return_exceptions=True)  # all is well again
    for task in done:
        task.result()
    assert done == {acting}, "things go wrong until the end"
    open_ = await people.settle()
    await asyncio.sleep(0.3)  # checks go on for a little after the last confirmation
    await people.close()
    return open_


@pytest.mark.parametrize("endings", [100, pytest.param(600, marks=pytest.mark.soak)])
async def test_what_is_confirmed_is_accepted_by_nobody_whatever_fails(
    prepared: Prepared, tmp_path: Path, endings: int
) -> None:
    async with staged(prepared, tmp_path, Plan(network=MISSING is None)) as stage:
        left = await play(stage, endings, seed=endings)
    stage.finish()
    sys.stdout.write(stage.report())  # `pytest -s` shows it
    assert stage.faults == []
    assert left == [], "all is confirmed by each server, once nothing fails any more"
    assert stage.counts["confirmed"] >= endings
    accepted = sum(check.verdict == "accepted" for check in stage.checks)
    assert accepted > endings, "verifiers accept what is good"
    assert {check.verifier for check in stage.checks if "fork" in check.verifier}
    assert stage.counts["commands"] >= endings / 50
    kinds = [kind.__name__ for kind in Trouble(stage, random.Random()).kinds]
    assert min(stage.counts[kind] for kind in kinds) >= 1, "everything has gone wrong"
