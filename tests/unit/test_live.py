"""What streams tell open pages, and when they end: on a real store, turn by turn."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lastcall import live
from lastcall.audit import Origin, Record
from lastcall.clock import system_entropy
from lastcall.errors import InvalidToken, RateLimited, SessionEnded, Unavailable
from lastcall.events import Actor
from lastcall.identity.administration import Admin
from lastcall.identity.model import Role, User
from lastcall.ids import AccountId
from lastcall.live import Again, Beat, Changed, Ended, Live, Message, OpenPage, Services
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from tests.support.fakes import FakeClock
from tests.support.nodes import add_user, calls, open_node, set_up, sign_in

OPERATOR = Actor("admin", None, "the command line")


class Turns:
    """The follower's pauses, which the test ends."""

    def __init__(self) -> None:
        self._go: asyncio.Queue[None] = asyncio.Queue()
        self._rests = asyncio.Event()

    async def pause(self, seconds: float) -> None:
        assert seconds == live.FOLLOW_SECONDS
        self._rests.set()
        await self._go.get()

    async def one(self) -> None:
        """Let the follower look at the log once, and come to rest."""
        async with asyncio.timeout(10):
            await self._rests.wait()
            self._rests.clear()
            self._go.put_nowait(None)
            await self._rests.wait()

    async def last(self) -> None:
        """Let the follower look at the log once more, after which it pauses no more."""
        await self._rests.wait()
        self._rests.clear()
        self._go.put_nowait(None)
        await asyncio.sleep(0.05)
        assert not self._rests.is_set()


class Store:
    """A node's store, which fails when it is told to."""

    def __init__(self, store: base.Store) -> None:
        self._store = store
        self.fails: dict[str, Exception] = {}
        self.asked = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if error := self.fails.get(name):
            raise error
        self.asked += name == "changes"
        return getattr(self._store, name)


