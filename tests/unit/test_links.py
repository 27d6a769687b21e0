"""Links that work once: the one that makes the first owner, and invitations."""

import asyncio
from collections.abc import Awaitable

import pytest

from lastcall.errors import Conflict, Error, InvalidCredentials, InvalidRequest, NotFound
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from tests.support.fakes import FakeClock
from tests.support.nodes import BROWSER, EMAIL, NEW, PASSWORD, SEEN, calls, set_up, sign_in
from tests.support.rivals import PausedPasswords, during
from tests.support.values import ADMIN, everybody

# Setting up


async def test_the_first_start_offers_a_link_that_makes_the_owner(node: Node) -> None:
    tokens = await set_up(node)
    caller = await calls(node, tokens)
    assert (caller.role, caller.user.email) == ("owner", EMAIL)
    assert [one.name for one in await node.store.list_accounts()] == ["Acme"]
    assert await node.links.offer_setup() is None


async def test_a_set_up_link_works_once(node: Node) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None

    def use(number: int) -> Awaitable[Tokens]:
        return node.links.set_up(
            offered[0], f"Acme {number}", None, f"a{number}@example.com", PASSWORD, BROWSER, SEEN
        )

    given = await asyncio.gather(*(use(number) for number in range(16)), return_exceptions=True)
    assert len([one for one in given if isinstance(one, Tokens)]) == 1
    assert len([one for one in given if isinstance(one, NotFound)]) == 15
    accounts = await node.store.list_accounts()
    assert len(accounts) == 1
    assert len(await node.store.list_users(everybody(accounts[0].id))) == 1


async def test_a_newer_set_up_link_stops_the_older(node: Node) -> None:
    older = await node.links.offer_setup()
    newer = await node.links.offer_setup()
    assert older is not None
    assert newer is not None
    with pytest.raises(NotFound):
        await node.links.require_setup(older[0], None)
    await node.links.require_setup(newer[0], None)


async def test_a_set_up_link_runs_out(node: Node, clock: FakeClock) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None
    clock.advance(seconds=offered[1].total_seconds() - 1)
    await node.links.require_setup(offered[0], None)
    clock.advance(seconds=1)
    with pytest.raises(NotFound):
        await node.links.require_setup(offered[0], None)


async def test_looking_at_a_set_up_link_does_not_use_it_up(node: Node) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None
    for _ in range(3):
        await node.links.require_setup(offered[0], None)


async def test_a_set_up_link_makes_no_second_organisation(
    node: Node, slow: Node, paused: PausedPasswords
) -> None:
    """The command line has made the first while the password was hashed."""
    offered = await slow.links.offer_setup()
    assert offered is not None

    async def command_line() -> None:
        account = await node.identity.add_account("Made first")
        await node.identity.add_user(account.id, "first@example.com", password=PASSWORD)

    work = slow.links.set_up(offered[0], "Acme", None, EMAIL, PASSWORD, BROWSER, SEEN)
    assert isinstance(await during(paused, work, command_line), NotFound)
    assert len(await node.store.list_accounts()) == 1


@pytest.mark.parametrize("secret", ["", "x", "\ud800", "a" * 10_000])
async def test_a_made_up_link_is_not_found(node: Node, secret: str) -> None:
    with pytest.raises(NotFound):
        await node.links.require_setup(secret, None)
    with pytest.raises(NotFound):
        await node.links.welcome(secret, None)
    with pytest.raises(NotFound):
        await node.links.accept(secret, PASSWORD, BROWSER, SEEN)


async def test_a_set_up_that_is_refused_leaves_the_link_good(node: Node) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None
    for name, email, password in [
        (" ", EMAIL, PASSWORD),
        ("Acme", "nobody", PASSWORD),
        ("Acme", EMAIL, "short"),
        ("Acme", EMAIL, EMAIL),
    ]:
        with pytest.raises(InvalidRequest):
            await node.links.set_up(offered[0], name, None, email, password, BROWSER, SEEN)
    assert await node.store.list_accounts() == ()
    await node.links.set_up(offered[0], "Acme", None, EMAIL, PASSWORD, BROWSER, SEEN)


