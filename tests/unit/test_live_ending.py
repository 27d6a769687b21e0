"""How the stream of an open page ends, or does not begin: with its session, in time, at a limit."""

from datetime import timedelta

import pytest

from lastcall import live
from lastcall.audit import Origin
from lastcall.errors import RateLimited, Unavailable
from lastcall.identity.administration import Admin
from lastcall.live import Again, Beat, Changed, Ended, OpenPage
from tests.support.nodes import calls, sign_in
from tests.support.open_pages import Scene, Watched

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
