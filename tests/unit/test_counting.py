"""A count never keeps anybody from being logged out: it gives what it has, and that is less."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lastcall.clock import system_entropy
from lastcall.errors import Unavailable
from lastcall.events import SYSTEM
from lastcall.node import Node
from lastcall.restoring import restored
from lastcall.sessions import counting
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from lastcall.stores import counting as parts
from lastcall.stores.sqlite import SqliteStore
from tests.support.endings import find
from tests.support.fakes import FakeClock
from tests.support.nodes import add_user, sign_in
from tests.support.values import ADMIN

EndAll = Callable[[Node], Awaitable[int]]
"""Ends every session, and tells how many those were."""


async def log_out(node: Node) -> int:
    (account,) = await node.store.list_accounts()
    done = await node.sessions.endings.terminate_account(
        account, "terminated_by_admin", ADMIN, None
    )
    assert done.event.ended == done.ended
    return done.ended


async def restore(node: Node) -> int:
    policy = node.settings.policy
    return (await restored(node.store, policy, node.clock, system_entropy, SYSTEM)).ended


@pytest.fixture(params=[log_out, restore])
def end_all(request: pytest.FixtureRequest) -> EndAll:
    """Both that count an account's sessions."""
    act: EndAll = request.param
    return act


@pytest.fixture
async def three(node: Node, ada: Tokens, monkeypatch: pytest.MonkeyPatch) -> list[Tokens]:
    """A session of each of three users, each of whom is a part of the count."""
    monkeypatch.setattr(parts, "USERS", 1)
    signed_in = [ada]
    for name in ("bo@example.com", "cy@example.com"):
        await add_user(node, ada.user, name)
        signed_in.append(await sign_in(node, name))
    return signed_in


async def nobody_is_left(node: Node, three: list[Tokens]) -> bool:
    return None not in [(await find(node, one.session)).ending for one in three]


def before_part(
    monkeypatch: pytest.MonkeyPatch, number: int, do: Callable[[], Awaitable[object]]
) -> None:
    """Have something done when this part of a count is asked for, and the later ones."""
    count, asked = SqliteStore.count_account_sessions, iter(range(1, 100))

    async def asking(store: SqliteStore, *given: object) -> base.CountPart:
        if next(asked) >= number:
            await do()
        return await count(store, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteStore, "count_account_sessions", asking)


async def test_with_time_enough_all_are_counted(
    node: Node, three: list[Tokens], end_all: EndAll
) -> None:
    assert await end_all(node) == 3
    assert await nobody_is_left(node, three)


@pytest.mark.parametrize(("seconds", "counted"), [(0.99, 3), (1.0, 2), (2.0, 1), (600.0, 1)])
async def test_the_count_stops_when_its_time_is_over(
    node: Node,
    clock: FakeClock,
    three: list[Tokens],
    end_all: EndAll,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    counted: int,
) -> None:
    """Each part takes so many seconds."""

    async def pass_time() -> None:
        clock.advance(seconds=seconds)

    before_part(monkeypatch, 1, pass_time)
    assert await end_all(node) == counted
    assert await nobody_is_left(node, three)


async def test_a_count_that_fails_gives_what_it_had(
    node: Node, three: list[Tokens], end_all: EndAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise Unavailable("the database took too long")

    before_part(monkeypatch, 2, fail)
    assert await end_all(node) == 1
    assert await nobody_is_left(node, three)


async def test_a_count_that_gets_no_answer_is_not_waited_for(
    node: Node, three: list[Tokens], end_all: EndAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SECONDS", 0.01)
    before_part(monkeypatch, 1, asyncio.Event().wait)
    assert await end_all(node) == 0
    assert await nobody_is_left(node, three)
