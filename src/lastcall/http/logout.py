"""The sessions of an account's users, for its admins: seeing them, ending one, a user's, all."""

from msgspec import UNSET, Struct
from starlette.responses import Response

from lastcall.errors import Conflict, FieldError, InvalidRequest, NotFound
from lastcall.http import cursors, terminations, wire
from lastcall.http.admins import admin_of
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import ADMIN, FRESH_ADMIN, FRESH_OWNER, or_service
from lastcall.http.sessions import Listing
from lastcall.http.terminations import Wait
from lastcall.http.users import USER
from lastcall.identity.model import ServiceKey
from lastcall.ids import SessionId, UserId
from lastcall.sessions.service import Caller


class Everybody(Struct, forbid_unknown_fields=True):
    """That really everybody is meant, and whether the caller's own session goes on."""

    all_users: bool = False
    except_self: bool = True


async def list_user_sessions(call: Call[Caller | ServiceKey, None, Listing]) -> Response:
    """List a user's sessions."""
    query, sessions = call.query, call.node.sessions
    page = await call.node.administration.sessions(
        admin_of(call),
        UserId(call.path("id")),
        "ended" if query.ended else "active",
        None if query.before is UNSET else cursors.read(query.before),
        query.limit,
    )
    own = None if isinstance(call.caller, ServiceKey) else call.caller.session.id
    shown = wire.sessions(page.sessions, sessions.policy, sessions.now(), own)
    return reply(wire.SessionList(shown, cursors.write(page.next) if page.next else None))


async def end_user_session(call: Call[Caller, None, Wait]) -> Response:
    """End one of a user's sessions."""
    user_id, session_id = UserId(call.path("id")), SessionId(call.path("sid"))
    ended = await call.node.administration.terminate(admin_of(call), user_id, session_id)
    return await terminations.answer(call, ended)


async def preview_logout(call: Call[Caller, None, None]) -> Response:
    """Tell what logging a user out would end."""
    reach = await call.node.administration.preview(admin_of(call), UserId(call.path("id")))
    return reply(wire.logout_preview(reach, call.node.sessions.now()))


async def log_user_out(call: Call[Caller | ServiceKey, None, Wait]) -> Response:
    """End all of a user's sessions, at once."""
    ended = await call.node.administration.log_out(admin_of(call), UserId(call.path("id")))
    return await terminations.answer(call, ended)


async def log_everybody_out(call: Call[Caller, Everybody, Wait]) -> Response:
    """End every session of the account, by one event."""
    if not call.body.all_users:
        text = "this ends the sessions of all users: say so, by true"
        raise InvalidRequest(FieldError("all_users", "not_allowed", text))
    ended = await call.node.administration.log_out_all(
        admin_of(call), except_self=call.body.except_self
    )
    return await terminations.answer(call, ended)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=f"{USER}/sessions",
        caller=or_service(ADMIN, "sessions"),
        handler=list_user_sessions,
        summary="List a user's sessions",
        query=Listing,
        answer=wire.SessionList,
        problems=(NotFound,),
    ),
    Endpoint(
        method="DELETE",
        path=f"{USER}/sessions/{{sid}}",
        caller=FRESH_ADMIN,
        handler=end_user_session,
        summary="End one of a user's sessions",
        query=Wait,
        answer=wire.Termination,
        problems=(NotFound, Conflict),
    ),
    Endpoint(
        method="GET",
        path=f"{USER}/logout",
        caller=ADMIN,
        handler=preview_logout,
        summary="See what logging a user out would end",
        answer=wire.LogoutPreview,
        problems=(NotFound,),
    ),
    Endpoint(
        method="POST",
        path=f"{USER}/logout",
        caller=or_service(FRESH_ADMIN, "sessions"),
        handler=log_user_out,
        summary="End all of a user's sessions",
        query=Wait,
        answer=wire.Termination,
        problems=(NotFound, Conflict),
    ),
    Endpoint(
        method="POST",
        path=f"{API}/logout",
        caller=FRESH_OWNER,
        handler=log_everybody_out,
        summary="End every session of the account",
        body=Everybody,
        query=Wait,
        answer=wire.Termination,
        problems=(Conflict,),
    ),
]
