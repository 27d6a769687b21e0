"""Account Management → Services: who follows the event log, and how far they are."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import asdict
from starlette.responses import Response

from lastcall.clock import round_up
from lastcall.feed.leases import quiet
from lastcall.http import verifiers
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ADMIN
from lastcall.sessions.service import Caller
from lastcall.web.frame import frame
from lastcall.web.rendering import render

PATH: Final = "/account/services"
SHOWN: Final = 100
"""How many verifiers are shown, those first that something is the matter with; the others are
counted."""


async def show(call: Call[Caller, None, None]) -> Response:
    """List the verifiers of the account's services, and the servers that they are connected to."""
    found, now = await verifiers.find(call), call.node.sessions.now()
    shown = choose(found.verifiers)
    return render(
        call.request,
        "services.html",
        frame=await frame(call),
        mark=found.mark,
        nodes=[_node(row, now, call.node.settings.lease) for row in found.nodes],
        verifiers=[_verifier(row) for row in shown],
        more=len(found.verifiers) - len(shown) + found.unnamed,
        here=call.base + PATH,
        server=call.node.settings.public_url,
    )


def choose(rows: Iterable[verifiers.Verifier]) -> list[verifiers.Verifier]:
    """Choose which verifiers are shown, by the names of their services."""
    late = sorted(rows, key=lambda row: bool(row.connected_at and row.leased and not row.behind))
    return sorted(late[:SHOWN], key=lambda row: (row.service, row.id, row.node))


def _node(row: verifiers.NodeRow, now: datetime, lease: timedelta) -> dict[str, Any]:
    """Give what is shown of a server; when it was heard of last only where that is a while ago."""
    silent = timedelta(seconds=row.silent_for)
    heard_at = now - silent if quiet(silent, lease) else None
    return {**asdict(row), "leased_until": None, "heard_at": heard_at}


def _verifier(row: verifiers.Verifier) -> dict[str, Any]:
    """Give what is shown of a verifier; until when it has a lease only where it can't renew it."""
    until = row.leased_until if row.connected_at is None else None
    return {**asdict(row), "leased_until": until and round_up(until)}


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
