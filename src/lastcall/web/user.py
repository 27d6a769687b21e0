"""Account Management → Users → one: who they are, and their sessions."""

from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from lastcall.audit import RecordType
from lastcall.http import cursors
from lastcall.http.admins import admin_of
from lastcall.http.browser import AnyCall
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ADMIN
from lastcall.identity.model import Profile, User
from lastcall.ids import UserId
from lastcall.sessions.service import Caller
from lastcall.stores.base import RecordQuery
from lastcall.web import results
from lastcall.web.frame import frame
from lastcall.web.people import powers, summary
from lastcall.web.rendering import render
from lastcall.web.rows import row
from lastcall.web.translation import gettext as _
from lastcall.web.users import PATH as USERS

PATH: Final = f"{USERS}/{{id}}"


class Listing(Struct):
    """Which sessions, from where on; and what has just been done."""

    ended: bool = False
    before: str = ""
    done: str = ""


async def show(call: Call[Caller, None, Listing]) -> Response:
    """Show a user with their sessions."""
    profile, query = await profile_of(call), call.query
    page = await call.node.administration.sessions(
        admin_of(call),
        profile.user.id,
        "ended" if query.ended else "active",
        cursors.read(query.before) if query.before else None,
    )
    sessions, user, here = call.node.sessions, profile.user, path_of(call)
    now, policy, own = sessions.now(), sessions.policy, call.caller.session
    rest = f"before={cursors.write(page.next)}" if page.next else ""
    kind = "ended=true&" if query.ended else ""
    return render(
        call.request,
        "user.html",
        frame=await frame(call),
        user=summary(profile, call.caller),
        person=user,
        may=powers(call.caller, user),
        sessions=[row(each, policy, now, own) for each in page.sessions],
        ended=query.ended,
        here=here,
        users_href=call.base + USERS,
        audit_href=f"{call.base}/account/audit?person={quote(user.id)}",
        next_href=f"{here}?{kind}{rest}" if rest else None,
        result=await _result(call, user),
    )


async def profile_of(call: AnyCall) -> Profile:
    """Find the user of the path. Raises NotFound."""
    return await call.node.administration.find(admin_of(call), UserId(call.path("id")))


def path_of(call: AnyCall) -> str:
    """Give the address of the user's page."""
    return f"{call.base}{USERS}/{quote(call.path('id'))}"


async def _result(call: Call[Caller, None, Listing], user: User) -> dict[str, Any] | None:
    """Say what has just been done: by what is true, not by what the address says."""
    if call.query.done == "resumed" and user.status == "active":
        resumed = await _did(call, user, "user.resume")
        return results.notice("ok", _("They can sign in again.")) if resumed else None
    if call.query.done == "changed":
        changed = await _did(call, user, "user.rename", "user.change_role")
        return results.notice("ok", _("Saved.")) if changed else None
    ended = await results.find(call, call.query.done, lambda event: event.user_id == user.id)
    if ended is None:
        return None
    if ended.event.reason == "user_suspended":
        suspended = _("Suspended.")
        return results.told(ended, suspended, suspended)
    if not ended.ended:
        return results.notice("info", _("There was no active session to end."))
    if ended.event.kind == "user_ended":
        return results.logged_out(ended, _("Logged out everywhere"), _("Logging out everywhere."))
    return results.everywhere(ended)


async def _did(call: Call[Caller, None, Listing], user: User, *types: RecordType) -> bool:
    """Look whether the reader's own session has just done this to the user."""
    since = call.node.sessions.now() - results.JUST_NOW
    query = RecordQuery(user_id=user.id, types=types, since=since)
    found = await call.node.administration.records(admin_of(call), query)
    return any(one.origin.session_id == call.caller.session.id for one in found.records)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=PATH,
        caller=ADMIN,
        handler=show,
        summary="See a user",
        query=Listing,
        page=True,
    ),
]
