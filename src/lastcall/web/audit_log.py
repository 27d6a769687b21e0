"""Account Management → Audit log: who did what to whom, with filters, and as a file."""

from dataclasses import dataclass
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
from lastcall.web.record_words import REPORTS_KIND
from lastcall.web.rendering import render

PATH: Final = "/account/audit"
REPORTS_SHOWN: Final = timedelta(days=7)
"""How long a session that its user reported is called out."""
_MOST_PEOPLE: Final = 50
"""How many people a part of a name may mean."""


async def show(call: Call[Caller, None, Filter]) -> Response:
    """List what happened in the account, newest first."""
    form, admin = filters.readable(call.query), admin_of(call)
    chosen = await _chosen(call, admin, form.person)
    found = await call.node.administration.records(admin, filters.query(form, chosen.ids))
    since = call.node.sessions.now() - REPORTS_SHOWN
    reports = await call.node.administration.count_records(
        admin, RecordQuery(types=("session.report",), since=since)
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
        chosen=chosen,
        reports=reports,
        reports_days=REPORTS_SHOWN.days,
        reports_href=f"{path}?kind={REPORTS_KIND}&since={since:%Y-%m-%d}",
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
    form, admin = filters.readable(call.query), admin_of(call)
    asked = filters.query(form, (await _chosen(call, admin, form.person)).ids)
    await call.node.administration.record_export(admin)

    async def read(query: RecordQuery) -> Records:
        return await call.node.administration.records(admin, query)

    now = call.node.sessions.now()
    return exports.answer(read, asked, form.format, "audit-log", now)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The people of a filter: their ids, None for everybody, and what to call them."""

    ids: tuple[str, ...] | None
    name: str = ""


async def _chosen(call: Call[Caller, None, Filter], admin: Admin, text: str) -> Chosen:
    """Find whom a filter means: by an id, also of somebody who was removed, else by a part of a
    name or address."""
    if not text:
        return Chosen(None)
    people = await call.node.administration.users(admin, text, limit=_MOST_PEOPLE)
    if people.profiles:
        ids = tuple(profile.user.id for profile in people.profiles)
        return Chosen(ids, people.profiles[0].user.label if len(ids) == 1 else text)
    try:
        return Chosen(
            (text,), (await call.node.administration.find(admin, UserId(text))).user.label
        )
    except NotFound:
        return Chosen((text,), text)


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
