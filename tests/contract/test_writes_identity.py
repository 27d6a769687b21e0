"""What is written of accounts, users and what proves them, once and in order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lastcall.errors import Conflict
from lastcall.identity.model import ServiceKey, SingleUse
from lastcall.ids import AccountId, KeyId, UserId
from lastcall.stores import base
from lastcall.stores.base import Store
from tests.contract.writes import ADA, BOB, LATER, loses
from tests.support.fakes import START
from tests.support.values import a_user, an_account, everybody, hashed


async def test_names_addresses_and_external_ids_are_unique(store: Store) -> None:
    await store.commit(base.AddAccount(an_account("more")))
    clashes: list[base.Write] = [
        base.AddAccount(replace(an_account("acme"), id=AccountId("a_twin"))),
        base.AddUser(replace(BOB, email_key=ADA.email_key), None),
        base.AddUser(replace(a_user("eve", "more"), email_key=ADA.email_key), None),
    ]
    external = replace(BOB, email_key=None, external_id="42", password_changed_at=None)
    await store.commit(base.AddUser(external, None))
    clashes.append(base.AddUser(replace(external, id=UserId("u_twin")), None))
    for write in clashes:
        with pytest.raises(Conflict):
            await store.commit(write)
    same_id = replace(external, id=UserId("u_other"), account_id=AccountId("a_more"))
    await store.commit(base.AddUser(same_id, None))


async def test_an_account_gets_one_first_owner(store: Store) -> None:
    eve = a_user("eve", role="owner")
    await loses(store, base.AddUser(eve, None, owned=True))
    await store.commit(base.AddUser(eve, None, owned=False))
    await loses(store, base.AddUser(BOB, None, owned=False))
    await store.commit(base.AddUser(BOB, None, owned=True))


async def test_a_password_is_set_only_over_the_one_that_was_read(store: Store) -> None:
    await loses(store, base.SetPassword(ADA.id, "new", LATER, None))
    await loses(store, base.SetPassword(ADA.id, "new", LATER, LATER))
    await loses(store, base.SetPassword(UserId("u_nobody"), "new", LATER, None))
    await store.commit(base.SetPassword(ADA.id, "new", LATER, START))
    start = await store.password_hash(ADA.id)
    assert start is not None
    assert (start.password_hash, start.user.password_changed_at) == ("new", LATER)


async def test_a_first_password_is_set_only_where_there_is_none(store: Store) -> None:
    await store.commit(base.AddUser(replace(BOB, password_changed_at=None), None))
    await store.commit(base.SetPassword(BOB.id, "first", LATER, None))
    await loses(store, base.SetPassword(BOB.id, "second", LATER, None))


async def test_a_rehash_replaces_only_the_hash_that_was_verified(store: Store) -> None:
    await store.commit(base.Rehash(ADA.id, "another hash", "newer"))
    start = await store.password_hash(ADA.id)
    assert start is not None
    assert start.password_hash == "hash of Ada's password"
    await store.commit(base.Rehash(ADA.id, "hash of Ada's password", "newer"))
    start = await store.password_hash(ADA.id)
    assert start is not None
    assert (start.password_hash, start.user.password_changed_at) == ("newer", START)


async def test_a_status_changes_only_from_the_other_one(store: Store) -> None:
    await loses(store, base.SetStatus(ADA.id, "active"))
    await store.commit(base.SetStatus(ADA.id, "suspended"))
    await loses(store, base.SetStatus(ADA.id, "suspended"))
    await loses(store, base.SetStatus(UserId("u_nobody"), "active"))
    await store.commit(base.SetStatus(ADA.id, "active"))


async def test_a_sign_in_reads_the_user_the_hash_and_the_position(store: Store) -> None:
    start = await store.start_sign_in("ada@example.com")
    assert start == base.SignInStart(
        ADA, "hash of Ada's password", (await store.log_end()).position
    )
    for nobody in ("", "nobody@example.com", "ADA@example.com", "%", "' OR 1=1 --"):
        assert await store.start_sign_in(nobody) == await store.log_end()


async def test_a_user_without_an_address_is_found_by_no_address(store: Store) -> None:
    external = replace(BOB, email_key=None, external_id="42", password_changed_at=None)
    await store.commit(base.AddUser(external, None))
    assert isinstance(await store.start_sign_in(""), base.LogEnd)
    assert isinstance(await store.start_sign_in("bob@example.com"), base.LogEnd)
    assert await store.find_external_user(AccountId("a_acme"), "42") == external
    assert await store.find_external_user(AccountId("a_acme"), "") is None
    assert await store.find_external_user(AccountId("a_other"), "42") is None


async def test_lists_are_in_order_and_of_one_account(store: Store) -> None:
    await store.commit(base.AddAccount(an_account("zeta")), base.AddAccount(an_account("beta")))
    await store.commit(base.AddUser(a_user("zoe"), None), base.AddUser(BOB, None))
    await store.commit(base.AddUser(a_user("eve", "beta"), None))
    assert [account.name for account in await store.list_accounts()] == ["acme", "beta", "zeta"]
    users = await store.list_users(everybody(AccountId("a_acme")))
    assert [profile.user.id for profile in users] == ["u_zoe", "u_bob", "u_ada"]
    assert await store.find_user(BOB.id) == BOB
    assert await store.find_user(UserId("u_nobody")) is None
    assert await store.find_account(AccountId("a_beta")) == an_account("beta")
    assert await store.find_account(AccountId("a_nobody")) is None


def a_link(name: str = "one", **changes: Any) -> SingleUse:  # noqa: ANN401
    link = SingleUse(hashed(name), "invitation", ADA.id, START + timedelta(days=1))
    return replace(link, **changes)


async def test_a_link_is_used_once_in_time_and_for_its_purpose(store: Store) -> None:
    link = a_link()
    await store.commit(base.AddSingleUse(link))
    assert await store.find_single_use(link.secret_hash, "invitation", LATER) == link
    assert await store.find_single_use(link.secret_hash, "setup", LATER) is None
    assert await store.find_single_use(link.secret_hash, "invitation", link.expires_at) is None
    assert await store.find_single_use(b"", "invitation", LATER) is None
    await loses(store, base.UseUp(link.secret_hash, "setup", LATER))
    await loses(store, base.UseUp(link.secret_hash, "invitation", link.expires_at))
    await loses(store, base.UseUp(hashed("other"), "invitation", LATER))
    await store.commit(base.UseUp(link.secret_hash, "invitation", LATER))
    assert await store.find_single_use(link.secret_hash, "invitation", LATER) is None
    await loses(store, base.UseUp(link.secret_hash, "invitation", LATER))


async def test_a_newer_link_replaces_the_unused_of_its_user_and_purpose(store: Store) -> None:
    await store.commit(base.AddUser(BOB, None))
    setup = a_link("setup", purpose="setup", user_id=None)
    bobs = a_link("bob", user_id=BOB.id)
    for link in (a_link("older"), bobs, setup, a_link("newer")):
        await store.commit(base.AddSingleUse(link))
    assert await store.find_single_use(hashed("older"), "invitation", LATER) is None
    for name, purpose in [("newer", "invitation"), ("bob", "invitation"), ("setup", "setup")]:
        assert await store.find_single_use(hashed(name), purpose, LATER)  # type: ignore[arg-type]
    await store.commit(base.AddSingleUse(replace(setup, secret_hash=hashed("setup again"))))
    assert await store.find_single_use(hashed("setup"), "setup", LATER) is None


async def test_a_service_key_is_in_force_until_its_own_account_revokes_it(store: Store) -> None:
    key = ServiceKey(
        KeyId("k_one"), AccountId("a_acme"), "app", ("sessions", "verify"), b"hash", START
    )
    later = replace(key, id=KeyId("k_two"))
    await store.commit(base.AddServiceKey(later), base.AddServiceKey(key))
    assert await store.find_service_key(key.id) == key
    assert await store.list_service_keys(AccountId("a_acme")) == (key, later)
    assert await store.list_service_keys(AccountId("a_other")) == ()
    assert await store.list_service_keys(AccountId("a_acme"), limit=1) == (key,)
    assert await store.list_service_keys(AccountId("a_acme"), key.id, 1) == (later,)
    assert await store.list_service_keys(AccountId("a_acme"), later.id) == ()
    await loses(store, base.RevokeServiceKey(key.id, AccountId("a_other"), LATER))
    await loses(store, base.RevokeServiceKey(KeyId("k_no"), AccountId("a_acme"), LATER))
    await store.commit(base.RevokeServiceKey(key.id, AccountId("a_acme"), LATER))
    await loses(store, base.RevokeServiceKey(key.id, AccountId("a_acme"), LATER))
    assert await store.find_service_key(key.id) is None
    assert await store.list_service_keys(AccountId("a_acme")) == (later,)