# Invitations


async def test_an_invitation_lets_the_person_choose_the_password(node: Node, ada: Tokens) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com", name="Bob")
    with pytest.raises(InvalidCredentials):
        await sign_in(node, "bob@example.com", "")
    secret, _ = await node.links.invite(bob)
    for _ in range(2):
        welcome = await node.links.welcome(secret, None)
        assert (welcome.user.id, welcome.account.name) == (bob.id, "Acme")
    tokens = await node.links.accept(secret, PASSWORD, BROWSER, SEEN)
    assert (await calls(node, tokens)).role == "member"
    await sign_in(node, "bob@example.com", PASSWORD)


async def test_of_16_who_accept_one_invitation_at_once_one_gets_in(node: Node, ada: Tokens) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    secret, _ = await node.links.invite(bob)
    given = await asyncio.gather(
        *(node.links.accept(secret, f"{PASSWORD} {turn}", BROWSER, SEEN) for turn in range(16)),
        return_exceptions=True,
    )
    won = [turn for turn, one in enumerate(given) if isinstance(one, Tokens)]
    assert len(won) == 1
    assert len([one for one in given if isinstance(one, NotFound)]) == 15
    assert await node.sessions.count(bob.id) == 1
    await sign_in(node, "bob@example.com", f"{PASSWORD} {won[0]}")


async def test_an_invitation_is_stopped_by_a_newer_one_by_time_and_by_suspension(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    older, _ = await node.links.invite(bob)
    newer, lifetime = await node.links.invite(bob)
    with pytest.raises(NotFound):
        await node.links.welcome(older, None)
    await node.identity.suspend(bob, ADMIN)
    with pytest.raises(NotFound):
        await node.links.accept(newer, PASSWORD, BROWSER, SEEN)
    await node.identity.resume(bob)
    clock.advance(seconds=lifetime.total_seconds())
    with pytest.raises(NotFound):
        await node.links.accept(newer, PASSWORD, BROWSER, SEEN)


async def test_one_person_s_invitation_leaves_another_s_good(node: Node, ada: Tokens) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    eve = await node.identity.add_user(ada.user.account_id, "eve@example.com")
    bobs, _ = await node.links.invite(bob)
    await node.links.invite(eve)
    assert (await node.links.welcome(bobs, None)).user.id == bob.id


async def test_a_link_of_another_purpose_is_no_invitation(node: Node) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None
    with pytest.raises(NotFound):
        await node.links.welcome(offered[0], None)


async def test_an_invitation_accepted_while_its_user_is_suspended_gives_no_session(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens
) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    secret, _ = await node.links.invite(bob)

    async def suspend() -> None:
        await node.identity.suspend(bob, ADMIN)
        await node.identity.resume(bob)

    work = slow.links.accept(secret, PASSWORD, BROWSER, SEEN)
    assert isinstance(await during(paused, work, suspend), Error)
    assert await node.sessions.count(bob.id) == 0


async def test_who_has_a_password_is_not_invited(node: Node, ada: Tokens) -> None:
    """Otherwise a link would be a way round the password."""
    with pytest.raises(Conflict, match="already"):
        await node.links.invite(ada.user)


async def test_an_invitation_ends_where_its_user_has_got_a_password(
    node: Node, ada: Tokens
) -> None:
    user = await node.identity.add_user(ada.user.account_id, "grace@example.com")
    secret, _ = await node.links.invite(user)
    await node.store.commit(
        base.SetPassword(user.id, "a hash", node.clock.now(), user.password_changed_at)
    )
    with pytest.raises(NotFound):
        await node.links.accept(secret, NEW, BROWSER, SEEN)
