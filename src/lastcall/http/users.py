"""The users of an account, for its admins: seeing, adding, changing and removing them."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from lastcall.errors import Conflict, Forbidden, NotFound
from lastcall.http import cursors, terminations, wire
from lastcall.http.admins import admin_of
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import ADMIN, FRESH_ADMIN, or_service
from lastcall.http.terminations import Wait
from lastcall.identity.model import Profile, Role, ServiceKey
from lastcall.identity.names import NAME_LENGTH
from lastcall.ids import UserId
from lastcall.sessions.service import Caller

USERS = f"{API}/users"
USER = f"{USERS}/{{id}}"

Name = Annotated[str, Meta(max_length=NAME_LENGTH)]


class Search(cursors.Part):
    """Which users: those whose address, name or external id holds a text; the one whom an
    application knows by this id."""

    q: Annotated[str, Meta(max_length=200)] = ""
    external_id: Annotated[str, Meta(max_length=200)] | None = None


class NewUser(Struct, forbid_unknown_fields=True):
    """Somebody to add. Only an owner adds who is more than a member."""

    email: Annotated[str, Meta(max_length=320)]
    name: Name | None = None
    role: Role = "member"


class UserChange(Struct, forbid_unknown_fields=True):
    """What to change; what is left out stays. An empty name, or null, takes it away."""

    name: Name | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    status: Literal["active", "suspended"] | UnsetType = UNSET


async def list_users(call: Call[Caller | ServiceKey, None, Search]) -> Response:
    """List the account's users, newest first; for a service the one that it names."""
    query = call.query
    place = None if query.before is UNSET else cursors.read_place("users", query.before)
    found = await call.node.administration.users(
        admin_of(call),
        query.q,
        query.external_id,
        None if place is None else UserId(place),
        query.limit,
    )
    users = tuple(wire.profile(profile) for profile in found.profiles)
    return reply(wire.UserList(users, cursors.write_place("users", found.next)))


async def add_user(call: Call[Caller, NewUser, None]) -> Response:
    """Add a user and give the link with which they choose their password."""
    body = call.body
    user, invited = await call.node.administration.add(
        admin_of(call), body.email, body.name, body.role
    )
    invitation = wire.invitation(invited, call.node.settings.public_url)
    added = wire.profile(Profile(user, 0, None))
    return reply(msgspec.structs.replace(added, invitation=invitation), 201)


async def see_user(call: Call[Caller, None, None]) -> Response:
    """See a user."""
    profile = await call.node.administration.find(admin_of(call), UserId(call.path("id")))
    return reply(wire.profile(profile))


async def change_user(call: Call[Caller, UserChange, None]) -> Response:
    """Change a user's name, role and status: all of it, or nothing."""
    body = call.body
    profile = await call.node.administration.change(
        admin_of(call),
        UserId(call.path("id")),
        name=None if body.name is UNSET else body.name or "",
        role=None if body.role is UNSET else body.role,
        suspended=None if body.status is UNSET else body.status == "suspended",
    )
    return reply(wire.profile(profile))


async def remove_user(call: Call[Caller, None, Wait]) -> Response:
    """Remove a user and end all of their sessions."""
    ended = await call.node.administration.remove(admin_of(call), UserId(call.path("id")))
    return await terminations.answer(call, ended)


async def invite_user(call: Call[Caller, None, None]) -> Response:
    """Give a new link to somebody who has not chosen a password yet; an older one stops."""
    invited = await call.node.administration.invite(admin_of(call), UserId(call.path("id")))
    return reply(wire.invitation(invited, call.node.settings.public_url), 201)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=USERS,
        caller=or_service(ADMIN, "sessions"),
        handler=list_users,
        summary="List the account's users; a service finds one by its external id",
        query=Search,
        answer=wire.UserList,
        problems=(Forbidden,),
    ),
    Endpoint(
        method="POST",
        path=USERS,
        caller=FRESH_ADMIN,
        handler=add_user,
        summary="Add a user and invite them",
        body=NewUser,
        answer=wire.User,
        status=201,
        problems=(Forbidden, Conflict),
    ),
    Endpoint(
        method="GET",
        path=USER,
        caller=ADMIN,
        handler=see_user,
        summary="See a user",
        answer=wire.User,
        problems=(NotFound,),
    ),
    Endpoint(
        method="PATCH",
        path=USER,
        caller=FRESH_ADMIN,
        handler=change_user,
        summary="Change a user's name, role or status",
        body=UserChange,
        answer=wire.User,
        problems=(NotFound, Conflict),
    ),
    Endpoint(
        method="DELETE",
        path=USER,
        caller=FRESH_ADMIN,
        handler=remove_user,
        summary="Remove a user",
        query=Wait,
        answer=wire.Termination,
        problems=(NotFound, Conflict),
    ),
    Endpoint(
        method="POST",
        path=f"{USER}/invitation",
        caller=FRESH_ADMIN,
        handler=invite_user,
        summary="Invite a user anew",
        answer=wire.Invitation,
        status=201,
        problems=(NotFound, Conflict),
    ),
]
