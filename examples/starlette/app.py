"""An API that checks tokens in its own process, of a server that runs somewhere else.

`python start.py` starts both. By itself: AUTH_ADDRESS=https://… AUTH_KEY=lck_… uvicorn app:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import lastcall
from lastcall.integrations.starlette import LastcallMiddleware, visit

verifier = lastcall.Verifier(os.environ["AUTH_ADDRESS"], key=os.environ["AUTH_KEY"])


async def home(request: Request) -> JSONResponse:
    """Who asks, in which session, and until when the token is good."""
    session = visit(request).require()
    return JSONResponse(
        {
            "user": session.user_id,
            "session": session.id,
            "roles": session.roles,
            "expires_at": session.expires_at.isoformat(),
        }
    )


async def close_shop(request: Request) -> JSONResponse:
    """For admins and owners who have proved who they are in the last ten minutes."""
    session = visit(request).require("admin", "owner", max_age=600)
    return JSONResponse({"closed_by": session.user_id})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Give the lease back at the end, so that nobody waits for this process."""
    yield
    verifier.close()


app = Starlette(
    routes=[Route("/", home), Route("/close-shop", close_shop, methods=["POST"])],
    middleware=[Middleware(LastcallMiddleware, verifier=verifier)],
    lifespan=lifespan,
)
