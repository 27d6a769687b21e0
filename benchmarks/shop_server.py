"""An application on Starlette, once as it is and once behind lastcall's middleware.

Run as `python -m benchmarks.shop_server ADDRESS`, with a service key on standard input; prints its
port when its verifier has a lease.
"""

import socket
import sys
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from uvicorn import Config, Server

from lastcall import Verifier
from lastcall.integrations.starlette import LastcallMiddleware, visit

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def anybody(_: Request) -> JSONResponse:
    """Answer whoever comes."""
    return JSONResponse({})


async def somebody(request: Request) -> JSONResponse:
    """Answer who has a session."""
    visit(request).require()
    return JSONResponse({})


class Both:
    """Leads `/anybody` to the application as it is, all else to the one behind the middleware."""

    def __init__(self, verifier: Verifier) -> None:
        self._open = Starlette(routes=[Route("/anybody", anybody)])
        self._kept = Starlette(routes=[Route("/somebody", somebody)])
        self._kept.add_middleware(LastcallMiddleware, verifier=verifier)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request."""
        app = self._open if scope["path"] == "/anybody" else self._kept
        await app(scope, receive, send)


def main(address: str, key: str) -> None:
    """Serve until a signal ends it."""
    with (
        Verifier(address, key=key) as verifier,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        verifier.wait_ready(10)
        print(listener.getsockname()[1], flush=True)
        config = Config(
            Both(verifier), http="httptools", lifespan="off", log_config=None, access_log=False,
            proxy_headers=False, server_header=False,
        )  # fmt: skip
        Server(config).run([listener])


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.readline().strip())
