"""A FastAPI application that keeps its own users, with the server mounted in it.

pip install 'lastcall[server,fastapi]' && python app.py
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from users import Users

from lastcall.integrations.fastapi import CurrentSession, LastcallMiddleware, client_of
from lastcall.local import local_path
from lastcall.server import create_app
from lastcall.settings import load

PORT = int(os.environ.get("PORT", "8000"))
auth = create_app(
    load({"public_url": f"http://localhost:{PORT}/auth", "sign_in_url": "/login"}),
)
sessions = auth.sessions("Shop")
users = Users("shop.db")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Open lastcall.db in this folder, and close it at the end."""
    await auth.open()
    yield
    await auth.close()


app = FastAPI(lifespan=lifespan)
app.add_middleware(LastcallMiddleware, verifier=auth.verifier)
app.mount("/auth", auth)


@app.get("/login", response_class=HTMLResponse)
def ask(next: str = "/", reason: str = "") -> str:  # noqa: A002  lastcall calls it so
    """Ask who it is; lastcall sends people here, and says why a session has ended."""
    why = f"<p>Your session has ended: {escape(reason)}." if reason else ""
    return f"""<!doctype html><title>Sign in</title>{why}
<form method="post"><input type="hidden" name="next" value="{escape(next)}">
<p><label>Email <input name="email" type="email" autocomplete="username"></label>
<p><label>Password <input name="password" type="password" autocomplete="current-password"></label>
<p><button>Sign in</button></form>"""


@app.post("/login")
def login(
    request: Request,
    email: Annotated[str, Form()],
    password: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """Check the password as ever; then begin a session, and set its cookies."""
    user = users.check(email, password)
    if user is None:
        return HTMLResponse("The email or the password is wrong.", 401)
    started = sessions.start(
        str(user.id), client=client_of(request), name=user.name, email=user.email, amr=("pwd",)
    )
    response = RedirectResponse(local_path(next, "/"), 303)
    started.set_cookies(response)
    return response


@app.get("/", response_class=HTMLResponse)
def home(session: CurrentSession) -> str:
    """Only for who is signed in; a browser that isn't goes to /login, and comes back."""
    user = users.get(int(session.external_id or 0))
    return f"""<!doctype html><title>Home</title>
<p>You are {escape(user.name)}, in the session {session.id}.
<p><a href="/auth/settings/sessions">Your sessions</a>
<form method="post" action="/auth/sign-out"><button>Sign out</button></form>"""


if __name__ == "__main__":
    print(f"http://localhost:{PORT}, as ada@shop.test with the password: correct horse", flush=True)
    uvicorn.run(app, port=PORT, log_level="warning")
