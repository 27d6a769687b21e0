"""Account Management → Services: who follows the event log, and how far they are."""

from typing import Final

from starlette.responses import Response

from lastcall.http import verifiers
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ADMIN
from lastcall.sessions.service import Caller
from lastcall.web.frame import frame
from lastcall.web.rendering import render

PATH: Final = "/account/services"


async def show(call: Call[Caller, None, None]) -> Response:
    """List the verifiers of the account's services, and the servers that they are connected to."""
    found = await verifiers.find(call)
    return render(
        call.request,
        "services.html",
        frame=await frame(call),
        nodes=found.nodes,
        verifiers=found.verifiers,
        here=call.base + PATH,
        server=call.node.settings.public_url,
    )


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=PATH,
        caller=ADMIN,
        handler=show,
        summary="See which services follow the ends of sessions",
        page=True,
    ),
]
