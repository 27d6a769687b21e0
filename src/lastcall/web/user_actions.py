"""What an admin does to a user: each is asked first, on a page of its own."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import Conflict, InvalidRequest, LastOwner, NotFound
from lastcall.http.admins import admin_of
from lastcall.http.browser import AnyCall
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import FRESH_ADMIN
from lastcall.identity.model import User
from lastcall.ids import SessionId, UserId
from lastcall.sessions import rules
from lastcall.sessions.service import Caller
from lastcall.stores.base import Reach
from lastcall.web import results, words
from lastcall.web.frame import frame
from lastcall.web.people import (
    ROLES,
    Question,
    powers,
    role_of,
    show_invitation,
)
from lastcall.web.person import PERSON, administering
from lastcall.web.rendering import redirect, render
from lastcall.web.rows import row
from lastcall.web.times import until
from lastcall.web.translation import gettext as _
from lastcall.web.translation import ngettext, number
from lastcall.web.user import PATH, path_of, profile_of
from lastcall.web.users import PATH as USERS


class Named(Struct):
    """The session to ask about."""

    session: str = ""


class Chosen(Struct):
    """The session to end."""

    session_id: str = ""


class Change(Struct):
    """Another name and role."""

    name: str = ""
    role: str = ""


class Nothing(Struct):
    """A form that is only a button."""


async def ask_log_out(call: Call[Caller, None, None]) -> Response:
    """Show what logging the user out would end, and ask."""
    user = (await profile_of(call)).user
    reach = await call.node.administration.preview(admin_of(call), user.id)
    texts = _preview(reach, call.node.sessions.now())
    title = _("Log out %(name)s everywhere?") % {"name": user.label}
    return await _ask(call, user, Question(title, texts, _("Log out everywhere")))


async def log_out(call: Call[Caller, Nothing, None]) -> Response:
    """End all of the user's sessions."""
    ended = await call.node.administration.log_out(admin_of(call), UserId(call.path("id")))
    return await results.show(call, path_of(call), ended)


async def ask_suspend(call: Call[Caller, None, None]) -> Response:
    """Ask before the user is suspended."""
    return await _ask_suspend(call)


async def _ask_suspend(call: AnyCall, error: str = "") -> Response:
    user = (await profile_of(call)).user
    title = _("Suspend %(name)s?") % {"name": user.label}
    text = _("All of their sessions end at once, and they can't sign in until you resume them.")
    return await _ask(call, user, Question(title, (text,), _("Suspend")), error)


async def suspend(call: Call[Caller, Nothing, None]) -> Response:
    """Suspend the user."""
    try:
        ended = await call.node.administration.suspend(admin_of(call), UserId(call.path("id")))
    except Conflict as error:
        return await _ask_suspend(call, _conflict(error))
    return await results.show(call, path_of(call), ended)


async def ask_resume(call: Call[Caller, None, None]) -> Response:
    """Ask before the user is resumed."""
    return await _ask_resume(call)


async def _ask_resume(call: AnyCall, error: str = "") -> Response:
    user = (await profile_of(call)).user
    title = _("Resume %(name)s?") % {"name": user.label}
    text = _("They can sign in again. Sessions that have ended stay ended.")
    question = Question(title, (text,), _("Resume"), destroys=False)
    return await _ask(call, user, question, error)


async def resume(call: Call[Caller, Nothing, None]) -> Response:
    """Let the user sign in again."""
    user_id = UserId(call.path("id"))
    try:
        await call.node.administration.change(admin_of(call), user_id, suspended=False)
    except Conflict as error:
        return await _ask_resume(call, _conflict(error))
    return redirect(f"{path_of(call)}?done=resumed")


async def ask_remove(call: Call[Caller, None, None]) -> Response:
    """Ask before the user is removed."""
    return await _ask_remove(call)


async def _ask_remove(call: AnyCall, error: str = "") -> Response:
    user = (await profile_of(call)).user
    title = _("Remove %(name)s?") % {"name": user.label}
    texts = (
        _("All of their sessions end at once, and they can't sign in any more."),
        _("This can't be undone. The audit log keeps what they did."),
    )
    return await _ask(call, user, Question(title, texts, _("Remove user")), error)


async def remove(call: Call[Caller, Nothing, None]) -> Response:
    """Remove the user."""
    try:
        ended = await call.node.administration.remove(admin_of(call), UserId(call.path("id")))
    except Conflict as error:
        return await _ask_remove(call, _conflict(error))
    return await results.show(call, call.base + USERS, ended)


async def ask_invite(call: Call[Caller, None, None]) -> Response:
    """Ask before a new invitation is made."""
    user = (await profile_of(call)).user
    title = _("Make a new invitation link for %(name)s?") % {"name": user.label}
    text = _("The link that they may have got before stops working.")
    return await _ask(call, user, Question(title, (text,), _("Make link"), destroys=False))


async def invite(call: Call[Caller, Nothing, None]) -> Response:
    """Make a new invitation, and show its link this once."""
    user = (await profile_of(call)).user
    invited = await call.node.administration.invite(admin_of(call), user.id)
    return await show_invitation(call, user, invited, path_of(call))


async def ask_change(call: Call[Caller, None, None]) -> Response:
    """Ask for another name and role."""
    user = (await profile_of(call)).user
    return await _ask_change(call, user, Change(user.name or "", user.role))


