"""Ending a user's sessions, and asking whether and why one has ended."""

import pytest

from lastcall.errors import SessionEnded
from lastcall.node import Node
from lastcall.sessions.endings import Termination
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Session
from tests.support.nodes import calls
from tests.support.values import ADMIN


async def ended_for(node: Node, tokens: Tokens) -> str | None:
    """Why the session of these tokens has ended; None while the access token is good."""
    try:
        await calls(node, tokens)
    except SessionEnded as error:
        ended = error.reason
    else:
        return None
    with pytest.raises(SessionEnded) as caught:
        await node.sessions.refresh(tokens.refresh_token, None)
    assert caught.value.reason == ended
    return ended


async def log_out(node: Node, tokens: Tokens, spared: Tokens | None = None) -> Termination:
    """End all of the user's sessions but the spared one."""
    return await node.sessions.endings.terminate_all(
        tokens.user.id,
        tokens.user.account_id,
        "terminated_by_user" if spared else "terminated_by_admin",
        ADMIN,
        spared=spared.session.id if spared else None,
    )


async def find(node: Node, session: Session) -> Session:
    """The session as the database has it."""
    found = await node.store.find_session(session.id)
    assert found is not None
    return found.session
