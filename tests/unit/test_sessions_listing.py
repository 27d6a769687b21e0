"""The lists of a user's sessions, active and ended: page by page, and nobody else's."""

from typing import Any

import pytest

from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from tests.support.endings import log_out
from tests.support.fakes import FakeClock
from tests.support.nodes import PASSWORD, add_user, sign_in


async def listed(node: Node, tokens: Tokens, which: Any = "active", limit: int = 50) -> list[str]:  # noqa: ANN401
    """Every page of a list, as ids."""
    ids: list[str] = []
    current = tokens.session if which == "active" else None
    before = None
    for _ in range(50):
        page = await node.sessions.list(
            tokens.user.id, which, current=current, before=before, limit=limit
        )
        assert len(page.sessions) <= limit
        ids += [session.id for session in page.sessions]
        before = page.next
        if before is None:
            return ids
    raise AssertionError("the list never ends")


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, 50])
async def test_pages_of_any_size_show_each_session_once_the_current_one_first(
    node: Node, ada: Tokens, clock: FakeClock, limit: int
) -> None:
    others = []
    for turn in range(5):
        clock.advance(seconds=turn % 2)
        others.append((await sign_in(node)).session)
    others.sort(key=lambda one: (one.last_active_at, one.id), reverse=True)
    expected = [ada.session.id, *(one.id for one in others)]
    assert await listed(node, ada, limit=limit) == expected


@pytest.mark.parametrize("limit", [1, 2, 50])
async def test_ended_sessions_are_listed_however_they_ended(
    node: Node, ada: Tokens, clock: FakeClock, limit: int
) -> None:
    signed_out, covered, ran_out = [await sign_in(node) for _ in range(3)]
    await node.sessions.endings.sign_out(signed_out.session.id)
    clock.advance(hours=25)
    fresh = await sign_in(node)
    late = await sign_in(node)
    await log_out(node, fresh, fresh)
    ids = {one.session.id for one in (signed_out, covered, ran_out, late, ada)}
    found = await listed(node, fresh, "ended", limit)
    assert len(found) == len(ids)
    assert set(found) == ids


async def test_sessions_ended_by_a_log_out_everywhere_are_listed(node: Node, ada: Tokens) -> None:
    """Nobody was spared."""
    other = await sign_in(node)
    await log_out(node, ada)
    assert set(await listed(node, ada, "ended")) == {ada.session.id, other.session.id}
    assert await node.sessions.count(ada.user.id) == 0


async def test_ended_sessions_are_shown_for_90_days(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    await node.sessions.endings.sign_out(ada.session.id)
    clock.advance(days=90)
    assert await listed(node, ada, "ended") == [ada.session.id]
    clock.advance(seconds=1)
    assert await listed(node, ada, "ended") == []


async def test_nobody_sees_the_sessions_of_another(node: Node, ada: Tokens) -> None:
    await add_user(node, ada.user, "bob@example.com")
    bobs = await sign_in(node, "bob@example.com", PASSWORD)
    assert await listed(node, bobs) == [bobs.session.id]
    assert await listed(node, ada) == [ada.session.id]
