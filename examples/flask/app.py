"""A Flask application, and the server in the same process, on one origin.

pip install 'lastcall[server,flask]' a2wsgi && python app.py
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from a2wsgi import WSGIMiddleware
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount

from lastcall.integrations.flask import Lastcall, session_required, visit
from lastcall.server import create_app
from lastcall.settings import load

PORT = int(os.environ.get("PORT", "8000"))
auth = create_app(load({"public_url": f"http://localhost:{PORT}/auth"}))

shop = Flask(__name__)
Lastcall(shop, verifier=auth.verifier)


@shop.get("/")
@session_required
def home() -> str:
    """Only for who is signed in; a browser that isn't goes to sign in, and comes back."""
    session = visit().require()
    return f"""<!doctype html><title>Home</title>
<p>You are the user {session.user_id}, in the session {session.id}.
<p><a href="/auth/settings/sessions">Your sessions</a>
<form method="post" action="/auth/sign-out"><button>Sign out</button></form>"""


@shop.get("/greeting")
def greeting() -> dict[str, str]:
    """For everybody."""
    session = visit().session
    return {"hello": session.user_id if session else "stranger"}


@shop.get("/takings")
@session_required("owner")
def takings() -> dict[str, int]:
    """For owners."""
    return {"today": 42}


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Open lastcall.db in this folder, and close it at the end."""
    if url := await auth.setup_url():
        print(f"Nobody is here yet. Begin at {url}", flush=True)
    yield
    await auth.close()


app = Starlette(routes=[Mount("/auth", auth), Mount("/", WSGIMiddleware(shop))], lifespan=lifespan)

if __name__ == "__main__":
    print(f"http://localhost:{PORT}", flush=True)
    uvicorn.run(app, port=PORT, log_level="warning")
