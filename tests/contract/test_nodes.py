"""The rows of nodes: who renews lives, who has no row is fenced, nobody removes the living."""

import asyncio
import subprocess
import sys

import pytest

from lastcall.errors import LostRace
from lastcall.events import Position, Timeline
from lastcall.ids import NodeId
from lastcall.stores import base
from lastcall.stores.base import NodeRow, Store
from tests.conftest import ROOT
from tests.contract.test_log import append, appending
from tests.contract.writes import loses
from tests.support.backends import Backend

ONE, TWO = NodeId("n_one"), NodeId("n_two")

RENEW = """
import asyncio, sys
from pathlib import Path
from lastcall.clock import system_entropy
from lastcall.ids import NodeId
from lastcall.stores.base import RenewNode
from lastcall.stores.opening import open_store
from tests.support.fakes import START

async def main():
    store = open_store(sys.argv[1], Path(sys.argv[2]), START, system_entropy).store
    print("ready", flush=True)
    for line in sys.stdin:
        await store.commit(RenewNode(NodeId(line.strip()), (await store.log_end()).position))
        print("renewed", flush=True)
    await store.close()

asyncio.run(main())
"""
"""A process that renews the node whose id it is told."""


def renewer(backend: Backend) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RENEW, backend.url, str(backend.secret_file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def known(store: Store) -> Position:
    return (await store.log_end()).position


async def rows(store: Store) -> list[NodeRow]:
    return list((await store.nodes()).rows)


async def test_a_new_node_has_renewed_nothing_and_acknowledged_nothing(
    store: Store, other: Store
) -> None:
    assert await rows(store) == []
    before = (await store.log_end()).position
    committed = await store.commit(base.RegisterNode(ONE))
    assert committed == base.Committed(before, ())
    assert await rows(other) == [NodeRow(ONE, 0, None)]


async def test_an_id_is_registered_once(store: Store, other: Store) -> None:
    await store.commit(base.RegisterNode(ONE))
    await store.commit(base.RenewNode(ONE, await known(store)))
    await loses(store, base.RegisterNode(ONE))
    await loses(other, base.RegisterNode(ONE))
    tries = [one.commit(base.RegisterNode(TWO)) for one in (store, other) * 5]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(one) for one in outcomes].count(base.Committed) == 1
    assert [type(one) for one in outcomes].count(LostRace) == 9
    assert await rows(store) == [NodeRow(ONE, 1, None), NodeRow(TWO, 0, None)]


async def test_a_renewal_moves_its_own_beat_and_writes_what_was_acknowledged(store: Store) -> None:
    await store.commit(base.RegisterNode(ONE), base.RegisterNode(TWO))
    first = (await store.log_end()).position
    assert (await store.commit(base.RenewNode(ONE, first, first))).position == first
    assert await rows(store) == [NodeRow(ONE, 1, first), NodeRow(TWO, 0, None)]
    last = (await store.commit(append())).position
    assert (await store.commit(base.RenewNode(ONE, first, first))).position == last
    assert await rows(store) == [NodeRow(ONE, 2, first), NodeRow(TWO, 0, None)]
    await store.commit(base.RenewNode(ONE, last, last))
    assert await rows(store) == [NodeRow(ONE, 3, last), NodeRow(TWO, 0, None)]
    await store.commit(base.RenewNode(ONE, await known(store)))
    assert await rows(store) == [NodeRow(ONE, 4, None), NodeRow(TWO, 0, None)]


async def test_a_node_without_a_row_is_fenced(store: Store, other: Store) -> None:
    """A renewal never makes the row that it moves (rule 8)."""
    end = (await store.log_end()).position
    await loses(store, base.RenewNode(ONE, await known(store)))
    await store.commit(base.RegisterNode(ONE))
    await other.commit(base.RemoveNode(ONE, 0))
    await loses(store, base.RenewNode(ONE, end, end))
    assert await rows(store) == []


