"""A commit of which the disk has only a part, as a kill in its midst or a power cut leaves it: it
is whole or absent."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.machine import Content, Machine, World, content, content_of
from tests.faults.operations import MAIN, REST, Operation
from tests.support.nodes import DATABASE

FRAME = 24 + 4096
"""Bytes of a page in SQLite's write-ahead log, with its head."""
CUTS = (0, 1, 24, 25, FRAME // 2, FRAME - 1)
"""How much of a page was written."""


@pytest.mark.parametrize("operation", [*MAIN, *REST], ids=lambda one: one.name)
def test_a_commit_that_the_disk_has_in_part_is_whole_or_absent(
    machine: Machine, world: World, tmp_path: Path, operation: Operation
) -> None:
    """Whatever was committed before is kept, wherever the log is cut, and whichever page of it was
    never written while later ones were."""
    folder = world.begin(machine, tmp_path / "served")
    kept = machine.refresh(world.devices["ada_phone"].refresh)  # what must not be lost
    assert kept.is_success, kept.text
    before = content_of(machine, folder)
    log = folder / f"{DATABASE}-wal"
    start = len(log.read_bytes())
    assert operation.ask(machine, world) is not None
    done = content_of(machine, folder)
    machine.close()
    whole = log.read_bytes()
    assert after(folder, whole, tmp_path) == done != before
    torn = [after(folder, part, tmp_path) for part in parts(whole, start)]
    assert len(torn) > len(CUTS)
    assert all(found == before for found in torn)


def parts(whole: bytes, start: int) -> Iterator[bytes]:
    """Give the log without the last commit's end, and with a page of it that was never written."""
    assert (len(whole) - start) % FRAME == 0
    for frame in range(start, len(whole), FRAME):
        yield from (whole[: frame + cut] for cut in CUTS)
        yield whole[:frame] + bytes(FRAME) + whole[frame + FRAME :]


def after(folder: Path, log: bytes, tmp_path: Path) -> Content:
    """Read what the machine finds when it starts again with this log."""
    copy = tmp_path / "copy.db"
    copy.write_bytes((folder / DATABASE).read_bytes())
    copy.with_name("copy.db-wal").write_bytes(log)
    return content(copy)
