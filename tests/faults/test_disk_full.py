"""A disk that is full, or has room for a part of what an operation writes."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.machine import Machine, World, content_of, look
from tests.faults.operations import MAIN, REST, Operation
from tests.support.disks import fill, make_room, small_disk


@pytest.mark.parametrize(
    "operation",
    [*MAIN, *(pytest.param(one, marks=pytest.mark.soak) for one in REST)],
    ids=lambda one: one.name,
)
def test_an_operation_on_a_full_disk_is_refused_until_all_of_it_has_room(
    machine: Machine, world: World, tmp_path: Path, operation: Operation
) -> None:
    """It answers 503 and changes nothing, while who only reads is served; as soon as there is room
    it is done, by the same server."""
    folder = world.begin(machine, tmp_path / "roomy")
    assert operation.ask(machine, world) is not None
    done = look(machine, world, folder)
    (tmp_path / "small").mkdir()
    with small_disk(tmp_path / "small", "4m"), closing(machine):
        folder = world.begin(machine, tmp_path / "small" / "served")
        before = content_of(machine, folder)
        filler = fill(folder)
        refused = 0
        while True:
            refusal = operation.send(machine, world)
            assert refusal is not None
            if refusal.status_code == operation.status:
                break
            assert refusal.status_code == 503
            assert b"unavailable" in refusal.content
            assert int(refusal.headers["retry-after"]) > 0
            assert content_of(machine, folder) == before
            own = machine.ask("GET", "/api/v1/session", token=world.devices["ada"].access)
            assert own is not None
            assert own.is_success
            refused += 1
            # More each time: a counted attempt takes room as well, and there may be ten of them.
            make_room(filler, pages=refused)
        assert refused
        filler.unlink()
        assert look(machine, world, folder) == done
