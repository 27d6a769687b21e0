"""A Litestar application with the server mounted in it.

pip install 'lastcall[server,litestar]' && python app.py
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from litestar import Litestar, MediaType, get

from lastcall.integrations.litestar import (
    CurrentSession,
    LastcallPlugin,
    OptionalSession,
    mount,
    requires,
)
from lastcall.server import create_app
from lastcall.settings import load

PORT = int(os.environ.get("PORT", "8000"))
auth = create_app(load({"public_url": f"http://localhost:{PORT}/auth"}))


@get("/", media_type=MediaType.HTML)
async def home(session: CurrentSession) -> str:
    """Only for who is signed in; a browser that isn't goes to sign in, and comes back."""
    return f"""<!doctype html><title>Home</title>
<p>You are the user {session.user_id}, in the session {session.id}.
<p><a href="/auth/settings/sessions">Your sessions</a>
<form method="post" action="/auth/sign-out"><button>Sign out</button></form>"""


@get("/greeting")
async def greeting(optional_session: OptionalSession) -> dict[str, str]:
    """For everybody."""
    return {"hello": optional_session.user_id if optional_session else "stranger"}


@get("/takings", guards=[requires("owner")])
async def takings() -> dict[str, int]:
    """For owners."""
    return {"today": 42}


@asynccontextmanager
async def lifespan(_: Litestar) -> AsyncIterator[None]:
    """Open lastcall.db in this folder, and close it at the end."""
    if url := await auth.setup_url():
        print(f"Nobody is here yet. Begin at {url}", flush=True)
    yield
    await auth.close()


app = Litestar(
    [mount("/auth", auth), home, greeting, takings],
    plugins=[LastcallPlugin(auth.verifier)],
    lifespan=[lifespan],
)

if __name__ == "__main__":
    print(f"http://localhost:{PORT}", flush=True)
    uvicorn.run(app, port=PORT, log_level="warning")
