"""A body of a type that another site's page can send without asking first has no effect
(attack 24)."""

import re
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest

from lastcall.credentials import SAFE
from lastcall.http import api
from lastcall.http.endpoint import API
from lastcall.server import create_app
from lastcall.web import pages
from tests.http.cast import Cast, dump, gather
from tests.http.conftest import Serve
from tests.http.serving import problem
from tests.http.test_page_roles import FORMS, filled
from tests.http.test_page_roles import ROWS as PAGES
from tests.http.test_roles import NAMES, OAUTH, ROWS, body_of, declared
from tests.support.nodes import PASSWORD

DODGES: tuple[dict[str, str], ...] = (
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "application/json; charset=x"},
    {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    {},
)
FORM_DODGES: tuple[dict[str, str], ...] = (
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/json"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "application/x-www-form-urlencoded; charset=x"},
    {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"},
    {},
)
POSTED = [
    *(path for method, path in PAGES if method == "POST"),
    *("/sign-in", "/setup", "/invitation"),
]
"""Every page that reads a form."""
UNREAD = {
    f"{one.method} {one.path}"
    for one in api.ENDPOINTS
    if one.method in SAFE or not one.reads_body or one.page
}
CHANGING = [
    (method, path)
    for method, path in ROWS
    if path.startswith(API) and f"{method} {declared(path)}" not in UNREAD
]


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return gather(tmp_path_factory.mktemp("cast"))


def test_signing_out_alone_looks_at_no_body() -> None:
    unread = {one.path for one in api.ENDPOINTS if not one.reads_body and not one.page}
    assert unread == {"/api/v1/sign-out"}


@pytest.mark.parametrize("route", CHANGING, ids=" ".join)
async def test_a_body_of_another_type_is_refused_and_changes_nothing(
    serve: Serve, cast: Cast, tmp_path: Path, route: tuple[str, str]
) -> None:
    method, path = route
    folder = tmp_path / "db"
    served = await serve(cast.settings(folder))
    for name in NAMES:
        path = path.replace(f"{{{name}}}", cast.places[name])
    path = path.replace("{sid}", cast.places["session"])
    body = body_of(cast, route) or {}
    caller = "sessions" if route == ("POST", "/api/v1/sessions") else "owner"
    authorization = {"Authorization": f"Bearer {cast.tokens[caller]}"}
    before = dump(folder)
    for dodge in DODGES:
        client = served.client({**authorization, **dodge}, peer="192.0.2.1")
        response = await client.request(method, path, content=msgspec.json.encode(body))
        problem(response, 415, "unsupported_media_type")
        assert dump(folder) == before, dodge


@pytest.mark.parametrize("route", [route for route in ROWS if route[1].startswith(OAUTH)])
async def test_oauths_calls_take_forms_only(
    serve: Serve, cast: Cast, tmp_path: Path, route: tuple[str, str]
) -> None:
    folder = tmp_path / "db"
    served = await serve(cast.settings(folder))
    caller = "verify" if route[1].endswith("/introspect") else "sessions"
    authorization = {"Authorization": f"Bearer {cast.tokens[caller]}"}
    before = dump(folder)
    for dodge in FORM_DODGES:
        client = served.client({**authorization, **dodge})
        response = await client.post(route[1], content=urlencode(body_of(cast, route)))
        told = problem(response, 415, "unsupported_media_type")
        assert told["error"] == "invalid_request"
        assert dump(folder) == before, dodge


def test_every_page_that_reads_a_form_is_tried() -> None:
    """All but signing out, which looks at no body."""
    posted = {one.path: one.reads_body for one in pages.ENDPOINTS if one.method not in SAFE}
    assert {re.sub("{user}|{invited}", "{id}", path) for path in POSTED} == {
        path for path, reads in posted.items() if reads
    }
    assert [path for path, reads in posted.items() if not reads] == ["/sign-out"]


@pytest.mark.parametrize("path", POSTED)
async def test_a_form_of_another_type_is_refused_as_a_page_and_changes_nothing(
    serve: Serve, cast: Cast, tmp_path: Path, path: str
) -> None:
    folder = tmp_path / "db"
    served = await serve(cast.settings(folder))
    served = served.at(create_app(served.settings, node=served.node))
    form = FORMS.get(("POST", path), {"email": "ada@example.com", "password": PASSWORD})
    content = urlencode({name: filled(cast, text) for name, text in form.items()})
    own = {
        "Sec-Fetch-Site": "same-origin",
        "Cookie": f"lastcall-access={cast.tokens['owner']}; lastcall-refresh={cast.refresh_token}",
    }
    before = dump(folder)
    for dodge in FORM_DODGES:
        client = served.client({**own, **dodge})
        response = await client.post(filled(cast, path), content=content)
        assert response.status_code == 415, dodge
        assert response.headers["content-type"].startswith("text/html")
        assert "set-cookie" not in response.headers
        assert dump(folder) == before, dodge
