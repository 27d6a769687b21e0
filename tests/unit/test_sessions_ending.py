"""How a session ends, by whom, and what of it can be followed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from lastcall.errors import Error, NotFound, SessionEnded
from lastcall.events import Actor
from lastcall.node import Node
from lastcall.sessions.endings import Termination
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from tests.support.endings import ended_for, find, log_out
from tests.support.fakes import FakeClock
from tests.support.nodes import add_user, calls, sign_in
from tests.support.rivals import Rival
from tests.support.values import ADMIN

SELF = Actor("self")


# Ending


async def test_an_ended_session_refuses_everything_and_the_others_live(
    node: Node, ada: Tokens
) -> None:
    other = await sign_in(node)
    done = await node.sessions.endings.terminate(
        ada.session.id, "terminated_by_user", SELF, lambda _: True, other.session.id
    )
    assert done.ended == 1
    assert (await node.confirmations.follow(done)).confirmation.state == "confirmed"
    assert await ended_for(node, ada) == "terminated_by_user"
    assert await ended_for(node, other) is None


async def test_a_second_termination_keeps_the_first_ending_and_its_id(
    node: Node, ada: Tokens
) -> None:
    async def end(reason: Any) -> Termination:  # noqa: ANN401
        return await node.sessions.endings.terminate(ada.session.id, reason, ADMIN, lambda _: True)

    first = await end("terminated_by_admin")
    again = await end("signed_out")
    assert (first.ended, again.ended) == (1, 0)
    assert first.id == again.id
    assert await ended_for(node, ada) == "terminated_by_admin"


async def test_a_session_ended_with_all_others_keeps_that_ending(node: Node, ada: Tokens) -> None:
    all_at_once = await log_out(node, ada)
    again = await node.sessions.endings.terminate(
        ada.session.id, "signed_out", SELF, lambda _: True
    )
    assert (again.id, again.ended) == (all_at_once.id, 0)


async def test_terminations_at_once_are_one_ending(node: Node, rival: Rival, ada: Tokens) -> None:
    done = await asyncio.gather(
        *(
            one.endings.terminate(ada.session.id, "signed_out", SELF, lambda _: True)
            for one in [node.sessions, rival.sessions] * 8
        )
    )
    assert len({one.id for one in done}) == 1
    assert sum(one.ended for one in done) == 1


async def test_unknown_and_not_allowed_are_one_answer(node: Node, ada: Tokens) -> None:
    for session_id, allowed in [("s_c1_nobody", True), (ada.session.id, False)]:
        with pytest.raises(NotFound) as caught:
            await node.sessions.endings.terminate(
                session_id,  # type: ignore[arg-type]
                "terminated_by_user",
                SELF,
                lambda _, allowed=allowed: allowed,  # type: ignore[misc]
            )
        assert str(caught.value) == NotFound.text
    assert await ended_for(node, ada) is None


async def test_a_termination_by_a_session_that_has_ended_does_nothing(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    victim, actor = await sign_in(node), await sign_in(node)
    rival.store.racer = lambda: node.sessions.endings.sign_out(actor.session.id)
    with pytest.raises(SessionEnded):
        await rival.sessions.endings.terminate(
            victim.session.id, "terminated_by_user", SELF, lambda _: True, actor.session.id
        )
    assert await ended_for(node, victim) is None


async def test_an_admin_who_was_logged_out_meanwhile_can_log_out_nobody(
    node: Node, ada: Tokens
) -> None:
    """Whoever acts must still be signed in (rule 2)."""
    await add_user(node, ada.user, "bob@example.com")
    bobs = await sign_in(node, "bob@example.com")
    await node.sessions.endings.sign_out(ada.session.id)
    end = base.EndUser(
        bobs.user.id,
        bobs.user.account_id,
        None,
        "terminated_by_admin",
        ADMIN,
        node.clock.now() + timedelta(0),
        node.sessions.policy,
    )
    with pytest.raises(Error):
        await node.store.commit(end, actor=ada.session.id)
    await calls(node, bobs)


async def test_a_termination_that_lost_to_a_refresh_ends_the_session_all_the_same(
    node: Node, rival: Rival, ada: Tokens
) -> None:
    refreshed: list[Tokens] = []

    async def refresh() -> None:
        refreshed.append(await node.sessions.refresh(ada.refresh_token, None))

    rival.store.racer = refresh
    await rival.sessions.endings.terminate(ada.session.id, "signed_out", SELF, lambda _: True)
    assert await ended_for(node, refreshed[0]) == "signed_out"


async def test_terminating_what_ran_out_says_that_it_ran_out_and_counts_nothing(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    clock.advance(days=2)
    done = await node.sessions.endings.terminate(
        ada.session.id, "terminated_by_admin", ADMIN, lambda _: True
    )
    assert (done.ended, done.event.reason) == (0, "expired_inactive")


async def test_all_sessions_of_a_user_end_but_the_spared_one(node: Node, ada: Tokens) -> None:
    others = [await sign_in(node) for _ in range(3)]
    stranger = await add_user(node, ada.user, "bob@example.com")
    bobs = await sign_in(node, "bob@example.com")
    done = await log_out(node, ada, ada)
    assert done.ended == 3
    assert [await ended_for(node, one) for one in others] == ["terminated_by_user"] * 3
    assert await ended_for(node, ada) is None
    assert await ended_for(node, bobs) is None
    assert await node.sessions.count(stranger.id) == 1


async def test_a_second_exception_never_lifts_an_earlier_ending(node: Node, ada: Tokens) -> None:
    other = await sign_in(node)
    await log_out(node, ada, ada)
    with pytest.raises(SessionEnded) as caught:
        await log_out(node, ada, other)
    assert caught.value.reason == "terminated_by_user"
    assert await ended_for(node, other) == "terminated_by_user"
    assert await ended_for(node, ada) is None


async def test_an_ending_without_exception_covers_who_was_spared_before(
    node: Node, ada: Tokens
) -> None:
    await log_out(node, ada, ada)
    await log_out(node, ada)
    assert await ended_for(node, ada) == "terminated_by_admin"
    later = await sign_in(node)
    assert await ended_for(node, later) is None
    assert await ended_for(node, ada) == "terminated_by_admin"


async def test_a_session_ended_by_several_events_shows_the_first_that_covers_it(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    other = await sign_in(node)
    clock.advance(seconds=5)
    await log_out(node, ada, ada)
    clock.advance(seconds=5)
    later = await sign_in(node)
    await log_out(node, ada)
    ended = [(await find(node, one.session)).ending for one in (other, ada, later)]
    assert [ending.reason if ending else None for ending in ended] == [
        "terminated_by_user",
        "terminated_by_admin",
        "terminated_by_admin",
    ]
    assert ended[0] is not None
    assert ended[1] is not None
    assert ended[1].at - ended[0].at == timedelta(seconds=5)
    assert ended[0].by == ADMIN


async def test_a_session_that_ran_out_unnoticed_keeps_that_end_when_all_are_ended_later(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    other = await sign_in(node)
    ran_out = clock.advance(days=1)
    fresh = await sign_in(node)
    clock.advance(hours=1)
    await log_out(node, fresh)
    ending = (await find(node, other.session)).ending
    assert ending is not None
    assert (ending.reason, ending.at) == ("expired_inactive", ran_out)
    assert await ended_for(node, other) == "expired_inactive"
    assert await ended_for(node, fresh) == "terminated_by_admin"


async def test_signing_out_ends_the_session_and_again_does_nothing(node: Node, ada: Tokens) -> None:
    await node.sessions.endings.sign_out(ada.session.id)
    await node.sessions.endings.sign_out(ada.session.id)
    await node.sessions.endings.sign_out("s_c1_nobody")  # type: ignore[arg-type]
    assert await ended_for(node, ada) == "signed_out"


async def test_signing_out_by_the_current_refresh_token_or_its_parent_ends_the_session(
    node: Node, ada: Tokens
) -> None:
    await node.sessions.endings.sign_out_refresh(ada.refresh_token)
    assert await ended_for(node, ada) == "signed_out"
    other = await sign_in(node)
    successor = await node.sessions.refresh(other.refresh_token, None)
    await node.sessions.endings.sign_out_refresh(other.refresh_token)
    assert await ended_for(node, successor) == "signed_out"


async def test_signing_out_by_what_is_no_token_does_nothing(node: Node, ada: Tokens) -> None:
    for text in ("", ada.refresh_token[:-1], ada.access_token, "lcr_"):
        await node.sessions.endings.sign_out_refresh(text)
    assert await ended_for(node, ada) is None


async def test_signing_out_by_a_token_used_up_long_ago_is_a_theft(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    tokens = await node.sessions.refresh(ada.refresh_token, None)
    clock.advance(seconds=11)
    await node.sessions.endings.sign_out_refresh(ada.refresh_token)
    assert await ended_for(node, tokens) == "refresh_reuse"
    await node.sessions.endings.sign_out_refresh(ada.refresh_token)


async def test_signing_out_by_a_used_up_token_twice_at_once_is_one_ending(
    node: Node, rival: Rival, ada: Tokens, clock: FakeClock
) -> None:
    tokens = await node.sessions.refresh(ada.refresh_token, None)
    clock.advance(seconds=11)
    rival.store.racer = lambda: node.sessions.endings.sign_out_refresh(ada.refresh_token)
    await rival.sessions.endings.sign_out_refresh(ada.refresh_token)
    assert await ended_for(node, tokens) == "refresh_reuse"


async def test_signing_out_is_never_too_often(node: Node, ada: Tokens) -> None:
    """A tab that has repeated its refresh too often can still sign out."""
    tokens = await node.sessions.refresh(ada.refresh_token, None)
    for _ in range(100):
        await node.sessions.refresh(ada.refresh_token, None)
    await node.sessions.endings.sign_out_refresh(ada.refresh_token)
    assert await ended_for(node, tokens) == "signed_out"


# Following a termination


async def test_a_termination_is_followed_by_its_id(node: Node, ada: Tokens) -> None:
    done = await log_out(node, ada)
    found = await node.sessions.endings.termination(
        done.id, lambda event: event.user_id == ada.user.id
    )
    assert (found.id, found.ended, found.event) == (done.id, 1, done.event)


async def test_an_id_of_no_termination_or_of_somebody_else_s_is_not_found(
    node: Node, ada: Tokens
) -> None:
    done = await log_out(node, ada)
    head, _, seq = done.id.rpartition("_")
    twin = head[:-1] + ("A" if head[-1] != "A" else "B")
    for text in [
        "",
        done.id + "0",
        f"{head}_{int(seq) + 1}",
        f"{head}_0{seq}",
        f"{head}_1",
        f"{twin}_{seq}",
        f"{head}_{'9' * 18}",
        f"{head}_{'9' * 40}",
        f"{head}_٣",
        "\ud800",
    ]:
        with pytest.raises(NotFound):
            await node.sessions.endings.termination(text, lambda _: True)
    with pytest.raises(NotFound):
        await node.sessions.endings.termination(done.id, lambda _: False)
