"""Seeing sessions."""

from msgspec import UNSET
from starlette.responses import Response

from lastcall.http import cursors, wire
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import SESSION
from lastcall.sessions.service import Caller


class Listing(cursors.Part):
    """Which sessions: the active ones, or those that have ended; from where on, and how many."""

    ended: bool = False


async def see_own(call: Call[Caller, None, None]) -> Response:
    """Give the caller's own session, and whose it is."""
    session, user, sessions = call.caller.session, call.caller.user, call.node.sessions
    active = await sessions.count(user.id)
    whose = wire.user(user, active, session.last_active_at)
    own = wire.session(session, sessions.policy, sessions.now(), current=True, whose=whose)
    return reply(own)


async def see_all(call: Call[Caller, None, Listing]) -> Response:
    """List the caller's sessions, the current one first."""
    session, sessions, query = call.caller.session, call.node.sessions, call.query
    page = await sessions.list(
        call.caller.user.id,
        "ended" if query.ended else "active",
        current=session,
        before=None if query.before is UNSET else cursors.read(query.before),
        limit=query.limit,
    )
    shown = wire.sessions(page.sessions, sessions.policy, sessions.now(), session.id)
    return reply(wire.SessionList(shown, cursors.write(page.next) if page.next else None))


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=f"{API}/session",
        caller=SESSION,
        handler=see_own,
        summary="See the caller's own session",
        answer=wire.Session,
    ),
    Endpoint(
        method="GET",
        path=f"{API}/sessions",
        caller=SESSION,
        handler=see_all,
        summary="List the caller's sessions",
        query=Listing,
        answer=wire.SessionList,
    ),
]
