"""Service keys, and the users whom an application vouches for."""

import asyncio

import pytest

from lastcall.errors import Forbidden, InvalidCredentials, InvalidRequest, NotFound, TokenMissing
from lastcall.identity.model import ServiceKey
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client
from tests.support.fakes import FakeClock
from tests.support.nodes import EMAIL, NATIVE, PASSWORD, SEEN, calls, sign_in
from tests.support.values import ADMIN


@pytest.fixture
async def key(node: Node, ada: Tokens) -> ServiceKey:
    made, _ = await node.services.create(ada.user.account_id, "app", ("sessions",))
    return made


async def start(node: Node, key: ServiceKey, external_id: str, email: str | None = None) -> Tokens:
    client = Client("browser", service_key=key.id)
    return await node.services.begin_session(key, external_id, email, "Zoe", (), client, SEEN)


async def test_a_service_key_proves_its_service_and_its_scopes_only(
    node: Node, ada: Tokens
) -> None:
    made, text = await node.services.create(
        ada.user.account_id, " app ", ("verify", "sessions", "verify")
    )
    assert (made.name, made.scopes) == ("app", ("sessions", "verify"))
    assert await node.services.authenticate(text, "verify") == made
    with pytest.raises(Forbidden):
        await node.services.authenticate(text, "metrics")
    for wrong in ("", text[:-1], text[:-1] + ("A" if text[-1] != "A" else "B"), ada.access_token):
        with pytest.raises(TokenMissing):
            await node.services.authenticate(wrong, "verify")


async def test_a_revoked_key_proves_nothing(node: Node, ada: Tokens) -> None:
    made, text = await node.services.create(ada.user.account_id, "app", ("verify",))
    other = await node.identity.add_account("Other")
    with pytest.raises(NotFound):
        await node.services.revoke(other.id, made.id)
    await node.services.authenticate(text, "verify")
    await node.services.revoke(made.account_id, made.id)
    with pytest.raises(TokenMissing):
        await node.services.authenticate(text, "verify")
    with pytest.raises(NotFound):
        await node.services.revoke(made.account_id, made.id)


async def test_a_key_needs_a_scope(node: Node, ada: Tokens) -> None:
    with pytest.raises(InvalidRequest):
        await node.services.create(ada.user.account_id, "app", ())


async def test_an_external_id_alone_tells_who_somebody_is(node: Node, key: ServiceKey) -> None:
    first = await start(node, key, "42", "zoe@example.com")
    again = await start(node, key, "42", "other@example.com")
    other = await start(node, key, "43", "zoe@example.com")
    assert first.user.id == again.user.id != other.user.id


async def test_an_application_s_address_never_links_to_an_existing_user(
    node: Node, ada: Tokens, key: ServiceKey
) -> None:
    tokens = await start(node, key, "42", EMAIL)
    assert tokens.user.id != ada.user.id
    assert (await calls(node, tokens)).role == tokens.user.role == "member"
    assert (await node.identity.find_by_email(EMAIL)).id == ada.user.id
    with pytest.raises(InvalidCredentials):
        await sign_in(node, EMAIL, "")


async def test_an_application_s_address_takes_it_from_nobody(node: Node, key: ServiceKey) -> None:
    await start(node, key, "42", "later@example.com")
    made = await node.identity.add_user(key.account_id, "later@example.com", password=PASSWORD)
    assert (await sign_in(node, "later@example.com")).user.id == made.id


async def test_an_external_user_begun_at_once_many_times_is_one_user(
    node: Node, key: ServiceKey
) -> None:
    given = await asyncio.gather(*(start(node, key, "42") for _ in range(16)))
    assert len({tokens.user.id for tokens in given}) == 1
    assert len({tokens.session.id for tokens in given}) == 16


async def test_external_ids_of_two_accounts_are_two_users(
    node: Node, ada: Tokens, key: ServiceKey
) -> None:
    other = await node.identity.add_account("Other")
    theirs, _ = await node.services.create(other.id, "app", ("sessions",))
    assert (await start(node, key, "42")).user.id != (await start(node, theirs, "42")).user.id


async def test_a_suspended_external_user_is_refused(node: Node, key: ServiceKey) -> None:
    tokens = await start(node, key, "42")
    await node.identity.suspend(tokens.user, ADMIN)
    with pytest.raises(Forbidden):
        await start(node, key, "42")


async def test_a_session_that_a_service_vouches_for_is_a_member_s_whoever_forgets_to_say_so(
    node: Node, ada: Tokens, key: ServiceKey, clock: FakeClock
) -> None:
    """The service itself names the key; no caller can leave it out."""
    tokens = await node.services.begin_session(key, "42", None, None, (), NATIVE, SEEN)
    assert tokens.session.client.service_key == key.id
    assert tokens.session.client.id == key.id


async def test_an_external_user_has_no_factor_here_to_show(
    node: Node, key: ServiceKey, clock: FakeClock
) -> None:
    tokens = await start(node, key, "42")
    clock.advance(seconds=1800)
    node.sessions.require_fresh(await calls(node, tokens))
    caller = await calls(node, tokens)
    with pytest.raises(InvalidCredentials):
        await node.identity.reauthenticate(caller, "")


async def test_a_refresh_by_the_service_leaves_the_person_where_they_were(
    node: Node, ada: Tokens, key: ServiceKey
) -> None:
    """The service refreshes from its own address, not from the person's."""
    tokens = await node.services.begin_session(key, "42", None, None, (), NATIVE, SEEN)
    after = await node.sessions.refresh(tokens.refresh_token, "8.8.8.8")
    assert (after.session.ip, after.session.place) == (tokens.session.ip, tokens.session.place)
