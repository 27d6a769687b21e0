"""Whatever is typed into a search, it finds exactly whom it names and never errs."""

import asyncio
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lastcall.clock import system_entropy
from lastcall.identity.administration import Admin
from lastcall.identity.names import fold
from lastcall.node import Node
from lastcall.stores import base
from tests.support.fakes import FakeClock
from tests.support.nodes import open_node
from tests.support.values import a_user, an_account, everybody

ACME = an_account()
# Letters that fold to others, or to several, and what patterns and SQL would read.
LETTERS = st.sampled_from("aAäÄß\u017fﬁİ\u0131Σςé%_\\'\"*[]?\n @.\u0301\u200d\ufeff")
HOSTILE = st.text(LETTERS, max_size=8) | st.text(max_size=60)
NAMES = (
    "Ada",
    "100% ÉMILE_Straße",
    "a_b\\c",
    "İstanbul",
    "Ὀδυσσεύς",
    "'; DROP TABLE users; --",
    None,
)


@pytest.fixture(scope="module")
def searched(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[asyncio.AbstractEventLoop, Node]]:
    """A node with people of difficult names."""
    loop = asyncio.new_event_loop()

    async def make(folder: Path) -> Node:
        node = await open_node(folder, FakeClock(), system_entropy)
        people = [
            base.AddUser(replace(a_user(f"n{number}"), name=name), None)
            for number, name in enumerate(NAMES)
        ]
        await node.store.commit(base.AddAccount(ACME), *people)
        return node

    node = loop.run_until_complete(make(tmp_path_factory.mktemp("search")))
    yield loop, node
    loop.run_until_complete(node.close())
    loop.close()


@settings(max_examples=400)
@given(HOSTILE)
@example("%")
@example("\U0001f600" * 10_000)
@example("%\\" * 5000)
@example("\0")
@example("_%\\_")
def test_the_store_finds_exactly_those_who_hold_the_folded_text(
    searched: tuple[asyncio.AbstractEventLoop, Node], text: str
) -> None:
    loop, node = searched
    wanted = fold(text)
    query = replace(everybody(ACME.id), text=wanted)
    everyone = loop.run_until_complete(node.store.list_users(everybody(ACME.id)))
    found = loop.run_until_complete(node.store.list_users(query))
    if "\0" in wanted:  # a database may take it for the text's end; `users` lets none through
        return
    assert {one.user.id for one in found} == {
        one.user.id
        for one in everyone
        if wanted in fold("\n".join(filter(None, (one.user.email, one.user.name))))
    }


@settings(max_examples=400)
@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=40), HOSTILE)
@example("\ud800", "\ud800")
@example("\0", "\0")
@example("a" * 60_000, "a" * 60_000)
@example("\ufdfa" * 900, "")
def test_the_search_of_admins_never_errs(
    searched: tuple[asyncio.AbstractEventLoop, Node], text: str, external_id: str
) -> None:
    loop, node = searched
    admin = Admin.operator(ACME)
    for named in (None, external_id):
        page = loop.run_until_complete(node.administration.users(admin, text, named))
        assert len(page.profiles) <= len(NAMES)
    if not text.strip():
        everyone = loop.run_until_complete(node.administration.users(admin, text))
        assert len(everyone.profiles) == len(NAMES)


@given(st.text(max_size=40))
def test_folding_once_is_enough_and_hides_no_form_of_a_letter(text: str) -> None:
    for form in ("NFC", "NFD"):
        assert fold(unicodedata.normalize(form, text)) == fold(text)
    assert fold(fold(text)) == fold(text)
    assert fold(text.upper()) == fold(text.upper().upper())
