"""Settings → Sessions: see one's sessions and end them."""

from typing import Any
from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import NotFound
from lastcall.http import cursors, terminations
from lastcall.http.browser import AnyCall
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE, SESSION
from lastcall.ids import SessionId
from lastcall.sessions import rules
from lastcall.sessions.endings import Termination
from lastcall.sessions.service import Caller
from lastcall.web import results, sign_in
from lastcall.web.frame import frame
from lastcall.web.person import PERSON, going_on
from lastcall.web.rendering import HOME, redirect, render
from lastcall.web.rows import row
from lastcall.web.translation import gettext as _


class Listing(Struct):
    """Which sessions, from where on; and the termination that has just been asked for."""

    ended: bool = False
    before: str = ""
    done: str = ""


class Named(Struct):
    """The session to ask about."""

    session: str = ""


class Chosen(Struct):
    """The session to end."""

    session_id: str = ""


class Nothing(Struct):
    """A form that is only a button."""


async def show(call: Call[Caller, None, Listing]) -> Response:
    """List the sessions, and say what has come of a termination."""
    caller, query, sessions = call.caller, call.query, call.node.sessions
    page = await sessions.list(
        caller.user.id,
        "ended" if query.ended else "active",
        current=caller.session,
        before=cursors.read(query.before) if query.before else None,
    )
    now, policy = sessions.now(), sessions.policy
    others = 0 if query.ended else await sessions.count(caller.user.id) - 1
    rest = f"before={cursors.write(page.next)}" if page.next else ""
    kind = "ended=true&" if query.ended else ""
    return render(
        call.request,
        "sessions.html",
        frame=await frame(call),
        sessions=[row(each, policy, now, caller.session) for each in page.sessions],
        ended=query.ended,
        others=max(0, others),
        next_href=f"{call.base}{HOME}?{kind}{rest}" if rest else None,
        result=await _result(call),
    )


async def ask_one(call: Call[Caller, None, Named]) -> Response:
    """Ask before ending a session."""
    caller, sessions = call.caller, call.node.sessions
    sessions.require_fresh(caller)
    found = await call.node.store.find_session(SessionId(call.query.session))
    if found is None or found.session.user_id != caller.user.id:
        raise NotFound
    now, policy = sessions.now(), sessions.policy
    if found.session.id == caller.session.id or rules.ending(found.session, policy, now):
        return redirect(call.base + HOME)
    return render(
        call.request,
        "confirm_terminate.html",
        frame=await frame(call),
        session=row(found.session, policy, now, caller.session),
        others=0,
    )


async def ask_others(call: Call[Caller, None, None]) -> Response:
    """Ask before ending all other sessions."""
    sessions = call.node.sessions
    sessions.require_fresh(call.caller)
    others = await sessions.count(call.caller.user.id) - 1
    if others < 1:
        return redirect(call.base + HOME)
    return render(
        call.request, "confirm_terminate.html", frame=await frame(call), session=None, others=others
    )


async def end_one(call: Call[Caller, Chosen, None]) -> Response:
    """End a session; one's own is a sign-out."""
    session_id = SessionId(call.body.session_id)
    if session_id == call.caller.session.id:
        return await sign_in.sign_out(call)
    return await _done(call, await terminations.end_elsewhere(call, call.caller, session_id))


async def report(call: Call[Caller, Chosen, None]) -> Response:
    """End a session that its user doesn't recognise, and tell the account's admins."""
    ended = await terminations.report(call, call.caller, SessionId(call.body.session_id))
    return await _done(call, ended)


async def end_others(call: Call[Caller, Nothing, None]) -> Response:
    """End all other sessions."""
    return await _done(call, await terminations.end_all_others(call, call.caller))


async def go_home(call: Call[None, None, None]) -> Response:
    """Lead to the page that people come for."""
    return redirect(call.base + HOME)


async def _done(call: AnyCall, ended: Termination) -> Response:
    return await results.show(call, call.base + HOME, ended)


async def _result(call: Call[Caller, None, Listing]) -> dict[str, Any] | None:
    own = call.caller.user.id
    ended = await results.find(call, call.query.done, lambda event: event.user_id == own)
    if ended is None or ended.event.reason != "reported":
        return results.everywhere(ended) if ended else None
    text = _("The session was ended and reported to your administrators.")
    more = _("If somebody else may know your password, change it now.")
    told = results.told(ended, text, text)
    return {
        **told,
        "text": f"{told['text']} {more}",
        "href": f"{call.base}/settings/security",
        "label": _("Change password"),
    }


ENDPOINTS: list[AnyEndpoint] = [
    *(
        Endpoint(
            method="GET",
            path=path,
            caller=ANYONE,
            handler=go_home,
            summary="Lead to the sessions",
            page=True,
        )
        for path in ("/", "/settings")
    ),
    Endpoint(
        method="GET",
        path=HOME,
        caller=SESSION,
        handler=show,
        summary="See one's sessions",
        query=Listing,
        page=True,
    ),
    Endpoint(
        method="GET",
        path=f"{HOME}/terminate",
        caller=SESSION,
        handler=ask_one,
        summary="Ask before ending a session",
        query=Named,
        page=True,
    ),
    Endpoint(
        method="POST",
        path=f"{HOME}/terminate",
        caller=PERSON,
        handler=going_on(
            end_one, lambda call: f"{HOME}/terminate?session={quote(call.body.session_id)}"
        ),
        summary="End a session",
        body=Chosen,
        page=True,
    ),
    Endpoint(
        method="POST",
        path=f"{HOME}/report",
        caller=PERSON,
        handler=going_on(
            report, lambda call: f"{HOME}/terminate?session={quote(call.body.session_id)}"
        ),
        summary="End a session that one doesn't recognise, and report it",
        body=Chosen,
        page=True,
    ),
    Endpoint(
        method="GET",
        path=f"{HOME}/terminate-others",
        caller=SESSION,
        handler=ask_others,
        summary="Ask before ending all other sessions",
        page=True,
    ),
    Endpoint(
        method="POST",
        path=f"{HOME}/terminate-others",
        caller=PERSON,
        handler=going_on(end_others, lambda _: f"{HOME}/terminate-others"),
        summary="End all other sessions",
        body=Nothing,
        page=True,
    ),
]
