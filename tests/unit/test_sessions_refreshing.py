"""What a refresh gives: to the first, to who repeats it, to a thief, and to who lost a race."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from lastcall.errors import InvalidToken, RateLimited, SessionEnded
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from tests.support.endings import ended_for, find, log_out
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import calls, open_node
from tests.support.rivals import Rival


async def test_a_refresh_gives_a_successor_and_the_position_that_its_commit_read(
    node: Node, ada: Tokens
) -> None:
    await node.signing.rotate()
    end = (await node.store.log_end()).position
    tokens = await node.sessions.refresh(ada.refresh_token, None)
    assert tokens.refresh_token != ada.refresh_token
    assert tokens.session.id == ada.session.id
    assert (await calls(node, tokens)).access.position == end
    assert await find(node, tokens.session) == tokens.session


async def test_an_access_token_from_before_a_refresh_runs_on(node: Node, ada: Tokens) -> None:
    await node.sessions.refresh(ada.refresh_token, None)
    await calls(node, ada)


async def test_the_parent_gets_the_same_successor_byte_for_byte_within_the_grace(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    first = await node.sessions.refresh(ada.refresh_token, None)
    clock.advance(seconds=10)
    again = await node.sessions.refresh(ada.refresh_token, None)
    assert again.refresh_token == first.refresh_token
    assert again.access_token != first.access_token
    await calls(node, again)
    assert again.session.lineage.generation == 2


async def test_a_repeat_extends_nothing(node: Node, ada: Tokens, clock: FakeClock) -> None:
    first = await node.sessions.refresh(ada.refresh_token, None)
    clock.advance(seconds=9)
    again = await node.sessions.refresh(ada.refresh_token, None)
    assert again.session.last_active_at == first.session.last_active_at
    assert again.refresh_expires_in == first.refresh_expires_in - timedelta(seconds=9)
    assert (await find(node, ada.session)).idle_expires_at == first.session.idle_expires_at


async def test_a_hundred_repeats_are_answered_and_then_none_with_the_session_kept(
    node: Node, ada: Tokens
) -> None:
    tokens = await node.sessions.refresh(ada.refresh_token, None)
    for _ in range(100):
        assert (
            await node.sessions.refresh(ada.refresh_token, None)
        ).refresh_token == tokens.refresh_token
    with pytest.raises(RateLimited):
        await node.sessions.refresh(ada.refresh_token, None)
    assert await ended_for(node, tokens) is None
    await node.sessions.refresh(tokens.refresh_token, None)


async def test_concurrent_repeats_are_counted_each(node: Node, ada: Tokens) -> None:
    await node.sessions.refresh(ada.refresh_token, None)
    given = await asyncio.gather(
        *(node.sessions.refresh(ada.refresh_token, None) for _ in range(130)),
        return_exceptions=True,
    )
    assert len([one for one in given if isinstance(one, Tokens)]) == 100
    assert len([one for one in given if isinstance(one, RateLimited)]) == 30


async def test_a_stolen_token_shown_after_the_grace_ends_the_session_for_both(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    thief = await node.sessions.refresh(ada.refresh_token, "198.51.100.9")
    clock.advance(seconds=10.000001)
    with pytest.raises(SessionEnded) as caught:
        await node.sessions.refresh(ada.refresh_token, None)
    assert caught.value.reason == "refresh_reuse"
    assert await ended_for(node, thief) == "refresh_reuse"
    assert await ended_for(node, ada) == "refresh_reuse"


async def test_the_grandparent_ends_the_session_within_the_grace(node: Node, ada: Tokens) -> None:
    second = await node.sessions.refresh(ada.refresh_token, None)
    third = await node.sessions.refresh(second.refresh_token, None)
    with pytest.raises(SessionEnded):
        await node.sessions.refresh(ada.refresh_token, None)
    assert await ended_for(node, third) == "refresh_reuse"


async def test_of_32_refreshes_at_once_in_two_processes_all_get_one_successor(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    token = ada.refresh_token
    for turn in range(20):
        given = await asyncio.gather(
            *(one.refresh(token, None) for one in [node.sessions, rival.sessions] * 16)
        )
        assert len({tokens.refresh_token for tokens in given}) == 1
        token = given[0].refresh_token
        found = await find(node, ada.session)
        assert (found.lineage.generation, found.lineage.repeats) == (turn + 2, 31)


async def test_a_refresh_that_lost_to_a_termination_gives_nothing(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    rival.store.racer = lambda: log_out(node, ada)
    with pytest.raises(SessionEnded) as caught:
        await rival.sessions.refresh(ada.refresh_token, None)
    assert caught.value.reason == "terminated_by_admin"
    assert (await find(node, ada.session)).lineage.generation == 1


async def test_a_repeat_that_lost_to_a_termination_gives_nothing(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    await node.sessions.refresh(ada.refresh_token, None)
    rival.store.racer = lambda: log_out(node, ada)
    with pytest.raises(SessionEnded):
        await rival.sessions.refresh(ada.refresh_token, None)


async def test_a_refresh_that_lost_to_another_gets_its_successor(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    won: list[Tokens] = []

    async def first() -> None:
        won.append(await node.sessions.refresh(ada.refresh_token, None))

    rival.store.racer = first
    lost = await rival.sessions.refresh(ada.refresh_token, None)
    assert lost.refresh_token == won[0].refresh_token


async def test_a_theft_that_was_noticed_twice_at_once_is_one_ending(
    node: Node, rival: Rival, ada: Tokens, clock: FakeClock
) -> None:
    await node.sessions.refresh(ada.refresh_token, None)
    clock.advance(seconds=11)

    async def first() -> None:
        with pytest.raises(SessionEnded):
            await node.sessions.refresh(ada.refresh_token, None)

    rival.store.racer = first
    with pytest.raises(SessionEnded) as caught:
        await rival.sessions.refresh(ada.refresh_token, None)
    assert caught.value.reason == "refresh_reuse"
    end = (await node.store.log_end()).position.seq
    before = await node.store.find_event(end - 1)
    assert before is None or before.kind != "session_ended"


async def test_a_refresh_writes_down_that_a_session_ran_out(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    ran_out = clock.now() + timedelta(hours=24)
    clock.advance(days=2)
    with pytest.raises(SessionEnded) as caught:
        await node.sessions.refresh(ada.refresh_token, None)
    assert (caught.value.reason, caught.value.ended_at) == ("expired_inactive", ran_out)
    clock.step(timedelta(days=-2))
    assert await ended_for(node, ada) == "expired_inactive"


async def test_a_refresh_from_elsewhere_moves_the_session_s_place(node: Node, ada: Tokens) -> None:
    tokens = await node.sessions.refresh(ada.refresh_token, "8.8.8.8")
    assert tokens.session.ip == "8.8.8.8"
    assert tokens.session.place.country_code == "US"
    assert await find(node, ada.session) == tokens.session


async def test_a_refresh_token_of_a_session_that_is_not_there_is_no_token(
    node: Node, ada: Tokens, tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lastcall.key").write_bytes((tmp_path / "lastcall.key").read_bytes())
    (tmp_path / "other" / "lastcall.key").chmod(0o600)
    other = await open_node(tmp_path / "other", clock, FakeEntropy("other"))
    with pytest.raises(InvalidToken):
        await other.sessions.refresh(ada.refresh_token, None)
    await other.close()
