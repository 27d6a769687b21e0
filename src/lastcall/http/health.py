"""Whether the server runs, and whether it can work."""

from typing import Literal

from msgspec import Struct
from starlette.responses import Response

from lastcall.errors import Unavailable
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import ANYONE


class Health(Struct, frozen=True):
    """It is well."""

    status: Literal["ok"] = "ok"


async def healthz(_call: Call[None, None, None]) -> Response:
    """Say that the process serves."""
    return reply(Health())


async def readyz(call: Call[None, None, None]) -> Response:
    """Say that a write could begin now."""
    await call.node.store.ping()
    return reply(Health())


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
        summary="Whether the store can be written",
        answer=Health,
        problems=(Unavailable,),
    ),
]
