"""Account Management → Audit log: who did what to whom, with filters, and as a file."""

from datetime import timedelta
from typing import Final

from starlette.responses import Response

from lastcall.errors import NotFound
from lastcall.http import cursors
from lastcall.http.admins import admin_of
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ADMIN, FRESH_ADMIN
from lastcall.identity.administration import Admin, Records
from lastcall.ids import UserId
from lastcall.sessions.service import Caller
from lastcall.stores.base import RecordQuery
from lastcall.web import exports, filters
from lastcall.web.filters import Filter
from lastcall.web.frame import frame
from lastcall.web.record_rows import row
from lastcall.web.rendering import render

PATH: Final = "/account/audit"
REPORTS_SHOWN: Final = timedelta(days=7)
"""How long a session that its user reported is called out."""
_MOST_REPORTS: Final = 100


async def show(call: Call[Caller, None, Filter]) -> Response:
    """List what happened in the account, newest first."""
    form, admin = call.query, admin_of(call)
    person = await _person(call, admin, form.person)
    asked = filters.query(form)
    found = await call.node.administration.records(admin, asked)
    now = call.node.sessions.now()
    reports = await call.node.administration.records(
        admin,
        RecordQuery(types=("session.report",), since=now - REPORTS_SHOWN, limit=_MOST_REPORTS),
    )
    path = call.base + PATH
    rest = cursors.write_place("records", found.next)
    return render(
        call.request,
        "audit_log.html",
        frame=await frame(call),
        records=[row(record, call.caller) for record in found.records],
        kinds=filters.kinds(form),
        form=form,
        person=person,
        reports=len(reports.records),
        reports_days=REPORTS_SHOWN.days,
        reports_href=f"{path}?kind=unusual",
        filtered=any((form.kind, form.person, form.since, form.until)),
        here=path,
        export_href={
            format_: filters.address(f"{path}/export", form, format=format_)
            for format_ in ("csv", "json")
        },
        everybody_href=filters.address(path, _without_person(form)),
        next_href=filters.address(path, form, before=rest) if rest else None,
    )


async def export(call: Call[Caller, None, Filter]) -> Response:
    """Give all that a filter finds as a file; that it was taken away is recorded."""
    form, admin = call.query, admin_of(call)
    asked = filters.query(form)
    await call.node.administration.record_export(admin)

    async def read(query: RecordQuery) -> Records:
        return await call.node.administration.records(admin, query)

    now = call.node.sessions.now()
    return exports.answer(read, asked, form.format, "audit-log", now)


async def _person(call: Call[Caller, None, Filter], admin: Admin, person: str) -> str:
    """Name the person of a filter; by their id where they are not there any more."""
    if not person:
        return ""
    try:
        return (await call.node.administration.find(admin, UserId(person))).user.label
    except NotFound:
        return person


def _without_person(form: Filter) -> Filter:
    return Filter(kind=form.kind, since=form.since, until=form.until)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=PATH,
        caller=ADMIN,
        handler=show,
        summary="See what happened in the account",
        query=Filter,
        page=True,
    ),
    Endpoint(
        method="GET",
        path=f"{PATH}/export",
        caller=FRESH_ADMIN,
        handler=export,
        summary="Take the audit log away as a file",
        query=Filter,
        page=True,
    ),
]
