"""`lastcall restored` on PostgreSQL: a dump, and a copy of the whole server, put in place."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lastcall.clock import SystemClock
from lastcall.errors import SessionEnded
from lastcall.events import Position
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.settings import Settings
from tests.support import servers
from tests.support.nodes import calls, set_up, sign_in
from tools.postgres import Cluster
from tools.replication import follow, promote, wait_caught_up

NAME = "lastcall"


@pytest.fixture
def primary() -> Iterator[Cluster]:
    cluster = Cluster(fsync=False)
    cluster.start()
    cluster.create_database(NAME)
    yield cluster
    cluster.close()


async def opened(folder: Path, cluster: Cluster) -> Node:
    settings = Settings(database_url=cluster.url(NAME), secret_file=folder / "lastcall.key")
    passwords = Passwords(CHEAP, threads=1)
    return await Node.open(settings, clock=SystemClock(), passwords=passwords, serving=True)


async def restored(folder: Path, cluster: Cluster) -> dict[str, object]:
    (folder / "lastcall.toml").write_text(f'database_url = "{cluster.url(NAME)}"\n')
    answer: dict[str, object] = json.loads(
        await asyncio.to_thread(servers.run, folder, "restored", "--json")
    )
    return answer


async def begins(node: Node) -> tuple[Tokens, Tokens]:
    """Sessions that the backup will hold: one that lives on and one that is to be ended."""
    return await set_up(node), await sign_in(node)


async def ends(node: Node, tokens: Tokens) -> Position:
    """End a session after the backup was made, and go on; gives the log's end."""
    caller = await calls(node, tokens)
    await node.sessions.endings.sign_out(tokens.session.id, node.sessions.origin(caller, None))
    end = (await node.store.log_end()).position
    await node.close()
    return end


async def judge(folder: Path, cluster: Cluster, lost: tuple[Tokens, Tokens], end: Position) -> None:
    """Nobody is let in by what was signed before, whether or not it had been ended."""
    assert await restored(folder, cluster) == {"ended": 2, "kept": False}
    node = await opened(folder, cluster)
    for tokens in lost:
        with pytest.raises(SessionEnded) as error:
            await node.sessions.refresh(tokens.refresh_token, None)
        assert error.value.reason == "restored"
        with pytest.raises(SessionEnded):
            await calls(node, tokens)
    log = await node.store.log_end()
    assert log.position.epoch != end.epoch
    assert not log.settled
    fresh = await sign_in(node)
    assert (await calls(node, fresh)).session.id == fresh.session.id
    await node.sessions.refresh(fresh.refresh_token, None)
    await node.close()


async def test_a_dump_that_is_put_in_place_lets_nobody_in_who_was_ended_after_it(
    primary: Cluster, tmp_path: Path
) -> None:
    node = await opened(tmp_path, primary)
    lost = await begins(node)
    dump = primary.folder / "lastcall.dump"
    primary.run("pg_dump", "--format=custom", f"--file={dump}", primary.url(NAME))
    end = await ends(node, lost[1])
    primary.drop_database(NAME)
    primary.create_database(NAME)
    primary.run("pg_restore", "--exit-on-error", f"--dbname={primary.url(NAME)}", dump)
    await judge(tmp_path, primary, lost, end)


async def test_a_base_backup_that_is_put_in_place_lets_nobody_in_who_was_ended_after_it(
    primary: Cluster, tmp_path: Path
) -> None:
    node = await opened(tmp_path, primary)
    lost = await begins(node)
    copy = follow(primary)
    try:
        wait_caught_up(copy, primary)
        copy.stop()
        end = await ends(node, lost[1])
        primary.kill()
        copy.start()
        promote(copy)
        await judge(tmp_path, copy, lost, end)
    finally:
        copy.close()
