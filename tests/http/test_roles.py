"""Every route of the API for every kind of caller, as http-api.md has it (attacks 48, 49, 51, 52).

A route that stands in no row of the table fails here until somebody writes down who may call it.
"""

from pathlib import Path
from typing import Any

import httpx
import pytest

from lastcall.http import api
from lastcall.http.endpoint import API
from lastcall.server import ENDPOINTS
from tests.http.cast import Cast, dump, gather
from tests.http.conftest import Serve
from tests.http.serving import CHROME, Served
from tests.support.nodes import PASSWORD

WORDS = {
    "missing": (401, "token_missing"),
    "invalid": (401, "token_invalid"),
    "ended": (401, "session_ended"),
    "unproved": (401, "invalid_credentials"),
    "no": (403, "forbidden"),
    "unknown": (404, "not_found"),
}
RECORDED = {"unproved"}
"""Refused, and written into the audit log."""
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
    "verify",
    "sessions",
    "metrics",
)
"""`ended` was an owner's; `elsewhere` is another account; `vouched` is a session that a service
began for somebody whom the account calls an owner; the last three are keys, by their scope."""
# Users in paths are Bob, a member, who has a session; or Carol, who has been invited.
TABLE = """
                                            nobody  garbage ended   member  admin   owner   adm+    own+    vouched  verify  sessions metrics
POST   /api/v1/sign-in                      200     200     200     200     200     200     200     200     200      200     200      200
POST   /api/v1/refresh                      200     200     200     200     200     200     200     200     200      200     200      200
POST   /api/v1/sign-out                     204     invalid 204     204     204     204     204     204     204      invalid invalid  invalid
POST   /api/v1/reauthenticate               missing invalid ended   200     200     200     200     200     unproved invalid invalid  invalid
POST   /api/v1/password                     missing invalid ended   200     200     200     200     200     unproved invalid invalid  invalid
GET    /api/v1/session                      missing invalid ended   200     200     200     200     200     200      invalid invalid  invalid
GET    /api/v1/sessions                     missing invalid ended   200     200     200     200     200     200      invalid invalid  invalid
POST   /api/v1/sessions                     missing invalid invalid invalid invalid invalid invalid invalid invalid  no      200      no
POST   /api/v1/sessions/terminate-others    missing invalid ended   200     200     200     200     200     200      invalid invalid  invalid
DELETE /api/v1/sessions/{session}           missing invalid ended   unknown unknown unknown unknown unknown unknown  no      200      no
POST   /api/v1/sessions/{session}/report    missing invalid ended   unknown unknown unknown unknown unknown unknown  invalid invalid  invalid
GET    /api/v1/terminations/{termination}   missing invalid ended   unknown 200     200     unknown unknown unknown  no      unknown  no
GET    /api/v1/activity                     missing invalid ended   200     200     200     200     200     200      invalid invalid  invalid
GET    /api/v1/users                        missing invalid ended   no      200     200     200     200     no       no      no       no
POST   /api/v1/users                        missing invalid ended   no      201     201     201     201     no       invalid invalid  invalid
GET    /api/v1/users/{user}                 missing invalid ended   no      200     200     unknown unknown no       invalid invalid  invalid
PATCH  /api/v1/users/{user}                 missing invalid ended   no      200     200     unknown unknown no       invalid invalid  invalid
DELETE /api/v1/users/{user}                 missing invalid ended   no      200     200     unknown unknown no       invalid invalid  invalid
POST   /api/v1/users/{invited}/invitation   missing invalid ended   no      201     201     unknown unknown no       invalid invalid  invalid
GET    /api/v1/users/{user}/sessions        missing invalid ended   no      200     200     unknown unknown no       no      200      no
DELETE /api/v1/users/{user}/sessions/{sid}  missing invalid ended   no      200     200     unknown unknown no       invalid invalid  invalid
GET    /api/v1/users/{user}/logout          missing invalid ended   no      200     200     unknown unknown no       invalid invalid  invalid
POST   /api/v1/users/{user}/logout          missing invalid ended   no      200     200     unknown unknown no       no      200      no
POST   /api/v1/logout                       missing invalid ended   no      no      200     no      200     no       invalid invalid  invalid
GET    /api/v1/audit                        missing invalid ended   no      200     200     200     200     no       invalid invalid  invalid
GET    /api/v1/keys                         missing invalid ended   no      no      200     no      200     no       invalid invalid  invalid
POST   /api/v1/keys                         missing invalid ended   no      no      201     no      201     no       invalid invalid  invalid
DELETE /api/v1/keys/{key}                   missing invalid ended   no      no      204     no      unknown no       invalid invalid  invalid
GET    /api/v1/services                     missing invalid ended   no      200     200     200     200     no       invalid invalid  invalid
POST   /oauth/introspect                    missing invalid invalid invalid invalid invalid invalid invalid invalid  200     no       no
POST   /oauth/revoke                        200     invalid invalid invalid invalid invalid invalid invalid invalid  no      200      no
GET    /.well-known/oauth-authorization-server 200  200     200     200     200     200     200     200     200      200     200      200
GET    /.well-known/jwks.json               200     200     200     200     200     200     200     200     200      200     200      200
GET    /forward-auth                        missing invalid ended   200     200     200     200     200     200      invalid invalid  invalid
GET    /healthz                             200     200     200     200     200     200     200     200     200      200     200      200
GET    /readyz                              200     200     200     200     200     200     200     200     200      200     200      200
GET    /openapi.json                        200     200     200     200     200     200     200     200     200      200     200      200
GET    /metrics                             missing invalid invalid invalid invalid invalid invalid invalid invalid  no      no       200
"""  # noqa: E501  a table is read by its columns
ROWS = {
    (method, path): dict(zip(CALLERS, cells, strict=True))
    for method, path, *cells in map(str.split, TABLE.strip().splitlines()[1:])
}
BODIES: dict[tuple[str, str], object] = {
    ("POST", "/api/v1/sign-in"): {"email": "mia@example.com", "password": PASSWORD},
    ("POST", "/api/v1/reauthenticate"): {"password": PASSWORD},
    ("POST", "/api/v1/password"): {
        "current_password": PASSWORD,
        "new_password": "another sentence of mine",
    },
    ("POST", "/api/v1/sessions"): {
        "user": {"external_id": "8"},
        "client": {"ip": "81.2.69.142", "user_agent": CHROME},
    },
    ("POST", "/api/v1/users"): {"email": "new@example.com"},
    ("PATCH", "/api/v1/users/{user}"): {"name": "Robert"},
    ("POST", "/api/v1/logout"): {"all_users": True},
    ("POST", "/api/v1/keys"): {"name": "shop", "scopes": ["verify"]},
}
FRESH = {
    ("POST", "/api/v1/sessions/terminate-others"),
    ("DELETE", "/api/v1/sessions/{session}"),
    ("POST", "/api/v1/sessions/{session}/report"),
    ("POST", "/api/v1/users"),
    ("PATCH", "/api/v1/users/{user}"),
    ("DELETE", "/api/v1/users/{user}"),
    ("POST", "/api/v1/users/{invited}/invitation"),
    ("DELETE", "/api/v1/users/{user}/sessions/{sid}"),
    ("POST", "/api/v1/users/{user}/logout"),
    ("POST", "/api/v1/logout"),
    ("POST", "/api/v1/keys"),
    ("DELETE", "/api/v1/keys/{key}"),
}
"""What needs a proof of the last ten minutes."""
OAUTH = "/oauth/"
"""Where bodies are forms. The table's token is one that the key `sessions` was given."""
NAMES = ("user", "invited", "session", "termination", "key")

