"""Every page for every kind of visitor: who is shown it, who is sent to sign in, who is refused.

A page that stands in no row of the table fails here until somebody writes down who may see it.
"""

from pathlib import Path

import httpx
import pytest

from lastcall.http.guard import ANYONE, VISITOR
from lastcall.server import create_app
from lastcall.web import pages
from tests.http.cast import Cast, dump, gather
from tests.http.conftest import Serve
from tests.http.serving import Served

CALLERS = (
    "nobody",
    "garbage",
    "ended",
    "member",
    "admin",
    "owner",
    "admin elsewhere",
    "owner elsewhere",
    "vouched",
)
"""As in `test_roles`, each with their token in a browser's cookie."""
# in: sent to the sign-in page. Users in paths are Bob, a member, or Carol, who has been invited.
TABLE = """
                                                nobody garbage ended member admin owner adm+ own+ vouched
GET  /settings/sessions                         in     in      in    200    200   200   200  200  200
GET  /settings/sessions/terminate               in     in      in    404    404   404   404  404  404
POST /settings/sessions/terminate               in     in      in    404    404   404   404  404  404
POST /settings/sessions/report                  in     in      in    404    404   404   404  404  404
GET  /settings/sessions/terminate-others        in     in      in    200    303   303   303  303  200
POST /settings/sessions/terminate-others        in     in      in    303    303   303   303  303  303
GET  /settings/security                         in     in      in    200    200   200   200  200  200
POST /settings/security                         in     in      in    422    422   422   422  422  422
GET  /settings/activity                         in     in      in    200    200   200   200  200  200
GET  /settings/activity/export                  in     in      in    200    200   200   200  200  200
GET  /reauthenticate                            in     in      in    200    200   200   200  200  200
POST /reauthenticate                            in     in      in    401    401   401   401  401  401
GET  /account/users                             in     in      in    403    200   200   200  200  403
GET  /account/users/add                         in     in      in    403    200   200   200  200  403
POST /account/users/add                         in     in      in    403    201   201   201  201  403
GET  /account/users/{user}                      in     in      in    403    200   200   404  404  403
GET  /account/users/{user}/logout               in     in      in    403    200   200   404  404  403
POST /account/users/{user}/logout               in     in      in    403    303   303   404  404  403
GET  /account/users/{user}/suspend              in     in      in    403    200   200   404  404  403
POST /account/users/{user}/suspend              in     in      in    403    303   303   404  404  403
GET  /account/users/{user}/resume               in     in      in    403    200   200   404  404  403
POST /account/users/{user}/resume               in     in      in    403    303   303   404  404  403
GET  /account/users/{user}/remove               in     in      in    403    200   200   404  404  403
POST /account/users/{user}/remove               in     in      in    403    303   303   404  404  403
GET  /account/users/{invited}/invitation        in     in      in    403    200   200   404  404  403
POST /account/users/{invited}/invitation        in     in      in    403    201   201   404  404  403
GET  /account/users/{user}/change               in     in      in    403    200   200   404  404  403
POST /account/users/{user}/change               in     in      in    403    303   303   404  404  403
GET  /account/users/{user}/terminate            in     in      in    403    200   200   404  404  403
POST /account/users/{user}/terminate            in     in      in    403    303   303   404  404  403
GET  /account/logout                            in     in      in    403    403   200   403  200  403
POST /account/logout                            in     in      in    403    403   303   403  303  403
GET  /account/audit                             in     in      in    403    200   200   200  200  403
GET  /account/services                          in     in      in    403    200   200   200  200  403
GET  /account/audit/export                      in     in      in    403    200   200   200  200  403
"""  # noqa: E501  a table is read by its columns
ROWS = {
    (method, path): dict(zip(CALLERS, cells, strict=True))
    for method, path, *cells in map(str.split, TABLE.strip().splitlines()[1:])
}
FOR_ALL = {
    *(("GET", path) for path in ("/", "/settings", "/sign-in", "/setup", "/invitation")),
    *(("POST", path) for path in ("/sign-in", "/sign-out", "/setup", "/invitation")),
}
"""What anybody may ask for."""
FORMS: dict[tuple[str, str], dict[str, str]] = {
    ("POST", "/settings/sessions/terminate"): {"session_id": "{session}"},
    ("POST", "/settings/sessions/report"): {"session_id": "{session}"},
    ("POST", "/settings/security"): {"current_password": "x", "new_password": "a new sentence"},
    ("POST", "/account/users/add"): {"email": "new@example.com"},
    ("POST", "/account/users/{user}/change"): {"name": "Robert"},
    ("POST", "/account/users/{user}/terminate"): {"session_id": "{session}"},
}
QUERIES = {
    ("GET", "/settings/sessions/terminate"): {"session": "{session}"},
    ("GET", "/account/users/{user}/terminate"): {"session": "{session}"},
}
REFUSED = {"in", "401", "403", "404", "422"}
RECORDED = {("POST", "/settings/security"), ("POST", "/reauthenticate")}
"""What leaves a record also where it is refused: somebody did not know the password."""

Route = tuple[str, str]


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return gather(tmp_path_factory.mktemp("cast"))


def declared(path: str) -> str:
    return path.replace("{user}", "{id}").replace("{invited}", "{id}")


def filled(cast: Cast, text: str) -> str:
    for name, value in cast.places.items():
        text = text.replace(f"{{{name}}}", value)
    return text


async def visit(served: Served, cast: Cast, route: Route, caller: str) -> httpx.Response:
    """Ask for a page, or send its form, in somebody's browser."""
    method, path = route
    token = cast.tokens[caller]
    cookies = {} if token is None else {"lastcall-access": token}
    async with served.client({"Sec-Fetch-Site": "same-origin"}) as browser:
        browser.cookies.update(cookies)
        return await browser.request(
            method,
            filled(cast, path),
            data={name: filled(cast, text) for name, text in FORMS.get(route, {}).items()},
            params={name: filled(cast, text) for name, text in QUERIES.get(route, {}).items()},
        )


def test_every_page_is_in_the_table_or_for_all() -> None:
    routes = {(one.method, one.path): one for one in pages.ENDPOINTS if one.page}
    known = {(method, declared(path)) for method, path in ROWS}
    assert known | FOR_ALL == set(routes)
    assert {key for key, one in routes.items() if one.caller in (ANYONE, VISITOR)} == FOR_ALL


@pytest.mark.parametrize("route", ROWS, ids=" ".join)
async def test_a_page_is_for_whom_the_table_says(
    cast: Cast, serve: Serve, tmp_path: Path, route: Route
) -> None:
    """Who is refused changes nothing, however they try."""
    for caller, expected in ROWS[route].items():
        folder = tmp_path / caller.replace(" ", "-")
        served = await serve(cast.settings(folder))
        served = served.at(create_app(served.settings, node=served.node))
        before = dump(folder)
        response = await visit(served, cast, route, caller)
        if expected == "in":
            assert response.status_code == 303, caller
            assert response.headers["location"].startswith("/sign-in?next=/"), caller
        else:
            assert response.status_code == int(expected), (caller, response.text)
        if expected in REFUSED and not (route in RECORDED and expected in ("401", "422")):
            assert dump(folder) == before, caller
        if expected == "403":
            assert "This is for administrators" in response.text
