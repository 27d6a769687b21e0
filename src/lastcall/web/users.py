"""Account Management → Users: the account's people, adding one, and logging everybody out."""

from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import Conflict, FieldError, InvalidRequest
from lastcall.http import cursors
from lastcall.http.admins import admin_of
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ADMIN, FRESH_ADMIN, FRESH_OWNER
from lastcall.ids import UserId
from lastcall.sessions.service import Caller
from lastcall.web import results, words
from lastcall.web.frame import frame
from lastcall.web.people import ROLES, Question, role_of, show_invitation, summary
from lastcall.web.person import PERSON, administering
from lastcall.web.rendering import render
from lastcall.web.translation import gettext as _

PATH: Final = "/account/users"
LOGOUT: Final = "/account/logout"


class Search(Struct):
    """What to look for, from where on; and the termination that has just been asked for."""

    q: str = ""
    before: str = ""
    done: str = ""


class NewUser(Struct):
    """Somebody to add."""

    email: str = ""
    name: str = ""
    role: str = "member"


class Nothing(Struct):
    """A form that is only a button."""


async def show(call: Call[Caller, None, Search]) -> Response:
    """List the account's users, newest first."""
    query = call.query
    place = cursors.read_place("users", query.before) if query.before else None
    found = await call.node.administration.users(
        admin_of(call), query.q[:200], before=UserId(place) if place else None
    )
    rest = cursors.write_place("users", found.next)
    held = {"q": query.q} if query.q else {}
    path = call.base + PATH
    return render(
        call.request,
        "users.html",
        frame=await frame(call),
        users=[summary(profile, call.caller) for profile in found.profiles],
        q=query.q,
        is_owner=call.caller.role == "owner",
        here=path,
        next_href=f"{path}?{urlencode({**held, 'before': rest})}" if rest else None,
        result=await _result(call),
    )


async def ask_add(call: Call[Caller, None, None]) -> Response:
    """Ask whom to add."""
    return await _ask(call, NewUser())


async def add(call: Call[Caller, NewUser, None]) -> Response:
    """Add somebody, and show the link with which they choose their password, this once."""
    form = call.body
    try:
        user, invited = await call.node.administration.add(
            admin_of(call), form.email, form.name.strip() or None, role_of(form.role)
        )
    except InvalidRequest as error:
        return await _ask(call, form, error)
    except Conflict:
        taken = FieldError("email", "taken", "there is a user with this address already")
        return await _ask(call, form, InvalidRequest(taken))
    return await show_invitation(call, user, invited, f"{call.base}{PATH}/{quote(user.id)}")


async def ask_log_out(call: Call[Caller, None, None]) -> Response:
    """Ask before everybody is logged out."""
    texts = (
        _("Every session of everybody but yours ends at once, wherever it is in use."),
        _("Everybody has to sign in again. This device stays signed in."),
    )
    return render(
        call.request,
        "ask.html",
        frame=await frame(call),
        email="",
        question=Question(_("Log out everybody?"), texts, _("Log out everybody")),
        cancel_href=call.base + PATH,
        error="",
    )


async def log_out(call: Call[Caller, Nothing, None]) -> Response:
    """Log everybody out but the owner who asks."""
    ended = await call.node.administration.log_out_all(admin_of(call), except_self=True)
    return await results.show(call, call.base + PATH, ended)


async def _ask(
    call: Call[Caller, NewUser, None] | Call[Caller, None, None],
    form: NewUser,
    error: InvalidRequest | None = None,
) -> Response:
    is_owner = call.caller.role == "owner"
    return render(
        call.request,
        "add_user.html",
        422 if error else 200,
        frame=await frame(call),
        form=msgspec.structs.replace(form, role=role_of(form.role)),
        errors=words.field_errors(error, call.node.sessions.policy) if error else {},
        roles=[{"name": role, "title": words.role(role)} for role in ROLES] if is_owner else [],
    )


async def _result(call: Call[Caller, None, Search]) -> dict[str, Any] | None:
    account = call.caller.user.account_id
    ended = await results.find(call, call.query.done, lambda event: event.account_id == account)
    if ended is None:
        return None
    if ended.event.kind == "account_ended":
        text = _("Everybody else was logged out everywhere")
        return results.logged_out(ended, text, _("Logging everybody else out everywhere."))
    if ended.event.reason == "user_deleted":
        return results.told(ended, _("The user was removed."), _("The user was removed."))
    return None


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=PATH,
        caller=ADMIN,
        handler=show,
        summary="See the account's users",
        query=Search,
        page=True,
    ),
    Endpoint(
        method="GET",
        path=f"{PATH}/add",
        caller=FRESH_ADMIN,
        handler=ask_add,
        summary="Ask whom to add",
        page=True,
    ),
    Endpoint(
        method="POST",
        path=f"{PATH}/add",
        caller=PERSON,
        handler=administering(add, lambda _: f"{PATH}/add"),
        summary="Add a user",
        body=NewUser,
        page=True,
        back=f"{PATH}/add",
    ),
    Endpoint(
        method="GET",
        path=LOGOUT,
        caller=FRESH_OWNER,
        handler=ask_log_out,
        summary="Ask before everybody is logged out",
        page=True,
    ),
    Endpoint(
        method="POST",
        path=LOGOUT,
        caller=PERSON,
        handler=administering(log_out, lambda _: LOGOUT),
        summary="Log everybody out",
        body=Nothing,
        page=True,
        back=LOGOUT,
    ),
]
