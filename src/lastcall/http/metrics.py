"""The counts of this server, for Prometheus."""

from typing import Final
from urllib.parse import urlsplit

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response

from lastcall.credentials import LOOPBACK
from lastcall.errors import TokenMissing
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import Who, require_service
from lastcall.http.site import site_of

_FORWARDED: Final = ("forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-host")
"""What a proxy adds: its address is not that of who asks."""


async def _admit(request: Request) -> None:
    if "authorization" in request.headers:
        await require_service(request, "metrics")
    elif not _is_local(request):
        raise TokenMissing("this needs a service key with the scope metrics")


def _is_local(request: Request) -> bool:
    """Tell whether this machine itself asks: from loopback, by a loopback name, past no proxy.
    Behind TLS nobody can tell: a proxy on this machine may add nothing and call us by loopback."""
    if site_of(request).node.settings.secure:
        return False
    peer = request.client.host if request.client else ""
    return (
        peer in LOOPBACK
        and _name(request.headers.get("host", "")) in LOOPBACK
        and not any(name in request.headers for name in _FORWARDED)
    )


def _name(host: str) -> str | None:
    """Read the name in a Host header; None where it can't be read, whereas a request's URL would
    then have the server's own address."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


METRICS_READER: Final = Who(
    _admit,
    ("service",),
    words="a service whose key has the scope `metrics`; without TLS, this machine itself",
)
"""A service whose key has the scope `metrics`, or this machine itself."""


async def metrics(call: Call[None, None, None]) -> Response:
    """Give the counts."""
    store = call.node.store
    text = call.node.metrics.write(await store.log_end(), await store.count_unknown_sign_ins())
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path="/metrics",
        caller=METRICS_READER,
        handler=metrics,
        summary="The counts of this server, for Prometheus; in plain http without a key from here",
    ),
]
