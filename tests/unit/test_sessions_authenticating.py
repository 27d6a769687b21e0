"""Whom a token shows and until when: to call, to look on, and after a fresh proof."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lastcall.errors import Conflict, InvalidToken, LostRace, ReauthenticationRequired, SessionEnded
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.policy import Policy
from tests.support.endings import ended_for, find, log_out
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import calls, open_node, set_up, sign_in
from tests.support.rivals import Rival

# Showing an access token


async def test_an_ended_session_is_said_before_a_token_that_has_run_out(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    clock.advance(hours=1)
    with pytest.raises(InvalidToken) as caught:
        await calls(node, ada)
    assert caught.value.code == "token_expired"
    await log_out(node, ada)
    assert await ended_for(node, ada) == "terminated_by_admin"


@pytest.mark.parametrize(("after", "good"), [(3598, True), (3599, True), (3600, False)])
async def test_an_access_token_runs_out_to_the_second(
    node: Node, ada: Tokens, clock: FakeClock, after: int, good: bool
) -> None:
    """Its times are whole seconds, cut, and there is no leeway."""
    clock.advance(seconds=after - 0.25)
    if good:
        await calls(node, ada)
    else:
        with pytest.raises(InvalidToken):
            await calls(node, ada)


async def test_a_session_that_ran_out_is_over_for_its_access_token_too(
    tmp_path: Path, clock: FakeClock
) -> None:
    node = await open_node(tmp_path, clock, FakeEntropy())
    tokens = await set_up(node)
    clock.advance(hours=24)
    with pytest.raises(SessionEnded) as caught:
        await calls(node, tokens)
    assert caught.value.reason == "expired_inactive"
    await node.close()


async def test_a_tightened_policy_holds_for_sessions_under_way(
    node: Node, ada: Tokens, tmp_path: Path, clock: FakeClock
) -> None:
    tight = Policy(timedelta(minutes=5), timedelta(minutes=30))
    other = await open_node(tmp_path, clock, FakeEntropy("tight"), policy=tight)
    clock.advance(seconds=1800)
    await calls(node, ada)
    assert await ended_for(other, ada) == "expired_inactive"
    assert await node.sessions.count(ada.user.id) == 0
    await other.close()


async def test_only_genuine_tokens_are_told_of_an_ending(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    await log_out(node, ada)
    clock.advance(days=3)
    for text in (ada.access_token, ada.refresh_token):
        told = await node.sessions.recognise_ended(text)
        assert told is not None
        assert told.reason == "terminated_by_admin"
    for text in ("", "lcr_", ada.access_token[:-2], ada.refresh_token[:-2], ada.session.id):
        assert await node.sessions.recognise_ended(text) is None


async def test_a_genuine_token_of_a_live_session_is_told_of_no_ending(
    node: Node, ada: Tokens
) -> None:
    assert await node.sessions.recognise_ended(ada.access_token) is None
    assert await node.sessions.recognise_ended(ada.refresh_token) is None


# Looking on


async def test_looking_on_uses_no_token_up_and_is_no_activity(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    tokens = await sign_in(node)
    before = (await calls(node, tokens)).session
    clock.advance(hours=2)
    found = await node.sessions.look_on(tokens.refresh_token)
    assert found.session == before
    await node.sessions.refresh(tokens.refresh_token, None)


async def test_a_token_that_was_used_up_does_not_look_on_and_ends_nothing(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    tokens = await sign_in(node)
    newer = await node.sessions.refresh(tokens.refresh_token, None)
    clock.advance(seconds=60)
    with pytest.raises(InvalidToken):
        await node.sessions.look_on(tokens.refresh_token)
    await node.sessions.look_on(newer.refresh_token)
    clock.advance(hours=24)
    with pytest.raises(SessionEnded):
        await node.sessions.look_on(newer.refresh_token)


# A fresh proof


async def test_a_fresh_proof_keeps_the_session_and_replaces_both_tokens(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    clock.advance(seconds=700)
    caller = await calls(node, ada)
    with pytest.raises(ReauthenticationRequired):
        node.sessions.require_fresh(caller)
    tokens, _ = await node.sessions.reauthenticate(caller, ("pwd", "otp"))
    assert tokens.session.id == ada.session.id
    with pytest.raises(InvalidToken) as caught:
        await calls(node, ada)
    assert caught.value.code == "token_expired"
    with pytest.raises(InvalidToken):
        await node.sessions.refresh(ada.refresh_token, None)
    fresh = await calls(node, tokens)
    node.sessions.require_fresh(fresh)
    assert fresh.access.amr == ("pwd", "otp")
    assert fresh.session.auth_time == clock.now()
    await node.sessions.refresh(tokens.refresh_token, None)


async def test_a_fresh_proof_that_lost_to_a_termination_gives_nothing(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    caller = await calls(node, ada)
    rival.store.racer = lambda: log_out(node, ada)
    with pytest.raises(SessionEnded):
        await rival.sessions.reauthenticate(caller, ("pwd",))
    found = await find(node, ada.session)
    assert (found.lineage.generation, found.auth_time) == (1, ada.session.auth_time)


async def test_a_fresh_proof_that_lost_to_a_refresh_of_another_tab_is_decided_anew(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    """The person has proved themselves; a tab in the background is no reason to ask again."""
    caller = await calls(node, ada)
    rival.store.racer = lambda: node.sessions.refresh(ada.refresh_token, None)
    tokens, _ = await rival.sessions.reauthenticate(caller, ("pwd",))
    await calls(node, tokens)


async def test_who_has_no_factor_here_is_never_asked_for_one(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    caller = await calls(node, ada)
    without = replace(caller, user=replace(caller.user, password_changed_at=None))
    clock.advance(days=20)
    node.sessions.require_fresh(without)


async def test_what_is_not_a_lost_race_reaches_no_caller(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    """LostRace is between the store and the services."""

    async def lose() -> None:
        await node.sessions.refresh(ada.refresh_token, None)

    rival.store.racer = lose
    try:
        await rival.sessions.reauthenticate(await calls(node, ada), ("pwd",))
    except LostRace:
        pytest.fail("a lost race was shown to a caller")
    except Conflict:
        pass