async def test_a_node_that_has_seen_another_log_is_fenced(store: Store) -> None:
    """Whether it is what it knows or what it has acknowledged that the log lacks: that is of no
    worth here, and is not written (rule 6)."""
    await store.commit(base.RegisterNode(ONE))
    end = (await store.commit(append())).position
    for elsewhere in (
        end._replace(seq=end.seq + 1),
        end._replace(seq=0),
        end._replace(epoch="another"),
        end._replace(timeline=Timeline(1, "another")),
        end._replace(timeline=end.timeline._replace(number=2)),
    ):
        for read, acked in ((elsewhere, None), (elsewhere, end), (end, elsewhere)):
            await loses(store, base.RenewNode(ONE, read, acked))
    assert await rows(store) == [NodeRow(ONE, 0, None)]
    await store.commit(base.RenewNode(ONE, end, end))


async def test_a_row_is_removed_only_at_the_beat_that_was_read(store: Store) -> None:
    await store.commit(base.RegisterNode(ONE), base.RegisterNode(TWO))
    await store.commit(base.RenewNode(ONE, await known(store)))
    await loses(store, base.RemoveNode(ONE, 0))
    await loses(store, base.RemoveNode(ONE, 2))
    await loses(store, base.RemoveNode(NodeId("n_no"), 0))
    await store.commit(base.RemoveNode(ONE, 1))
    await loses(store, base.RemoveNode(ONE, 1))
    assert await rows(store) == [NodeRow(TWO, 0, None)]


async def test_a_node_that_renews_in_its_own_process_is_not_removed_by_an_old_beat(
    store: Store, backend: Backend
) -> None:
    """Nor is one that was removed able to renew: of the two, one always loses (rule 10)."""
    await store.commit(base.RegisterNode(ONE))
    with renewer(backend) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        for beat in range(3):
            assert await rows(store) == [NodeRow(ONE, beat, None)]
            process.stdin.write(f"{ONE}\n")
            process.stdin.flush()
            assert await asyncio.to_thread(process.stdout.readline) == "renewed\n"
            await loses(store, base.RemoveNode(ONE, beat))
        process.stdin.close()
    assert process.returncode == 0
    await store.commit(base.RemoveNode(ONE, 3))
    assert await rows(store) == []


async def test_of_a_renewal_and_a_removal_at_once_one_loses(store: Store, other: Store) -> None:
    for turn in range(20):
        node = NodeId(f"n_{turn}")
        await store.commit(base.RegisterNode(node))
        renewed, removed = await asyncio.gather(
            store.commit(base.RenewNode(node, await known(store))),
            other.commit(base.RemoveNode(node, 0)),
            return_exceptions=True,
        )
        assert {type(renewed), type(removed)} == {base.Committed, LostRace}
        left = [row.id for row in await rows(store)]
        assert (node in left) == isinstance(renewed, base.Committed)


async def test_rows_and_log_are_of_one_snapshot(store: Store, backend: Backend) -> None:
    """No row has acknowledged what the log that is given with it does not contain, while another
    process appends and this one acknowledges each end that it sees (rule 10)."""
    await store.commit(base.RegisterNode(ONE))
    acked: set[int] = set()
    with appending(backend):
        async with asyncio.timeout(60):
            while len(acked) < 20:
                end = (await store.log_end()).position
                _, *seen = await asyncio.gather(
                    store.commit(base.RenewNode(ONE, end, end)), store.nodes(), store.nodes()
                )
                for nodes in seen:
                    (row,) = nodes.rows
                    if row.acked is not None:
                        assert row.acked.seq <= nodes.log.position.seq
                        acked.add(row.acked.seq)


async def test_nodes_are_counted_with_the_log_as_log_end_tells_it(store: Store) -> None:
    assert await store.nodes() == base.Nodes(await store.log_end(), ())
    await store.commit(append(), base.RegisterNode(TWO), base.RegisterNode(ONE))
    nodes = await store.nodes()
    assert nodes.log == await store.log_end()
    assert [row.id for row in nodes.rows] == [ONE, TWO]


@pytest.mark.parametrize("what", ["renewal", "registration", "removal"])
async def test_what_writes_a_row_shares_its_transaction_as_all_writes_do(
    store: Store, what: str
) -> None:
    await store.commit(base.RegisterNode(ONE))
    writes: dict[str, base.Write] = {
        "renewal": base.RenewNode(ONE, await known(store)),
        "registration": base.RegisterNode(TWO),
        "removal": base.RemoveNode(ONE, 0),
    }
    await loses(store, writes[what], base.RenewNode(NodeId("n_no"), await known(store)))
    await store.commit(writes[what])
