"""The application on Flask, some of its views async."""

from flask import Flask

from lastcall.integrations.flask import Lastcall, session_required, visit
from lastcall.verifier.checking import Checker


def home() -> dict[str, str | None]:
    session = visit().session
    return {"user": session.user_id if session else None}


@session_required
async def me() -> dict[str, str]:
    session = visit().require()
    return {"user": session.user_id, "session": session.id}


@session_required("admin", "owner")
def admin() -> dict[str, str]:
    return {}


@session_required(max_age=600)
async def fresh() -> dict[str, str]:
    return {}


def public() -> dict[str, str]:
    return {}


def make(verifier: Checker) -> Flask:
    app = Flask(__name__)
    Lastcall(app, verifier=verifier)
    app.add_url_rule("/", view_func=home)
    app.add_url_rule("/me", view_func=me, methods=["GET", "POST"])
    app.add_url_rule("/admin", view_func=admin)
    app.add_url_rule("/fresh", view_func=fresh)
    app.add_url_rule("/public", view_func=public)
    return app
