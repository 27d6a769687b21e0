"""The password as a fresh proof, and changing it."""

import pytest

from lastcall.errors import Conflict, InvalidCredentials, InvalidRequest, InvalidToken, SessionEnded
from lastcall.ids import UserId
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from tests.support.fakes import FakeClock
from tests.support.nodes import EMAIL, NEW, PASSWORD, calls, sign_in
from tests.support.rivals import PausedPasswords, during


async def test_the_password_is_a_fresh_proof(node: Node, ada: Tokens, clock: FakeClock) -> None:
    clock.advance(seconds=900)
    tokens = await node.identity.reauthenticate(await calls(node, ada), PASSWORD)
    node.sessions.require_fresh(await calls(node, tokens))
    assert tokens.session.id == ada.session.id


async def test_a_wrong_password_is_no_proof_and_changes_nothing(node: Node, ada: Tokens) -> None:
    caller = await calls(node, ada)
    with pytest.raises(InvalidCredentials):
        await node.identity.reauthenticate(caller, "wrong")
    with pytest.raises(InvalidCredentials):
        await node.identity.change_password(caller, "wrong", NEW)
    assert (await calls(node, ada)).session == ada.session
    await sign_in(node)


async def test_an_old_password_under_way_is_no_proof_once_it_was_changed(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens, clock: FakeClock
) -> None:
    """Whoever took over a session must not confirm it with a password that no longer holds."""
    taken = await sign_in(node)
    caller, thief = await calls(node, ada), await calls(slow, taken)
    clock.advance(seconds=1)

    async def change() -> None:
        await node.identity.change_password(caller, PASSWORD, NEW, terminate_others=False)

    got = await during(paused, slow.identity.reauthenticate(thief, PASSWORD), change)
    assert isinstance(got, Conflict | InvalidCredentials)


async def test_changing_the_password_ends_the_others_and_renews_one_s_own(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    other = await sign_in(node)
    clock.advance(seconds=1)
    tokens, done = await node.identity.change_password(await calls(node, ada), PASSWORD, NEW)
    assert done is not None
    assert (done.ended, done.event.reason) == (1, "password_changed")
    assert tokens.session.id == ada.session.id
    await calls(node, tokens)
    with pytest.raises(SessionEnded) as caught:
        await calls(node, other)
    assert caught.value.reason == "password_changed"
    for old in (ada.access_token,):
        with pytest.raises(InvalidToken):
            await node.sessions.authenticate(old)
    with pytest.raises(InvalidToken):
        await node.sessions.refresh(ada.refresh_token, None)
    with pytest.raises(InvalidCredentials):
        await sign_in(node)
    await sign_in(node, password=NEW)


async def test_changing_the_password_may_leave_the_others(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    other = await sign_in(node)
    clock.advance(seconds=1)
    tokens, done = await node.identity.change_password(
        await calls(node, ada), PASSWORD, NEW, terminate_others=False
    )
    assert done is None
    await calls(node, other)
    await calls(node, tokens)


async def test_a_new_password_must_be_a_good_one(node: Node, ada: Tokens) -> None:
    caller = await calls(node, ada)
    for new in ("short", EMAIL, "password123", "x" * 1025):
        with pytest.raises(InvalidRequest):
            await node.identity.change_password(caller, PASSWORD, new)
    await sign_in(node)


async def test_of_two_changes_at_once_one_holds(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens, clock: FakeClock
) -> None:
    other = await sign_in(node)
    mine, theirs = await calls(node, ada), await calls(slow, other)
    clock.advance(seconds=1)

    async def first() -> None:
        await node.identity.change_password(mine, PASSWORD, NEW, terminate_others=False)

    work = slow.identity.change_password(theirs, PASSWORD, "the second one", terminate_others=False)
    assert isinstance(await during(paused, work, first), Conflict)
    await sign_in(node, password=NEW)


async def test_a_change_by_a_session_that_ended_meanwhile_changes_nothing(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens
) -> None:
    work = slow.identity.change_password(await calls(slow, ada), PASSWORD, NEW)
    got = await during(paused, work, lambda: node.sessions.endings.sign_out(ada.session.id))
    assert isinstance(got, SessionEnded)
    await sign_in(node)


async def test_a_user_who_is_not_there_has_no_password(node: Node, ada: Tokens) -> None:
    assert await node.store.password_hash(UserId("u_nobody")) is None
