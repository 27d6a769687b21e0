"""Users and their accounts: added, found by address, suspended and resumed."""

import asyncio

import pytest

from lastcall.errors import Conflict, InvalidCredentials, InvalidRequest, NotFound, SessionEnded
from lastcall.identity.model import Role
from lastcall.identity.names import NAME_LENGTH, check_name
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from tests.support.nodes import EMAIL, PASSWORD, calls, sign_in
from tests.support.values import ADMIN, everybody


async def test_the_first_user_of_an_account_is_its_owner_whatever_the_role(node: Node) -> None:
    account = await node.identity.add_account("Acme")
    asked: list[tuple[str, Role]] = [
        ("a", "member"),
        ("b", "member"),
        ("c", "admin"),
        ("d", "owner"),
    ]
    roles = [
        (await node.identity.add_user(account.id, f"{name}@example.com", role=role)).role
        for name, role in asked
    ]
    assert roles == ["owner", "member", "admin", "owner"]


async def test_an_account_has_one_first_user(node: Node) -> None:
    account = await node.identity.add_account("Acme")
    made = await asyncio.gather(
        *(node.identity.add_user(account.id, f"u{turn}@example.com") for turn in range(8)),
        return_exceptions=True,
    )
    assert all(not isinstance(one, BaseException) or isinstance(one, Conflict) for one in made)
    users = await node.store.list_users(everybody(account.id))
    assert [profile.user.role for profile in users].count("owner") == 1


@pytest.mark.parametrize("email", [EMAIL, "ADA@example.com", "\uff41da@EXAMPLE.com"])
async def test_an_address_belongs_to_one_user_of_all_accounts(
    node: Node, ada: Tokens, email: str
) -> None:
    other = await node.identity.add_account("Other")
    for account in (ada.user.account_id, other.id):
        with pytest.raises(Conflict):
            await node.identity.add_user(account, email, password=PASSWORD)


async def test_an_account_s_name_is_its_own(node: Node, ada: Tokens) -> None:
    with pytest.raises(Conflict):
        await node.identity.add_account("Acme")


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * (NAME_LENGTH + 1), "a\nb", "a\0b", "\u202eab", "\ud800", "\x1b[31m"]
)
def test_a_name_is_printable_and_not_too_long(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name, "name")


def test_a_name_is_kept_trimmed() -> None:
    assert check_name(" Zoë 王 ", "name") == "Zoë 王"
    assert check_name("x" * NAME_LENGTH, "name")


async def test_suspending_ends_every_session_and_says_how_many(node: Node, ada: Tokens) -> None:
    other = await sign_in(node)
    done = await node.identity.suspend(ada.user, ADMIN)
    assert (done.ended, done.event.reason) == (2, "user_suspended")
    for tokens in (ada, other):
        with pytest.raises(SessionEnded) as caught:
            await calls(node, tokens)
        assert caught.value.reason == "user_suspended"
        with pytest.raises(SessionEnded):
            await node.sessions.refresh(tokens.refresh_token, None)
    with pytest.raises(InvalidCredentials):
        await sign_in(node)


async def test_resuming_revives_nothing(node: Node, ada: Tokens) -> None:
    await node.identity.suspend(ada.user, ADMIN)
    await node.identity.resume(ada.user)
    with pytest.raises(SessionEnded):
        await calls(node, ada)
    with pytest.raises(SessionEnded):
        await node.sessions.refresh(ada.refresh_token, None)
    await calls(node, await sign_in(node))


async def test_suspending_twice_and_resuming_twice_are_conflicts(node: Node, ada: Tokens) -> None:
    with pytest.raises(Conflict):
        await node.identity.resume(ada.user)
    await node.identity.suspend(ada.user, ADMIN)
    with pytest.raises(Conflict):
        await node.identity.suspend(ada.user, ADMIN)
    await node.identity.resume(ada.user)


async def test_a_user_is_found_by_any_spelling(node: Node, ada: Tokens) -> None:
    assert await node.identity.find_by_email("ADA@example.COM") == ada.user
    for email in ("nobody@example.com", "", "no address"):
        with pytest.raises(NotFound):
            await node.identity.find_by_email(email)


async def test_only_the_first_organisation_is_added_with_its_owner(node: Node, ada: Tokens) -> None:
    with pytest.raises(Conflict):
        await node.identity.add_first("Another", "grace@example.com", name=None, password=PASSWORD)
    with pytest.raises(NotFound):
        await node.identity.find_by_email("grace@example.com")


@pytest.mark.parametrize(
    ("email", "whose"),
    [
        *((one, "hers") for one in ("ADA@example.com", "\uff41da@example.com")),
        *((one, "hers") for one in ("ada@EXAMPLE.com", "ada\uff20example.com")),
        *((one, "another's") for one in ("\u00e1da@example.com", "\u0430da@example.com")),
        *((one, "another's") for one in ("ada@ex\u0430mple.com", "ada%00@example.com")),
        *((one, "nobody's") for one in ("ada@example.com.", "ada@example.com ")),
        *((one, "nobody's") for one in ("ada\0@example.com", "ada@example\u3002com\u3002")),
    ],
)
async def test_an_address_that_looks_like_another_s_gets_at_nothing_of_theirs(
    node: Node, ada: Tokens, email: str, whose: str
) -> None:
    """Attack 36: each spelling is the same user's, somebody else's, or no address."""
    password = "another of mine"
    adding = node.identity.add_user(ada.user.account_id, email, password=password)
    if whose == "another's":
        other = await adding
        assert (await sign_in(node, email, password)).user.id == other.id != ada.user.id
        with pytest.raises(InvalidCredentials):
            await sign_in(node, email, PASSWORD)
    else:
        with pytest.raises(Conflict if whose == "hers" else InvalidRequest):
            await adding
    assert (await sign_in(node)).user.id == ada.user.id
    with pytest.raises(InvalidCredentials):
        await sign_in(node, EMAIL, password)
