"""One of several applications behind the proxy. Each checks sessions in its own process.

`python start.py` starts two of it, the server, and nginx before them all.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

import lastcall
from lastcall.integrations.starlette import LastcallMiddleware, visit

NAME, PREFIX = os.environ["NAME"], os.environ["PREFIX"]
verifier = lastcall.Verifier(os.environ["AUTH_ADDRESS"], key=os.environ["AUTH_KEY"])


async def home(request: Request) -> HTMLResponse:
    """Only for who is signed in; a browser that isn't goes to sign in, and comes back."""
    session = visit(request).require()
    return HTMLResponse(f"""<!doctype html><title>{NAME}</title>
<p>This is {NAME}. You are the user {session.user_id}, in the session {session.id}.
<p><a href="/">The shop</a> <a href="/orders/">Orders</a>
<a href="/auth/settings/sessions">Your sessions</a>
<form method="post" action="/auth/sign-out"><button>Sign out</button></form>""")


async def healthz(_: Request) -> Response:
    """For whoever waits for this process."""
    return Response(status_code=204)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Give the lease back at the end, so that nobody waits for this process."""
    yield
    verifier.close()


app = Starlette(
    routes=[Route(f"{PREFIX}/", home), Route(f"{PREFIX}/healthz", healthz)],
    middleware=[Middleware(LastcallMiddleware, verifier=verifier)],
    lifespan=lifespan,
)
