"""A body of a type that another site's page can send without asking first has no effect
(attack 24)."""

from pathlib import Path

import msgspec
import pytest

from lastcall.http import api
from lastcall.http.csrf import SAFE
from lastcall.http.endpoint import API
from tests.http.cast import Cast, dump, gather
from tests.http.conftest import Serve
from tests.http.serving import problem
from tests.http.test_roles import BODIES, NAMES, ROWS, declared

DODGES: tuple[dict[str, str], ...] = (
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "application/json; charset=x"},
    {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    {},
)
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
    body = BODIES.get(route, {})
    if route == ("POST", "/api/v1/refresh"):
        body = {"refresh_token": cast.refresh_token}
    caller = "sessions" if route == ("POST", "/api/v1/sessions") else "owner"
    authorization = {"Authorization": f"Bearer {cast.tokens[caller]}"}
    before = dump(folder)
    for dodge in DODGES:
        client = served.client({**authorization, **dodge}, peer="192.0.2.1")
        response = await client.request(method, path, content=msgspec.json.encode(body))
        problem(response, 415, "unsupported_media_type")
        assert dump(folder) == before, dodge
