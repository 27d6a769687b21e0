"""The service keys of an account, for its owners."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct
from starlette.responses import Response

from lastcall.errors import Conflict, NotFound
from lastcall.http import cursors, wire
from lastcall.http.admins import admin_of
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import FRESH_OWNER, OWNER
from lastcall.identity.model import Scope
from lastcall.identity.names import NAME_LENGTH
from lastcall.ids import KeyId
from lastcall.sessions.service import Caller


class NewKey(Struct, forbid_unknown_fields=True):
    """A key to make."""

    name: Annotated[str, Meta(max_length=NAME_LENGTH)]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=3)]


async def list_keys(call: Call[Caller, None, cursors.Part]) -> Response:
    """List the account's keys in force, oldest first."""
    query = call.query
    place = None if query.before is UNSET else cursors.read_place("keys", query.before)
    found = await call.node.services.list(
        call.caller.user.account_id, None if place is None else KeyId(place), query.limit
    )
    keys = tuple(wire.key(key) for key in found.keys)
    return reply(wire.KeyList(keys, cursors.write_place("keys", found.next)))


async def create_key(call: Call[Caller, NewKey, None]) -> Response:
    """Make a key; its text is in this answer and nowhere else."""
    admin, body = admin_of(call), call.body
    key, text = await call.node.services.create(
        admin.account_id, body.name, body.scopes, admin.by, admin.origin
    )
    return reply(wire.key(key, text), 201)


async def revoke_key(call: Call[Caller, None, None]) -> Response:
    """End a key, at once."""
    admin = admin_of(call)
    await call.node.services.revoke(
        admin.account_id, KeyId(call.path("id")), admin.by, admin.origin
    )
    return Response(status_code=204)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=f"{API}/keys",
        caller=OWNER,
        handler=list_keys,
        summary="List the account's service keys",
        query=cursors.Part,
        answer=wire.KeyList,
    ),
    Endpoint(
        method="POST",
        path=f"{API}/keys",
        caller=FRESH_OWNER,
        handler=create_key,
        summary="Make a service key",
        body=NewKey,
        answer=wire.Key,
        status=201,
        problems=(Conflict,),
    ),
    Endpoint(
        method="DELETE",
        path=f"{API}/keys/{{id}}",
        caller=FRESH_OWNER,
        handler=revoke_key,
        summary="End a service key",
        status=204,
        problems=(NotFound,),
    ),
]
