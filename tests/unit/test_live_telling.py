"""What streams tell open pages, and whom, turn by turn."""

from lastcall import live
from lastcall.audit import Record
from lastcall.identity.model import Role
from lastcall.live import Beat, Changed, OpenPage, Services
from lastcall.stores import base
from tests.support.nodes import calls, sign_in
from tests.support.open_pages import Scene, Watched

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