class Watched:
    """One stream, and what it tells."""

    def __init__(self, messages: AsyncGenerator[Message, None]) -> None:
        self.messages = messages
        self._next: asyncio.Task[Message] | None = None

    async def told(self) -> Message:
        """Wait for what it tells next."""
        task = self._ask()
        async with asyncio.timeout(10):
            message = await task
        self._next = None
        return message

    async def nothing(self) -> None:
        """Require that it has nothing to tell."""
        task = self._ask()
        await asyncio.sleep(0.01)
        assert not task.done(), task.result()

    def _ask(self) -> asyncio.Task[Message]:
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self.messages))
        return self._next

    async def leave(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self.messages.aclose()


class Scene:
    """A node, its follower, and the owner Ada and the member Bob with an open page each."""

    def __init__(self, node: Node, clock: FakeClock, ada: Tokens, bob: User) -> None:
        self.node, self.clock, self.ada, self.bob = node, clock, ada, bob
        self.turns = Turns()
        self.store = Store(node.store)
        self.marks: dict[str, str] = {}
        """What the services of accounts are at; those of any other one are at nothing."""
        self.looked: list[frozenset[str]] = []
        self.live = Live(self.store, node.settings.policy, clock, self.look, self.turns.pause)
        self.by = Admin(bob.account_id, "owner", OPERATOR)

    async def look(self, accounts: frozenset[AccountId]) -> dict[AccountId, str]:
        self.looked.append(accounts)
        return {account: self.marks.get(account, "nothing") for account in accounts}

    async def watch(
        self,
        tokens: Tokens,
        after: int | None = None,
        services: str | None = None,
        **more: Any,  # noqa: ANN401
    ) -> Watched:
        """Open a page's stream; its first message comes at once."""
        caller = await calls(self.node, tokens)
        page = OpenPage(caller.session, caller.user, caller.recorded, **more)
        watched = Watched(self.live.stream(page, after, services))
        assert await watched.told() == Beat()
        return watched

    async def number(self) -> int:
        return (await self.node.store.changes(None)).number


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = FakeClock()
    node = await open_node(tmp_path, clock, system_entropy)
    ada = await set_up(node)
    owner = (await calls(node, ada)).user
    made = Scene(node, clock, ada, await add_user(node, owner, "bob@example.com"))
    yield made
    await made.live.close()
    await node.close()


# What is told


async def test_a_sign_in_is_told_to_its_user_s_pages_and_to_the_admins_pages(scene: Scene) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"))
    ada = await scene.watch(scene.ada)
    await sign_in(scene.node, "bob@example.com")
    number = await scene.number()
    await bob.nothing()
    await scene.turns.one()
    assert await bob.told() == Changed(number, ("user",))
    assert await ada.told() == Changed(number, ("account",))
    await scene.turns.one()
    await bob.nothing()
    await ada.nothing()


async def test_an_owner_hears_of_themselves_in_both_scopes_and_a_member_of_nobody_else(
    scene: Scene,
) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"))
    ada = await scene.watch(scene.ada)
    await sign_in(scene.node)
    await scene.turns.one()
    assert await ada.told() == Changed(await scene.number(), ("account", "user"))
    await bob.nothing()


async def test_another_account_hears_nothing(scene: Scene) -> None:
    account = await scene.node.identity.add_account("Elsewhere")
    await scene.node.identity.add_user(account.id, "eve@example.com", password="a long sentence")
    eve = await scene.watch(await sign_in(scene.node, "eve@example.com", "a long sentence"))
    await sign_in(scene.node, "bob@example.com")
    await scene.turns.one()
    await eve.nothing()


async def test_who_lost_a_role_before_the_stream_began_is_told_of_the_account_all_the_same(
    scene: Scene,
) -> None:
    await scene.node.administration.change(scene.by, scene.bob.id, role="admin")
    tokens, seen = await sign_in(scene.node, "bob@example.com"), await scene.number()
    caller = await calls(scene.node, tokens)
    await scene.node.administration.change(scene.by, scene.bob.id, role="member")
    bob = Watched(scene.live.stream(OpenPage(caller.session, scene.bob, seen)))
    assert await bob.told() == Beat()
    assert await bob.told() == Changed(await scene.number(), ("account", "user"))


async def test_what_happened_while_nobody_listened_is_told_at_once(scene: Scene) -> None:
    seen = await scene.number()
    await sign_in(scene.node)
    ada = await scene.watch(scene.ada, after=seen)
    assert await ada.told() == Changed(await scene.number(), ("account", "user"))
    again = await scene.watch(scene.ada, after=await scene.number())
    await again.nothing()


async def test_after_too_many_changes_to_look_at_everything_may_have_changed(scene: Scene) -> None:
    tokens = await sign_in(scene.node, "bob@example.com")
    seen = await scene.number()
    record = Record("key.create", scene.clock.now(), None, None)
    await scene.node.store.commit(*(base.AddRecord(record) for _ in range(base.CHANGES_MOST)))
    bob = await scene.watch(tokens, after=seen)
    assert await bob.told() == Changed(await scene.number(), ("account", "user"))


async def test_news_that_nobody_has_taken_are_one_piece_of_news(scene: Scene) -> None:
    ada = await scene.watch(scene.ada)
    for _ in range(3):
        await sign_in(scene.node)
        await scene.turns.one()
    assert await ada.told() == Changed(await scene.number(), ("account", "user"))
    await ada.nothing()


async def test_who_becomes_an_admin_or_is_none_any_more_is_told_and_hears_accordingly(
    scene: Scene,
) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"))
    roles: tuple[tuple[Role, bool], ...] = (("admin", True), ("member", False))
    for role, hears in roles:
        await scene.node.administration.change(scene.by, scene.bob.id, role=role)
        await scene.turns.one()
        told = await bob.told()
        assert isinstance(told, Changed)
        assert told.scopes == ("account", "user")
        await sign_in(scene.node)
        await scene.turns.one()
        if hears:
            assert await bob.told() == Changed(await scene.number(), ("account",))
        else:
            await bob.nothing()


# Who follows the event log


async def test_a_page_that_shows_services_is_told_when_they_are_not_those_that_it_knows(
    scene: Scene,
) -> None:
    account = scene.bob.account_id
    scene.marks[account] = "one"
    knows = await scene.watch(scene.ada, services="one")
    old = await scene.watch(scene.ada, services="")
    await scene.turns.one()
    await knows.nothing()
    assert await old.told() == Services("one")
    scene.marks[account] = "two"
    scene.clock.advance(seconds=live.SERVICES_SECONDS)
    await scene.turns.one()
    assert await knows.told() == Services("two")
    assert await old.told() == Services("two")
    scene.clock.advance(seconds=live.SERVICES_SECONDS)
    await scene.turns.one()
    await knows.nothing()


async def test_services_are_looked_at_once_a_second_for_all_and_not_for_who_shows_none(
    scene: Scene,
) -> None:
    other = await scene.watch(scene.ada)
    await scene.turns.one()
    assert not scene.looked
    streams = [await scene.watch(scene.ada, services="") for _ in range(3)]
    for _ in range(3):
        await scene.turns.one()
    assert scene.looked == [{scene.bob.account_id}]
    scene.clock.advance(seconds=live.SERVICES_SECONDS)
    await scene.turns.one()
    assert len(scene.looked) == 2
    assert [await stream.told() for stream in streams] == [Services("nothing")] * 3
    await other.nothing()


async def test_services_are_told_to_no_member_and_to_nobody_who_is_no_admin_any_more(
    scene: Scene,
) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"), services="")
    await scene.turns.one()
    await bob.nothing()
    assert not scene.looked
    for role in ("admin", "member"):
        await scene.node.administration.change(scene.by, scene.bob.id, role=role)
        scene.clock.advance(seconds=live.SERVICES_SECONDS)
        scene.marks[scene.bob.account_id] = role
        await scene.turns.one()
        assert isinstance(await bob.told(), Changed)
        await bob.nothing()
        scene.clock.advance(seconds=live.SERVICES_SECONDS)
        await scene.turns.one()
        if role == "admin":
            assert await bob.told() == Services("admin")
    await bob.nothing()


async def test_each_account_is_told_of_its_own_services(scene: Scene) -> None:
    account = await scene.node.identity.add_account("Elsewhere")
    await scene.node.identity.add_user(
        account.id, "eve@example.com", role="owner", password="a long sentence"
    )
    eve = await scene.watch(
        await sign_in(scene.node, "eve@example.com", "a long sentence"), services="same"
    )
    ada = await scene.watch(scene.ada, services="same")
    scene.marks |= {account.id: "same", scene.bob.account_id: "another"}
    await scene.turns.one()
    assert await ada.told() == Services("another")
    await eve.nothing()


# How a stream ends


async def test_the_stream_of_a_session_that_was_ended_ends_with_it(scene: Scene) -> None:
    tokens = await sign_in(scene.node, "bob@example.com")
    other = await sign_in(scene.node, "bob@example.com")
    stays, goes = await scene.watch(other), await scene.watch(tokens)
    session = (await calls(scene.node, tokens)).session
    await scene.node.sessions.endings.sign_out(session.id, Origin(session.id))
    await scene.turns.one()
    assert await goes.told() == Ended()
    with pytest.raises(StopAsyncIteration):
        await anext(goes.messages)
    assert await stays.told() == Changed(await scene.number(), ("user",))


async def test_all_streams_but_that_of_the_owner_who_logs_everybody_out_end(scene: Scene) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"))
    ada = await scene.watch(scene.ada)
    caller = await calls(scene.node, scene.ada)
    by = Admin.of(caller, Origin(caller.session.id))
    await scene.node.administration.log_out_all(by, except_self=True)
    await scene.turns.one()
    assert await bob.told() == Ended()
    assert await ada.told() == Changed(await scene.number(), ("account", "user"))


async def test_a_session_that_ended_while_its_stream_began_is_noticed(scene: Scene) -> None:
    """The log was followed past the ending before there was a stream to tell."""
    ada = await scene.watch(scene.ada)
    caller = await calls(scene.node, await sign_in(scene.node, "bob@example.com"))
    await scene.node.administration.log_out(scene.by, scene.bob.id)
    await scene.turns.one()
    assert isinstance(await ada.told(), Changed)
    bob = Watched(scene.live.stream(OpenPage(caller.session, caller.user, caller.recorded)))
    assert await bob.told() == Beat()
    assert await bob.told() == Ended()


async def test_all_streams_of_a_user_whom_an_admin_logs_out_end(scene: Scene) -> None:
    streams = [await scene.watch(await sign_in(scene.node, "bob@example.com")) for _ in range(3)]
    ada = await scene.watch(scene.ada)
    await scene.node.administration.log_out(scene.by, scene.bob.id)
    await scene.turns.one()
    assert [await stream.told() for stream in streams] == [Ended()] * 3
    assert await ada.told() == Changed(await scene.number(), ("account",))


async def test_a_session_that_runs_out_ends_its_stream_though_nobody_wrote_anything(
    scene: Scene,
) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"))
    scene.clock.advance(hours=24)
    await scene.turns.one()
    assert await bob.told() == Ended()


async def test_a_session_that_went_on_meanwhile_keeps_its_stream(scene: Scene) -> None:
    tokens = await sign_in(scene.node, "bob@example.com")
    bob = await scene.watch(tokens)
    scene.clock.step(timedelta(hours=23))
    await scene.node.sessions.refresh(tokens.refresh_token, "81.2.69.142")
    scene.clock.step(timedelta(hours=2))
    await scene.turns.one()
    await bob.nothing()


async def test_a_stream_lasts_no_longer_than_what_opened_it(scene: Scene) -> None:
    until = scene.clock.now() + timedelta(seconds=7)
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"), until=until)
    scene.clock.advance(seconds=6)
    await scene.turns.one()
    await bob.nothing()
    scene.clock.advance(seconds=1)
    await scene.turns.one()
    assert await bob.told() == Again()


async def test_a_silent_stream_says_that_it_is_there_and_after_a_minute_begins_anew(
    scene: Scene,
) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"))
    for _ in range(3):
        scene.clock.advance(seconds=live.BEAT_SECONDS)
        await scene.turns.one()
        assert await bob.told() == Beat()
    scene.clock.advance(seconds=live.BEAT_SECONDS)
    await scene.turns.one()
    assert await bob.told() == Again()


async def test_a_server_that_stops_ends_all_streams_and_lets_none_begin(scene: Scene) -> None:
    streams = [await scene.watch(scene.ada) for _ in range(2)]
    scene.live.stop()
    assert [await stream.told() for stream in streams] == [Again()] * 2
    with pytest.raises(Unavailable, match="stopping"):
        await scene.watch(scene.ada)


# Bounds


async def test_a_session_has_so_many_streams_and_room_again_when_one_ends(scene: Scene) -> None:
    streams = [await scene.watch(scene.ada) for _ in range(live.PER_SESSION)]
    with pytest.raises(RateLimited):
        await scene.watch(scene.ada)
    await scene.watch(await sign_in(scene.node))
    await streams[0].leave()
    await scene.watch(scene.ada)


async def test_a_process_keeps_so_many_streams(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PER_PROCESS", 1)
    ada = await scene.watch(scene.ada)
    tokens = await sign_in(scene.node, "bob@example.com")
    with pytest.raises(Unavailable, match="too many pages are open"):
        await scene.watch(tokens)
    await ada.leave()
    await scene.watch(tokens)


async def test_nothing_is_asked_while_no_page_is_open(scene: Scene) -> None:
    ada = await scene.watch(scene.ada)
    await ada.leave()
    await scene.turns.last()
    asked = scene.store.asked
    ada = await scene.watch(scene.ada)
    assert scene.store.asked == asked + 2, "it begins anew, at the log's end"
    await sign_in(scene.node)
    await scene.turns.one()
    assert isinstance(await ada.told(), Changed)


# Failures


async def test_a_store_that_fails_for_a_moment_delays_news_and_loses_none(scene: Scene) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"))
    scene.store.fails["changes"] = Unavailable("busy")
    await scene.node.administration.log_out(scene.by, scene.bob.id)
    await scene.turns.one()
    await bob.nothing()
    scene.store.fails.clear()
    await scene.turns.one()
    assert await bob.told() == Ended()


async def test_where_it_cannot_be_known_whether_the_session_lives_the_stream_ends(
    scene: Scene,
) -> None:
    bob = await scene.watch(await sign_in(scene.node, "bob@example.com"))
    scene.store.fails["find_session"] = Unavailable("busy")
    await sign_in(scene.node, "bob@example.com")
    await scene.turns.one()
    assert isinstance(await bob.told(), Changed)
    assert await bob.told() == Again()


async def test_a_store_that_fails_at_the_start_refuses_the_stream_and_keeps_no_room(
    scene: Scene,
) -> None:
    scene.store.fails["changes"] = Unavailable("busy")
    for _ in range(live.PER_SESSION + 1):
        with pytest.raises(Unavailable, match="busy"):
            await scene.watch(scene.ada)
    scene.store.fails.clear()
    await scene.watch(scene.ada)


async def test_a_fault_of_our_own_is_logged_and_ends_the_streams_which_may_come_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await scene.watch(scene.ada)
    scene.store.fails["changes"] = ZeroDivisionError()
    await scene.turns.last()
    assert await ada.told() == Again()
    assert "open pages are told nothing" in caplog.text
    scene.store.fails.clear()
    ada = await scene.watch(scene.ada)
    await sign_in(scene.node)
    await scene.turns.one()
    assert isinstance(await ada.told(), Changed)


# Who may look on


async def test_looking_on_uses_no_token_up_and_is_no_activity(scene: Scene) -> None:
    tokens = await sign_in(scene.node)
    before = (await calls(scene.node, tokens)).session
    scene.clock.advance(hours=2)
    found = await scene.node.sessions.look_on(tokens.refresh_token)
    assert found.session == before
    await scene.node.sessions.refresh(tokens.refresh_token, None)


async def test_a_token_that_was_used_up_does_not_look_on_and_ends_nothing(scene: Scene) -> None:
    tokens = await sign_in(scene.node)
    newer = await scene.node.sessions.refresh(tokens.refresh_token, None)
    scene.clock.advance(seconds=60)
    with pytest.raises(InvalidToken):
        await scene.node.sessions.look_on(tokens.refresh_token)
    await scene.node.sessions.look_on(newer.refresh_token)
    scene.clock.advance(hours=24)
    with pytest.raises(SessionEnded):
        await scene.node.sessions.look_on(newer.refresh_token)
