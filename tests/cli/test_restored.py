"""`lastcall restored`: what is due after a backup was put in place (instant-logout, rule 17)."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lastcall.clock import SystemClock, system_entropy
from lastcall.errors import InvalidToken, LostRace, SessionEnded
from lastcall.ids import NodeId
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from tests.support import servers
from tests.support.nodes import DATABASE, calls, open_node, set_up, sign_in


async def run(folder: Path, *arguments: str) -> dict[str, object]:
    printed = await asyncio.to_thread(servers.run, folder, "restored", "--json", *arguments)
    answer: dict[str, object] = json.loads(printed)
    return answer


async def opened(folder: Path) -> Node:
    return await open_node(folder, SystemClock(), system_entropy)


def put_in_place(folder: Path) -> None:
    for beside in folder.glob(f"{DATABASE}*"):
        beside.unlink()
    shutil.move(folder / "copy.db", folder / DATABASE)
    (folder / DATABASE).chmod(0o600)


@pytest.fixture
async def lost(tmp_path: Path) -> tuple[Tokens, Tokens]:
    """A backup that is in place: the tokens of a session that it holds, and of one that was ended
    after it was made."""
    node = await opened(tmp_path)
    living, ended = await set_up(node), await sign_in(node)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        db.execute("VACUUM INTO ?", [str(tmp_path / "copy.db")])
    caller = await calls(node, ended)
    await node.sessions.endings.sign_out(ended.session.id, node.sessions.origin(caller, None))
    await node.store.commit(base.RegisterNode(NodeId("n_of_before")))
    await node.close()
    put_in_place(tmp_path)
    return living, ended


async def test_without_it_an_ended_session_would_live_again(
    lost: tuple[Tokens, Tokens], tmp_path: Path
) -> None:
    """The fault that all the rest is about."""
    _, ended = lost
    node = await opened(tmp_path)
    assert (await calls(node, ended)).session.id == ended.session.id
    await node.close()


async def test_every_session_ends_and_says_why(lost: tuple[Tokens, Tokens], tmp_path: Path) -> None:
    assert await run(tmp_path) == {"ended": 2, "kept": False}
    node = await opened(tmp_path)
    for tokens in lost:
        with pytest.raises(SessionEnded) as error:
            await node.sessions.refresh(tokens.refresh_token, None)
        assert error.value.reason == "restored"
        with pytest.raises(SessionEnded):
            await calls(node, tokens)
    assert (await calls(node, await sign_in(node))).session.ending is None
    await node.close()


async def test_they_are_kept_where_that_is_asked_for_and_their_access_tokens_are_not(
    lost: tuple[Tokens, Tokens], tmp_path: Path
) -> None:
    """A position of the lost log says nothing here (rule 5): a refresh is needed."""
    assert await run(tmp_path, "--keep-sessions") == {"ended": 0, "kept": True}
    node = await opened(tmp_path)
    for tokens in lost:
        with pytest.raises(InvalidToken) as error:
            await calls(node, tokens)
        assert error.value.code == "token_expired"
        fresh = await node.sessions.refresh(tokens.refresh_token, None)
        assert (await calls(node, fresh)).session.id == tokens.session.id
    await node.close()


async def test_the_log_is_another_one_that_nobody_has_waited_for_yet(
    lost: tuple[Tokens, Tokens], tmp_path: Path
) -> None:
    """No event of before is given, whoever knows one is fenced, and rows say nothing until every
    lease of before has run out (rules 4, 6 and 17)."""
    del lost
    node = await opened(tmp_path)
    before = (await node.store.log_end()).position
    await node.store.commit(base.RegisterNode(NodeId("n_goes")))
    await node.close()
    await run(tmp_path)
    node = await opened(tmp_path)
    part = await node.store.read_log(0)
    assert part.log.position.epoch != before.epoch
    assert not part.log.settled
    assert part.nodes == ()
    assert part.log.floor == before.seq
    assert [event.kind for event in part.events] == ["timeline_opened", "account_ended"]
    assert [one.seq for one in part.timelines] == [before.seq + 1]
    await node.store.commit(base.RegisterNode(NodeId("n_new")))
    with pytest.raises(LostRace):
        await node.store.commit(base.RenewNode(NodeId("n_new"), before))
    await node.leases.start()
    assert node.leases.side.leased(node.clock.lease())
    await node.close()