async def change(call: Call[Caller, Change, None]) -> Response:
    """Change the user's name and role."""
    form, user = call.body, (await profile_of(call)).user
    role = role_of(form.role) if form.role and powers(call.caller, user).role else None
    try:
        await call.node.administration.change(
            admin_of(call), user.id, name=form.name.strip(), role=role
        )
    except InvalidRequest as error:
        fields = words.field_errors(error, call.node.sessions.policy)
        return await _ask_change(call, user, form, fields)
    except Conflict as error:
        return await _ask_change(call, user, form, {"form": _conflict(error)})
    return redirect(f"{path_of(call)}?done=changed")


async def _ask_change(
    call: AnyCall, user: User, form: Change, errors: dict[str, str] | None = None
) -> Response:
    may = powers(call.caller, user)
    return render(
        call.request,
        "change_user.html",
        422 if errors else 200,
        frame=await frame(call),
        user=user.label,
        here=path_of(call),
        form=form,
        errors=errors or {},
        roles=[{"name": role, "title": words.role(role)} for role in ROLES] if may.role else [],
    )


async def ask_terminate(call: Call[Caller, None, Named]) -> Response:
    """Ask before one of the user's sessions ends."""
    user, sessions = (await profile_of(call)).user, call.node.sessions
    found = await call.node.store.find_session(SessionId(call.query.session))
    if found is None or found.session.user_id != user.id:
        raise NotFound
    now, policy = sessions.now(), sessions.policy
    if rules.ending(found.session, policy, now):
        return redirect(path_of(call))
    return render(
        call.request,
        "terminate_user_session.html",
        frame=await frame(call),
        session=row(found.session, policy, now, call.caller.session),
        user=user.label,
        here=path_of(call),
    )


async def terminate(call: Call[Caller, Chosen, None]) -> Response:
    """End one of the user's sessions."""
    ended = await call.node.administration.terminate(
        admin_of(call), UserId(call.path("id")), SessionId(call.body.session_id)
    )
    return await results.show(call, path_of(call), ended)


async def _ask(call: AnyCall, user: User, question: Question, error: str = "") -> Response:
    return render(
        call.request,
        "ask.html",
        409 if error else 200,
        frame=await frame(call),
        user=user.label,
        email=user.email or user.external_id or "",
        question=question,
        cancel_href=path_of(call),
        error=error,
    )


def _again(what: str) -> Callable[[AnyCall], str]:
    """Give the page that asks anew after a proof."""
    return lambda call: f"{USERS}/{quote(call.path('id'))}/{what}"


def _conflict(error: Conflict) -> str:
    if isinstance(error, LastOwner):
        return _("This is the last owner. Make somebody else an owner first.")
    return _("Something has changed meanwhile. Look again.")


def _preview(reach: Reach, now: datetime) -> tuple[str, ...]:
    """Tell what a logout would end."""
    if not reach.sessions:
        return (_("They have no active session now."),)
    sessions = ngettext("%(n)s session", "%(n)s sessions", reach.sessions)
    devices = ngettext("%(n)s device", "%(n)s devices", reach.devices)
    what = _("This ends %(sessions)s on %(devices)s, at once and everywhere.") % {
        "sessions": sessions % {"n": number(reach.sessions)},
        "devices": devices % {"n": number(reach.devices)},
    }
    if reach.longest is None or reach.longest - now < timedelta(seconds=1):
        return (what,)
    tokens = ngettext(
        "%(n)s access token is refused from then on; it would have run out %(until)s.",
        "%(n)s access tokens are refused from then on; the last would have run out %(until)s.",
        reach.access_tokens,
    )
    held = {"n": number(reach.access_tokens), "until": until(reach.longest, now)}
    return (what, tokens % held)


def _form(
    what: str,
    ask: Callable[..., Awaitable[Response]],
    do: Callable[..., Awaitable[Response]],
    *,
    summary: str,
) -> list[AnyEndpoint]:
    """Declare a question and what is done when it is answered."""
    path = f"{PATH}/{what}"
    return [
        Endpoint(
            method="GET",
            path=path,
            caller=FRESH_ADMIN,
            handler=ask,
            summary=f"Ask: {summary}",
            page=True,
        ),
        Endpoint(
            method="POST",
            path=path,
            caller=PERSON,
            handler=administering(do, _again(what)),
            summary=summary,
            body=Nothing,
            page=True,
            back=USERS,
        ),
    ]


ENDPOINTS: list[AnyEndpoint] = [
    *_form("logout", ask_log_out, log_out, summary="Log the user out everywhere"),
    *_form("suspend", ask_suspend, suspend, summary="Suspend the user"),
    *_form("resume", ask_resume, resume, summary="Let the user sign in again"),
    *_form("remove", ask_remove, remove, summary="Remove the user"),
    *_form("invitation", ask_invite, invite, summary="Make a new invitation"),
    Endpoint(
        method="GET",
        path=f"{PATH}/change",
        caller=FRESH_ADMIN,
        handler=ask_change,
        summary="Ask for another name and role",
        page=True,
    ),
    Endpoint(
        method="POST",
        path=f"{PATH}/change",
        caller=PERSON,
        handler=administering(change, _again("change")),
        summary="Change the user's name and role",
        body=Change,
        page=True,
        back=USERS,
    ),
    Endpoint(
        method="GET",
        path=f"{PATH}/terminate",
        caller=FRESH_ADMIN,
        handler=ask_terminate,
        summary="Ask before one of the user's sessions ends",
        query=Named,
        page=True,
    ),
    Endpoint(
        method="POST",
        path=f"{PATH}/terminate",
        caller=PERSON,
        handler=administering(
            terminate,
            lambda call: f"{_again('terminate')(call)}?session={quote(call.body.session_id)}",
        ),
        summary="End one of the user's sessions",
        body=Chosen,
        page=True,
        back=USERS,
    ),
]
