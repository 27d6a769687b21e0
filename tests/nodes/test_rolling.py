"""All nodes are restarted one after the other under load: nobody notices."""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.people import People
from tests.faults.stage import Plan, Prepared, staged
from tests.nodes.balancer import Balancer
from tests.nodes.diary import Diary
from tests.nodes.site import Site
from tests.support import history

PLAN = Plan(lease=6, servers=3, verifiers=2)
CLIENTS = 4


@pytest.mark.parametrize("probing", [True, False], ids=["probed", "not probed"])
@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.soak)])
async def test_a_rolling_restart_loses_no_request_no_session_no_ending_and_no_check(
    site: Site, tmp_path: Path, rounds: int, probing: bool
) -> None:
    prepared = Prepared(site.folder, site.verify_key, site.sessions_key)
    async with staged(prepared, tmp_path, PLAN) as stage:
        people = People(stage, random.Random(rounds))
        balancer = Balancer(stage.ports, random.Random(rounds), probing=probing)
        diary = Diary(stage, random.Random(rounds), balancer)
        acts = [people.act(10**6), *(diary.run() for _ in range(CLIENTS))]
        acting = [asyncio.create_task(act) for act in acts]
        try:
            for number in [*range(PLAN.servers)] * rounds:
                await diary.wait(40)
                await stage.restart_server(number)
            await diary.wait(40)
            assert not any(task.done() for task in acting)
        finally:
            people.stop()
            diary.over = True
            await asyncio.gather(*acting)
        await diary.refresh_all()
        open_ = await people.settle()
        await people.close()
        await balancer.close()
        await diary.close()
    stage.finish()
    steps = Counter((step.kind, step.outcome) for step in diary.history)
    sys.stdout.write(stage.report() + f"{balancer.sent} requests: {dict(steps)}\n")
    assert balancer.lost == []
    assert history.faults(diary.history) == []
    assert diary.strange == []
    assert stage.faults == []
    assert open_ == [], "all is confirmed by each node in the end"
