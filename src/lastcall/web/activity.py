"""Settings → Activity: what happened to one's own sessions and password, and who did it."""

from starlette.responses import Response

from lastcall.http import cursors
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import FRESH_SESSION, SESSION
from lastcall.identity.administration import Records, read_activity
from lastcall.sessions.service import Caller
from lastcall.stores.base import RecordQuery
from lastcall.web import exports, filters
from lastcall.web.filters import Filter
from lastcall.web.frame import frame
from lastcall.web.record_rows import row
from lastcall.web.record_words import REPORTS_KIND
from lastcall.web.rendering import render

PATH = "/settings/activity"


async def show(call: Call[Caller, None, Filter]) -> Response:
    """List what happened to the caller, newest first."""
    form = _own(call.query)
    found = await read_activity(call.node.store, call.caller.user.id, filters.query(form))
    path = call.base + PATH
    rest = cursors.write_place("records", found.next)
    return render(
        call.request,
        "activity.html",
        frame=await frame(call),
        records=[row(record, call.caller) for record in found.records],
        kinds=filters.kinds(form, without=("keys", REPORTS_KIND)),
        filtered=bool(form.kind),
        here=path,
        export_href=filters.address(f"{path}/export", form),
        next_href=filters.address(path, form, before=rest) if rest else None,
    )


async def export(call: Call[Caller, None, Filter]) -> Response:
    """Give all of the caller's activity as a file."""

    async def read(query: RecordQuery) -> Records:
        return await read_activity(call.node.store, call.caller.user.id, query)

    now = call.node.sessions.now()
    return exports.answer(read, filters.query(_own(call.query)), "csv", "activity", now)


def _own(form: Filter) -> Filter:
    """Leave of a filter what there is to choose on this page."""
    return Filter(kind=form.kind, before=form.before)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=PATH,
        caller=SESSION,
        handler=show,
        summary="See what happened",
        query=Filter,
        page=True,
    ),
    Endpoint(
        method="GET",
        path=f"{PATH}/export",
        caller=FRESH_SESSION,
        handler=export,
        summary="Take one's activity away as a file",
        query=Filter,
        page=True,
    ),
]
