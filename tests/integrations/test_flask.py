"""What the Flask extension does beyond what all integrations promise."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from lastcall.integrations.core import Gate
from lastcall.integrations.flask import Lastcall, visit
from tests.integrations.applications import on_flask
from tests.integrations.conftest import NAVIGATION, Site

FLASK = pytest.mark.parametrize("site", ["flask"], indirect=True)


def flask_of(site: Site) -> Flask:
    """The application, which is wrapped there."""
    wrapped: Any = site.app
    app: Flask = wrapped.app
    return app


def bearer(token: str) -> dict[str, str]:
    """Show a token."""
    return {"authorization": f"Bearer {token}"}


async def known(site: Site) -> FlaskClient:
    """A client in the server's thread, which can't wait for itself: the token was seen before."""
    assert (await site.ask("/me", bearer=site.owner.access_token)).status_code == 200
    return flask_of(site).test_client()


@FLASK
async def test_an_extension_may_be_made_before_the_application(site: Site) -> None:
    gate: Gate = flask_of(site).extensions["lastcall"]
    extension = Lastcall()
    app = Flask(__name__)
    app.add_url_rule("/me", view_func=on_flask.me)
    extension.init_app(app, verifier=gate.verifier, public_url="https://example.com/auth")
    response = app.test_client().get("/me", headers=NAVIGATION)
    assert response.headers["location"] == "/auth/sign-in?next=%2Fme"


@FLASK
async def test_without_a_verifier_it_is_said_what_to_give(site: Site) -> None:
    with pytest.raises(TypeError, match=r"Lastcall\(app, verifier=verifier\)"):
        Lastcall(Flask(site.owner.session.id))


@FLASK
async def test_without_the_extension_it_is_said_what_to_do(site: Site) -> None:
    app = Flask(site.owner.session.id)
    with (
        app.test_request_context(),
        pytest.raises(RuntimeError, match=r"Lastcall\(app, verifier=verifier\)"),
    ):
        visit()


@FLASK
async def test_each_request_has_a_visit_of_its_own(site: Site) -> None:
    """Also where an application context, and so `g`, is held open around several, as tests do."""
    client = await known(site)
    with flask_of(site).app_context():
        first = client.get("/", headers=bearer(site.owner.access_token))
        assert first.json == {"user": site.owner.session.user_id}
        assert client.get("/").json == {"user": None}


@FLASK
async def test_what_runs_before_the_extension_may_ask_too(site: Site) -> None:
    seen: list[str | None] = []

    def look() -> None:
        session = visit().session
        seen.append(session.id if session else None)

    app = flask_of(site)
    app.before_request_funcs[None].insert(0, look)
    await site.ask("/public", bearer=site.owner.access_token)
    await site.ask("/public")
    assert seen == [site.owner.session.id, None]


@FLASK
async def test_errors_that_are_not_lastcall_s_are_flask_s(site: Site) -> None:
    def fail() -> str:
        raise PermissionError

    flask_of(site).add_url_rule("/fails", view_func=fail)
    response = await site.ask("/fails")
    assert (response.status_code, "json" in response.headers["content-type"]) == (500, False)


@FLASK
async def test_caches_keep_answers_apart_that_depend_on_who_asks(site: Site) -> None:
    """And only those."""
    for where in ("/", "/me"):
        response = await site.ask(where, bearer=site.owner.access_token)
        assert response.headers["vary"] == "Cookie, Authorization"
    assert "vary" not in (await site.ask("/public", bearer=site.owner.access_token)).headers


@FLASK
async def test_a_path_is_encoded_for_the_way_back_with_where_the_application_is(
    site: Site,
) -> None:
    app = flask_of(site)
    app.add_url_rule("/<rest>", view_func=lambda rest: visit().require().user_id + rest)
    client = app.test_client()
    response = client.get("/ä b?c=d", base_url="http://localhost/shop", headers=NAVIGATION)
    assert response.headers["location"] == "/sign-in?next=%2Fshop%2F%25C3%25A4%2520b%3Fc%3Dd"
