"""The verbs on sessions, on a real store: what each gives, and what races leave behind."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lastcall.errors import (
    Conflict,
    InvalidToken,
    LostRace,
    NotFound,
    RateLimited,
    ReauthenticationRequired,
    SessionEnded,
)
from lastcall.events import Actor
from lastcall.node import Node
from lastcall.sessions.endings import Termination
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client, Session
from lastcall.sessions.policy import Policy
from lastcall.sessions.service import Sessions
from lastcall.stores import base
from lastcall.stores.sqlite import SqliteStore
from lastcall.throttle import Throttle
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import (
    DATABASE,
    NATIVE,
    PASSWORD,
    SEEN,
    add_user,
    calls,
    open_node,
    set_up,
    sign_in,
)

ADMIN = Actor("admin", "u_admin", "Grace")
SELF = Actor("self")


class RacingStore(SqliteStore):
    """The store, where another process gets in just before this one's next commit."""

    racer: Any = None

    async def commit(self, *writes: base.Write, actor: Any = None) -> base.Committed:  # noqa: ANN401
        if self.racer is not None:
            racer, self.racer = self.racer, None
            await racer()
        return await super().commit(*writes, actor=actor)


class Rival:
    """A process of the same server whose next commit comes second."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.store = RacingStore(folder / DATABASE)
        mine = node.sessions
        self.sessions = Sessions(
            store=self.store,
            secrets=node.secrets,
            signing=node.signing,
            locator=node.locator,
            policy=mine.policy,
            issuer=mine.issuer,
            audience=mine.audience,
            cell="c1",
            throttle=Throttle(self.store, node.secrets.throttle, node.clock),
            clock=node.clock,
            entropy=node.entropy,
        )


@pytest.fixture
async def rival(node: Node, tmp_path: Path) -> Any:  # noqa: ANN401
    made = Rival(node, tmp_path)
    yield made
    await made.store.close()


async def ended_for(node: Node, tokens: Tokens) -> str | None:
    """Why the session of these tokens has ended; None while the access token is good."""
    try:
        await calls(node, tokens)
    except SessionEnded as error:
        ended = error.reason
    else:
        return None
    with pytest.raises(SessionEnded) as caught:
        await node.sessions.refresh(tokens.refresh_token, None)
    assert caught.value.reason == ended
    return ended


async def log_out(node: Node, tokens: Tokens, spared: Tokens | None = None) -> Termination:
    """End all of the user's sessions but the spared one."""
    return await node.sessions.endings.terminate_all(
        tokens.user.id,
        tokens.user.account_id,
        "terminated_by_user" if spared else "terminated_by_admin",
        ADMIN,
        spared=spared.session.id if spared else None,
    )


async def find(node: Node, session: Session) -> Session:
    found = await node.store.find_session(session.id)
    assert found is not None
    return found.session


# Beginning


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


# Refreshing


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


# Seeing


async def listed(node: Node, tokens: Tokens, which: Any = "active", limit: int = 50) -> list[str]:  # noqa: ANN401
    """Every page of a list, as ids."""
    ids: list[str] = []
    current = tokens.session if which == "active" else None
    before = None
    for _ in range(50):
        page = await node.sessions.list(
            tokens.user.id, which, current=current, before=before, limit=limit
        )
        assert len(page.sessions) <= limit
        ids += [session.id for session in page.sessions]
        before = page.next
        if before is None:
            return ids
    raise AssertionError("the list never ends")


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, 50])
async def test_pages_of_any_size_show_each_session_once_the_current_one_first(
    node: Node, ada: Tokens, clock: FakeClock, limit: int
) -> None:
    others = []
    for turn in range(5):
        clock.advance(seconds=turn % 2)
        others.append((await sign_in(node)).session)
    others.sort(key=lambda one: (one.last_active_at, one.id), reverse=True)
    expected = [ada.session.id, *(one.id for one in others)]
    assert await listed(node, ada, limit=limit) == expected


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_ended_sessions_are_listed_however_they_ended(
    node: Node, ada: Tokens, clock: FakeClock, limit: int
) -> None:
    signed_out, covered, ran_out = [await sign_in(node) for _ in range(3)]
    await node.sessions.endings.sign_out(signed_out.session.id)
    clock.advance(hours=25)
    fresh = await sign_in(node)
    late = await sign_in(node)
    await log_out(node, fresh, fresh)
    ids = {one.session.id for one in (signed_out, covered, ran_out, late, ada)}
    found = await listed(node, fresh, "ended", limit)
    assert len(found) == len(ids)
    assert set(found) == ids


async def test_sessions_ended_by_a_log_out_everywhere_are_listed(node: Node, ada: Tokens) -> None:
    """Nobody was spared."""
    other = await sign_in(node)
    await log_out(node, ada)
    assert set(await listed(node, ada, "ended")) == {ada.session.id, other.session.id}
    assert await node.sessions.count(ada.user.id) == 0


async def test_ended_sessions_are_shown_for_90_days(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    await node.sessions.endings.sign_out(ada.session.id)
    clock.advance(days=90)
    assert await listed(node, ada, "ended") == [ada.session.id]
    clock.advance(seconds=1)
    assert await listed(node, ada, "ended") == []


async def test_nobody_sees_the_sessions_of_another(node: Node, ada: Tokens) -> None:
    await add_user(node, ada.user, "bob@example.com")
    bobs = await sign_in(node, "bob@example.com", PASSWORD)
    assert await listed(node, bobs) == [bobs.session.id]
    assert await listed(node, ada) == [ada.session.id]


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
