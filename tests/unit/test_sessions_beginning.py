"""How a session begins: both of its tokens, its times, and what ends it at its birth."""

from datetime import timedelta
from pathlib import Path

import pytest

from lastcall.errors import Conflict
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client
from lastcall.sessions.policy import Policy
from lastcall.stores import base
from tests.support.endings import find, log_out
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import NATIVE, SEEN, calls, open_node, set_up, sign_in


async def test_a_session_begins_with_both_tokens_and_the_policy_s_times(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    tokens = await sign_in(node)
    assert tokens.access_expires_in == timedelta(hours=1)
    assert tokens.refresh_expires_in == timedelta(hours=24)
    session = await find(node, tokens.session)
    assert session == tokens.session
    assert session.created_at == session.auth_time == clock.now()
    caller = await calls(node, tokens)
    assert caller.session == session
    assert caller.role == "owner"
    assert caller.access.position == session.begun


async def test_every_sign_in_makes_another_session(node: Node, ada: Tokens) -> None:
    ids = {(await sign_in(node)).session.id for _ in range(3)}
    assert len(ids | {ada.session.id}) == 4


async def test_the_first_token_carries_the_position_of_the_sign_in_s_start(
    node: Node, ada: Tokens
) -> None:
    """Not that of its commit (rule 3)."""
    start = (await node.store.log_end()).position
    await node.store.commit(
        base.MarkStale(ada.session.id, ada.user.account_id, ada.user.id, node.clock.now())
    )
    tokens = await node.sessions.begin(ada.user, start, ("pwd",), NATIVE, SEEN)
    assert (await calls(node, tokens)).access.position == start


async def test_an_ending_between_a_sign_in_s_start_and_its_commit_ends_it_at_birth(
    node: Node, ada: Tokens
) -> None:
    start = (await node.store.log_end()).position
    await log_out(node, ada)
    with pytest.raises(Conflict):
        await node.sessions.begin(ada.user, start, ("pwd",), NATIVE, SEEN)
    assert await node.sessions.count(ada.user.id) == 0


async def test_no_token_outlives_its_session(tmp_path: Path, clock: FakeClock) -> None:
    policy = Policy(timedelta(hours=1), timedelta(hours=2), timedelta(hours=2, minutes=30))
    node = await open_node(tmp_path, clock, FakeEntropy(), policy=policy)
    tokens = await set_up(node)
    clock.advance(hours=1.75)
    tokens = await node.sessions.refresh(tokens.refresh_token, None)
    assert tokens.refresh_expires_in == timedelta(minutes=45)
    assert timedelta(minutes=44, seconds=59) <= tokens.access_expires_in <= timedelta(minutes=45)
    access = (await calls(node, tokens)).access
    assert access.expires_at <= tokens.session.absolute_expires_at
    await node.close()


async def test_a_session_started_by_a_service_has_the_role_of_a_member(
    node: Node, ada: Tokens
) -> None:
    key, _ = await node.services.create(ada.user.account_id, "app", ("sessions",))
    start = (await node.store.log_end()).position
    client = Client("browser", service_key=key.id)
    tokens = await node.sessions.begin(ada.user, start, (), client, SEEN)
    caller = await calls(node, tokens)
    assert (caller.role, caller.access.roles) == ("member", ("member",))
    assert caller.access.client_id == key.id
