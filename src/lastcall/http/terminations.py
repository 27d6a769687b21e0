"""Ending sessions, and following how far an ending has come."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.responses import Response

from lastcall.errors import Conflict, NotFound, ReauthenticationRequired
from lastcall.events import Actor, Event
from lastcall.http import browser, wire
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import SESSION, or_service
from lastcall.identity.model import ServiceKey
from lastcall.ids import SessionId
from lastcall.sessions.endings import Termination
from lastcall.sessions.service import Caller


class Wait(Struct):
    """For how many seconds to wait until the ending is confirmed."""

    wait: Annotated[int, Meta(ge=0, le=30)] = 1


def user_elsewhere(caller: Caller) -> Actor:
    """Name a user who ends a session from another one: by the device in their hand."""
    return Actor("user", caller.user.id, caller.session.device.label)


async def end_one(call: Call[Caller | ServiceKey, None, Wait]) -> Response:
    """End one session: the caller's own, another one of theirs, or one of a service's account."""
    session_id = SessionId(call.path("id"))
    if isinstance(call.caller, ServiceKey):
        return await answer(call, await _end_for_service(call, call.caller, session_id))
    if session_id != call.caller.session.id:
        return await answer(call, await end_elsewhere(call, call.caller, session_id))
    sessions = call.node.sessions
    ended = await sessions.endings.terminate(
        session_id,
        "signed_out",
        Actor("self"),
        lambda _: True,
        origin=call.origin(call.caller),
    )
    response = await answer(call, ended)
    return browser.clear(call, response) if call.by_cookie else response


async def end_elsewhere(
    call: browser.AnyCall, caller: Caller, session_id: SessionId
) -> Termination:
    """End another session of the caller's; this needs a fresh proof (ASVS 7.5.2).

    Raises ReauthenticationRequired, NotFound, SessionEnded, Conflict.
    """
    sessions = call.node.sessions
    sessions.require_fresh(caller)
    return await sessions.endings.terminate(
        session_id,
        "terminated_by_user",
        user_elsewhere(caller),
        lambda session: session.user_id == caller.user.id,
        actor=caller.session.id,
        origin=call.origin(caller),
    )


async def end_others(call: Call[Caller, None, Wait]) -> Response:
    """End all of the caller's sessions but this one."""
    return await answer(call, await end_all_others(call, call.caller))


async def end_all_others(call: browser.AnyCall, caller: Caller) -> Termination:
    """End all of the caller's sessions but this one; this needs a fresh proof (ASVS 7.5.2).

    Raises ReauthenticationRequired, SessionEnded, Conflict.
    """
    sessions = call.node.sessions
    sessions.require_fresh(caller)
    return await sessions.endings.terminate_all(
        caller.user.id,
        caller.user.account_id,
        "terminated_by_user",
        user_elsewhere(caller),
        caller.session.id,
        origin=call.origin(caller),
        name=caller.user.label,
    )


async def report_session(call: Call[Caller, None, Wait]) -> Response:
    """End a session that the caller doesn't recognise."""
    return await answer(call, await report(call, call.caller, SessionId(call.path("id"))))


async def report(call: browser.AnyCall, caller: Caller, session_id: SessionId) -> Termination:
    """End a session of the caller's that they don't recognise, and tell the account's admins in the
    audit log; this needs a fresh proof (ASVS 7.5.2).

    Raises ReauthenticationRequired, NotFound, SessionEnded, Conflict.
    """
    sessions = call.node.sessions
    sessions.require_fresh(caller)
    own = session_id == caller.session.id
    return await sessions.endings.report(
        session_id,
        Actor("self") if own else user_elsewhere(caller),
        lambda session: session.user_id == caller.user.id,
        caller.session.id,
        call.origin(caller),
    )


async def follow(call: Call[Caller | ServiceKey, None, Wait]) -> Response:
    """See how far an ending has come."""
    return await answer(call, await find(call, call.caller))


async def find(call: browser.AnyCall, caller: Caller | ServiceKey) -> Termination:
    """Find an ending for who did it, and for the account's admins. Raises NotFound."""

    def allowed(event: Event) -> bool:
        if isinstance(caller, ServiceKey):
            return event.actor.kind == "service" and event.actor.id == caller.id
        if event.account_id != caller.user.account_id:
            return False
        own = event.actor.kind in ("self", "user") and event.user_id == caller.user.id
        return own or event.actor.id == caller.user.id or caller.role in ("admin", "owner")

    return await call.node.sessions.endings.termination(call.path("id"), allowed)


async def _end_for_service(
    call: browser.AnyCall, key: ServiceKey, session_id: SessionId
) -> Termination:
    return await call.node.sessions.endings.terminate(
        session_id,
        "terminated_by_service",
        Actor("service", key.id, key.name),
        lambda session: session.account_id == key.account_id,
        origin=browser.visitor(call),
    )


async def answer(
    call: "Call[Caller, Any, Wait] | Call[Caller | ServiceKey, Any, Wait]", ended: Termination
) -> Response:
    """Wait for as long as the caller wants to, and say how far an ending has come."""
    followed = await call.node.confirmations.follow(ended, call.query.wait)
    return reply(wire.termination(followed, call.node.sessions.now()))


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="DELETE",
        path=f"{API}/sessions/{{id}}",
        caller=or_service(SESSION, "sessions"),
        handler=end_one,
        summary="End one session",
        query=Wait,
        answer=wire.Termination,
        problems=(ReauthenticationRequired, NotFound, Conflict),
    ),
    Endpoint(
        method="POST",
        path=f"{API}/sessions/terminate-others",
        caller=SESSION,
        handler=end_others,
        summary="End all of the caller's sessions but this one",
        query=Wait,
        answer=wire.Termination,
        problems=(ReauthenticationRequired, Conflict),
    ),
    Endpoint(
        method="POST",
        path=f"{API}/sessions/{{id}}/report",
        caller=SESSION,
        handler=report_session,
        summary="End a session that the caller doesn't recognise, and report it",
        query=Wait,
        answer=wire.Termination,
        problems=(ReauthenticationRequired, NotFound, Conflict),
    ),
    Endpoint(
        method="GET",
        path=f"{API}/terminations/{{id}}",
        caller=or_service(SESSION, "sessions"),
        handler=follow,
        summary="See how far an ending has come",
        query=Wait,
        answer=wire.Termination,
        problems=(NotFound,),
    ),
]