Route = tuple[str, str]


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return gather(tmp_path_factory.mktemp("cast"))


def declared(path: str) -> str:
    """Give a path of the table as it is declared."""
    for name in NAMES:
        path = path.replace(f"{{{name}}}", "{id}")
    return path


async def ask(served: Served, cast: Cast, route: Route, caller: str) -> httpx.Response:
    """Call a route as somebody, from another machine."""
    method, path = route
    for name, value in (*cast.places.items(), ("sid", cast.places["session"])):
        path = path.replace(f"{{{name}}}", value)
    body = body_of(cast, route)
    token = cast.tokens[caller]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with served.client(headers, peer="192.0.2.1") as client:
        if path.startswith(OAUTH):
            return await client.request(method, path, data=body)
        return await client.request(method, path, **({} if body is None else {"json": body}))


def body_of(cast: Cast, route: Route) -> Any:  # noqa: ANN401  whatever the route takes
    """Give a body that a route takes, if it takes one."""
    if route == ("POST", "/api/v1/refresh"):
        return {"refresh_token": cast.refresh_token}
    if route[1].startswith(OAUTH):
        return {"token": cast.given}
    return BODIES.get(route)


def test_every_route_of_the_api_stands_in_the_table_and_nothing_else() -> None:
    routes = {
        (one.method, one.path)
        for one in ENDPOINTS
        if one.path.startswith(API) or (one in api.ENDPOINTS and not one.page)
    }
    assert {(method, declared(path)) for method, path in ROWS} == routes


@pytest.mark.parametrize("route", ROWS, ids=" ".join)
async def test_each_caller_is_answered_as_the_table_says_and_a_refusal_changes_nothing(
    serve: Serve, cast: Cast, tmp_path: Path, route: Route
) -> None:
    cells = ROWS[route]
    shared = tmp_path / "refused"
    refusing = await serve(cast.settings(shared))
    untouched = before = dump(shared)
    for caller, cell in cells.items():
        if cell in WORDS:
            response = await ask(refusing, cast, route, caller)
            said = (response.status_code, response.json()["code"])
            assert said == WORDS[cell], (caller, response.text)
            after = dump(shared)
            assert (after == before) == (cell not in RECORDED), caller
            before = after
        else:
            folder = tmp_path / caller
            served = await serve(cast.settings(folder))
            response = await ask(served, cast, route, caller)
            assert response.status_code == int(cell), (caller, response.text)
            if route[0] == "GET":
                assert dump(folder) == untouched, caller


@pytest.mark.parametrize("route", ROWS, ids=" ".join)
async def test_what_needs_a_fresh_proof_says_so_after_ten_minutes_and_not_to_who_may_not_at_all(
    serve: Serve, cast: Cast, tmp_path: Path, route: Route
) -> None:
    folder = tmp_path / "stale"
    served = await serve(cast.settings(folder))
    served.clock.advance(seconds=600)
    fresh = await ask(served, cast, route, "owner")
    assert fresh.status_code == WORDS.get(ROWS[route]["owner"], (0,))[0] or fresh.is_success
    served = await serve(cast.settings(tmp_path / "staler"))
    served.clock.advance(seconds=601)
    before = dump(tmp_path / "staler")
    stale = await ask(served, cast, route, "owner")
    is_refused = stale.status_code == 401 and stale.json()["code"] == "reauthentication_required"
    assert is_refused == (route in FRESH), stale.text
    if is_refused:
        assert stale.json()["max_age"] == 600
        assert dump(tmp_path / "staler") == before
    if ROWS[route]["member"] == "no":
        refused = await ask(served, cast, route, "member")
        assert refused.json()["code"] == "forbidden"
