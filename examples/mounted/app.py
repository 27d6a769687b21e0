"""The smallest application with lastcall in it.

pip install 'lastcall[server]' && python app.py
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from lastcall.integrations.starlette import LastcallMiddleware, visit
from lastcall.server import create_app
from lastcall.settings import load

PORT = int(os.environ.get("PORT", "8000"))
auth = create_app(load({"public_url": f"http://localhost:{PORT}/auth"}))


async def home(request: Request) -> HTMLResponse:
    """Only for who is signed in; a browser that isn't goes to sign in, and comes back."""
    session = visit(request).require()
    return HTMLResponse(f"""<!doctype html><title>Home</title>
<p>You are the user {session.user_id}, in the session {session.id}.
<p><a href="/auth/settings/sessions">Your sessions</a>
<form method="post" action="/auth/sign-out"><button>Sign out</button></form>""")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Open lastcall.db in this folder, and close it at the end."""
    if url := await auth.setup_url():
        print(f"Nobody is here yet. Begin at {url}", flush=True)
    yield
    await auth.close()


app = Starlette(
    routes=[Mount("/auth", auth), Route("/", home)],
    middleware=[Middleware(LastcallMiddleware, verifier=auth.verifier)],
    lifespan=lifespan,
)

if __name__ == "__main__":
    print(f"http://localhost:{PORT}", flush=True)
    uvicorn.run(app, port=PORT, log_level="warning")
