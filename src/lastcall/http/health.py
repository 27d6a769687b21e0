"""Whether the server runs, and whether it can work."""

from typing import Final, Literal

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import Unavailable
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import ANYONE
from lastcall.http.site import site_of


class Health(Struct, frozen=True):
    """It is well."""

    status: Literal["ok"] = "ok"


async def healthz(_call: Call[None, None, None]) -> Response:
    """Say that the process serves."""
    return reply(Health())


async def readyz(call: Call[None, None, None]) -> Response:
    """Say that a write could begin now, and that this server is not being stopped."""
    if site_of(call.request).draining:
        raise Unavailable("this server is being stopped")
    await call.node.store.ping()
    return reply(Health())


PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Who asks for these watches the server; nobody uses it."""

ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path="/healthz",
        caller=ANYONE,
        handler=healthz,
        summary="Whether the process serves",
        answer=Health,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        caller=ANYONE,
        handler=readyz,
        summary="Whether the store can be written, and the server is not being stopped",
        answer=Health,
        problems=(Unavailable,),
    ),
]
