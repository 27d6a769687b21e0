"""What happened: to the caller, as their activity, and in an account, as its audit log."""

from typing import Annotated

from msgspec import UNSET, Meta
from starlette.responses import Response

from lastcall.audit import Outcome, RecordType
from lastcall.http import cursors
from lastcall.http.admins import admin_of
from lastcall.http.bodies import Moment
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import ADMIN, SESSION
from lastcall.http.wire_records import EventList, events
from lastcall.identity.administration import Records, read_activity
from lastcall.ids import MAX_LENGTH
from lastcall.sessions.service import Caller
from lastcall.stores.base import RecordQuery


class Filter(cursors.Part):
    """Which events: of these types (several, or with commas), with this outcome, by or concerning
    a person, from a moment on and before another."""

    type: tuple[RecordType, ...] = ()
    outcome: Outcome | None = None
    person: Annotated[str, Meta(max_length=MAX_LENGTH)] | None = None
    since: Moment | None = None
    until: Moment | None = None


async def see_activity(call: Call[Caller, None, cursors.Part]) -> Response:
    """List what happened to the caller, newest first."""
    part = RecordQuery(limit=call.query.limit, before=_before(call.query))
    return _answer(await read_activity(call.node.store, call.caller.user.id, part))


async def see_audit(call: Call[Caller, None, Filter]) -> Response:
    """List what happened in the account, newest first."""
    query = call.query
    part = RecordQuery(
        limit=query.limit,
        before=_before(query),
        types=query.type,
        outcome=query.outcome,
        people=None if query.person is None else (query.person,),
        since=query.since,
        until=query.until,
    )
    return _answer(await call.node.administration.records(admin_of(call), part))


def _before(part: cursors.Part) -> int | None:
    return None if part.before is UNSET else cursors.read_number("records", part.before)


def _answer(found: Records) -> Response:
    return reply(EventList(events(found.records), cursors.write_place("records", found.next)))


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=f"{API}/activity",
        caller=SESSION,
        handler=see_activity,
        summary="List what happened to the caller",
        query=cursors.Part,
        answer=EventList,
    ),
    Endpoint(
        method="GET",
        path=f"{API}/audit",
        caller=ADMIN,
        handler=see_audit,
        summary="List what happened in the account",
        query=Filter,
        answer=EventList,
    ),
]
