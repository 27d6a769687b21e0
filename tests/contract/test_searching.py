"""Users are found by a part of what they are called, wherever the database looks for it."""

from dataclasses import replace

import pytest

from lastcall.identity.names import fold
from lastcall.ids import AccountId, UserId
from lastcall.stores import base, directory
from lastcall.stores.base import Store
from tests.support.values import a_user, an_account, everybody

CALLED = (
    *("Ada Lovelace", "Grace Hopper", "ÉMILE Straße", "İpek Şahin", "Łukasz Żółć"),
    *("李小龍", "O'Hara", "100%_sure", r"a/b\c", "{braces},\"and\" 'quotes'", "aaaa", "aaab"),
    *("Σίσυφος", "e\u0301toile", "🙂🙃🙂", "NULL", "ﬁnal", "Ada Byron", "adalovelace"),
)
ACME, OTHER = AccountId("a_acme"), AccountId("a_other")


def parts(text: str) -> set[str]:
    """Every part of up to five characters, and the whole."""
    ends = range(len(text) + 1)
    return {text[a:b] for a in ends for b in ends if 0 < b - a <= 5} | {text}


@pytest.mark.parametrize("near", [1, 5, 2_000])
async def test_whoever_is_called_so_is_found_and_nobody_else(
    store: Store, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    """By each part of what somebody is called and by what nobody is; of this account alone, page
    by page, however many of the newest are looked at first."""
    monkeypatch.setattr(directory, "NEAR", near)
    users = [
        replace(a_user(f"{number:02}", account), name=name, external_id=f"{account} {number}")
        for account in ("acme", "other")
        for number, name in enumerate(CALLED, 10 if account == "acme" else 50)
    ]
    await store.commit(
        base.AddAccount(an_account("other")), *(base.AddUser(user, None) for user in users)
    )
    for account in (ACME, OTHER):
        everyone = [one.user for one in await store.list_users(everybody(account))]
        called = {
            user.id: fold(f"{user.email}\n{user.name}\n{user.external_id or ''}")
            for user in everyone
        }
        assert len(everyone) >= len(CALLED)
        texts = {part for name in CALLED for part in parts(fold(name))}
        texts |= {"nobody", "lovelace9", "%", "_", "ada%", "a_a", "xyz" * 3_333, "@example.com"}
        for text in sorted(texts):
            expected = [user.id for user in everyone if text in called[user.id]]
            found: list[UserId] = []
            while True:
                before = found[-1] if found else None
                query = replace(everybody(account), text=text, before=before, limit=7)
                page = [one.user.id for one in await store.list_users(query)]
                found += page
                if len(page) < 7:
                    break
            assert found == expected, text


async def test_a_search_finds_what_somebody_is_called_now(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "NEAR", 1)
    await store.commit(base.AddUser(a_user("bob"), None), base.AddUser(a_user("carl"), None))
    bob = UserId("u_bob")

    async def found(text: str) -> list[UserId]:
        query = replace(everybody(ACME), text=text)
        return [one.user.id for one in await store.list_users(query)]

    assert await found("bob@") == [bob]
    await store.commit(base.SetName(bob, "Roberta"))
    assert await found("roberta") == [bob]
    await store.commit(base.SetName(bob, "Bobby"))
    assert await found("roberta") == []
    await store.commit(base.RemoveUser(bob))
    assert await found("bob") == []
