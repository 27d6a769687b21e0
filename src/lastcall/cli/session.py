"""`lastcall session`: see a user's sessions, end one."""

from typing import TYPE_CHECKING

import click

from lastcall.cli.common import Call, on_node
from lastcall.cli.text import ago, certainty, clip, safe, table, until, when
from lastcall.errors import NotFound
from lastcall.ids import SessionId

if TYPE_CHECKING:
    from lastcall.node import Node
    from lastcall.sessions.model import Session

LIMIT = 200


@click.group()
def session() -> None:
    """Sessions: one sign-in on one device or client."""


@session.command("list")
@click.argument("email")
@click.option("--ended", is_flag=True, help="those that ended in the last 90 days")
@on_node()
async def list_(call: Call, node: "Node", email: str, ended: bool) -> None:
    """List a user's sessions, the last active first."""
    from lastcall.http import wire

    person = await node.identity.find_by_email(email)
    page = await node.sessions.list(person.id, "ended" if ended else "active", limit=LIMIT)
    sessions = list(page.sessions)
    while page.next is not None:
        page = await node.sessions.list(
            person.id, "ended" if ended else "active", before=page.next, limit=LIMIT
        )
        sessions += page.sessions
    if not sessions and not call.json:
        call.say(
            f"{safe(email)} has no ended session of the last 90 days."
            if ended
            else f"{safe(email)} has no active session. Ended ones: "
            f"lastcall session list {safe(email)} --ended"
        )
        return
    now = node.sessions.now()
    data = {"sessions": wire.sessions(sessions, node.sessions.policy, now, None)}
    call.answer(data, _ended(sessions, node) if ended else _active(sessions, node))


@session.command()
@click.argument("id")
@on_node()
async def terminate(call: Call, node: "Node", id: str) -> None:  # noqa: A002  as it is called
    """End one session, whoever's."""
    from lastcall.http import wire
    from lastcall.identity.administration import OPERATOR

    try:
        ended = await node.sessions.endings.terminate(
            SessionId(id), "terminated_by_admin", OPERATOR, lambda _: True
        )
    except NotFound as error:
        raise NotFound(f"there is no session {id}; see: lastcall session list EMAIL") from error
    followed = await node.confirmations.follow(ended, 1)
    text = "Ended 1 session." if ended.ended else "That session had ended already."
    call.answer(
        wire.termination(followed, node.sessions.now()),
        f"{text} {certainty(followed.confirmation)}",
    )


def _active(sessions: "list[Session]", node: "Node") -> str:
    from lastcall.sessions import rules

    now, policy = node.sessions.now(), node.sessions.policy
    rows = [
        (
            session.id,
            clip(session.client.name or session.device.label, 22),
            ago(now - session.last_active_at),
            until(rules.expiry(session, policy) - now),
        )
        for session in sessions
    ]
    below = [f"{_where(session)}, signed in {when(session.created_at)}" for session in sessions]
    return table(("ID", "DEVICE", "LAST ACTIVE", "EXPIRES"), rows, below)


def _ended(sessions: "list[Session]", node: "Node") -> str:
    from lastcall.sessions import rules

    rows, below = [], []
    for session in sessions:
        ending = rules.ending(session, node.sessions.policy, node.sessions.now())
        if ending is None:  # not in this list
            continue
        reason = ending.reason.replace("_", " ")
        by = f" ({ending.by.name})" if ending.by.name else ""
        device = clip(session.client.name or session.device.label, 22)
        rows.append((session.id, device, when(ending.at)))
        below.append(f"{clip(reason + by, 40)}; {_where(session)}")
    return table(("ID", "DEVICE", "ENDED"), rows, below)


def _where(session: "Session") -> str:
    place = session.place.label
    place = "unknown place" if place == "unknown" else place
    return f"{place}, {session.ip}" if session.ip else place
