"""The document at /openapi.json says what the server does."""

import re

import msgspec
import openapi_spec_validator
from msgspec import Struct, field

from lastcall.http import feed, openapi
from lastcall.http.api import ENDPOINTS
from tests.conftest import ROOT
from tests.http.serving import Served


class Document(Struct):
    """What these tests look at of it."""

    openapi: str
    servers: list[dict[str, str]]
    paths: dict[str, dict[str, "Operation"]]


class Operation(Struct):
    """One method of one path."""

    operation_id: str = field(name="operationId")
    security: list[dict[str, list[str]]]
    responses: dict[str, dict[str, object]]


async def document(served: Served) -> Document:
    response = await served.client().get("/openapi.json")
    assert response.status_code == 200
    return msgspec.json.decode(response.content, type=Document)


async def test_it_is_valid_openapi_3_1(served: Served) -> None:
    assert (await document(served)).openapi == "3.1.0"
    openapi_spec_validator.validate((await served.client().get("/openapi.json")).json())


async def test_every_endpoint_is_in_it_and_nothing_else(served: Served) -> None:
    paths = (await document(served)).paths
    described = {(method.upper(), path) for path in paths for method in paths[path]}
    declared = {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS if not endpoint.page}
    assert described == declared | {("GET", feed.PATH)}


async def test_the_feed_s_handshake_is_described_as_the_page_about_it_says(served: Served) -> None:
    """Its answers and their codes, save that a path without a feed is not found."""
    page = (ROOT / "docs" / "feed.md").read_text("utf-8")
    table = re.findall(r"^\| (4\d\d|5\d\d) \| ([^|]+) \|", page, re.MULTILINE)
    said = {status: ", ".join(sorted(re.findall(r"`(\w+)`", codes))) for status, codes in table}
    assert said.pop("404") == "not_found"
    (operation,) = (await document(served)).paths["/feed"].values()
    described = {status: one["description"] for status, one in operation.responses.items()}
    assert described == {"101": "Switching Protocols", **said}
    assert operation.security == [{"service": []}]


async def test_each_operation_says_who_may_call_it(served: Served) -> None:
    paths = (await document(served)).paths
    security = {
        f"{method} {path}": [next(iter(scheme)) for scheme in operation.security]
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert security["post /api/v1/sign-in"] == []
    assert security["get /api/v1/session"] == ["bearer", "cookie"]
    assert security["post /api/v1/sessions"] == ["service"]
    assert security["delete /api/v1/sessions/{id}"] == ["bearer", "cookie", "service"]


async def test_each_operation_says_in_words_who_may_call_it() -> None:
    """Roles and scopes have no other place in the document."""
    assert not [one.path for one in ENDPOINTS if not one.page and not one.caller.words]
    described = openapi.document(ENDPOINTS, "")
    ending = described["paths"]["/api/v1/users/{id}/logout"]["post"]  # type: ignore[index]
    assert ending["description"] == (
        "For: an admin or owner, with a fresh proof; a service whose key has the scope `sessions`."
    )


async def test_operations_have_names_of_their_own(served: Served) -> None:
    paths = (await document(served)).paths
    names = [operation.operation_id for path in paths.values() for operation in path.values()]
    assert len(names) == len(set(names))


async def test_it_names_the_path_under_which_the_server_stands(served: Served) -> None:
    assert (await document(served)).servers == [{"url": "/"}]


async def test_it_says_what_each_operation_refuses(served: Served) -> None:
    paths = (await document(served)).paths
    refused = paths["/api/v1/sessions/{id}"]["delete"].responses
    assert set(refused) == {"200", "401", "403", "404", "409", "422", "503"}
    assert refused["401"]["description"] == (
        "reauthentication_required, session_ended, token_expired, token_invalid, token_missing"
    )


async def test_what_takes_a_form_says_so_and_that_all_that_is_wrong_with_it_is_400(
    served: Served,
) -> None:
    value = (await served.client().get("/openapi.json")).json()
    for path, more in (("/oauth/introspect", set()), ("/oauth/revoke", {"429"})):
        operation = value["paths"][path]["post"]
        assert list(operation["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]
        refused = {"400", "401", "403", "413", "415", "503"}
        assert set(operation["responses"]) == {"200", *refused, *more}


async def test_a_parameter_that_may_come_several_times_is_described_as_a_list(
    served: Served,
) -> None:
    value = (await served.client().get("/openapi.json")).json()
    operation = value["paths"]["/api/v1/audit"]["get"]
    (types,) = [one for one in operation["parameters"] if one["name"] == "type"]
    assert types["schema"]["type"] == "array"
    assert "session.sign_in" in types["schema"]["items"]["enum"]


async def test_what_is_shown_once_is_described_with_what_it_is_shown_with(served: Served) -> None:
    value = (await served.client().get("/openapi.json")).json()
    schemas = value["components"]["schemas"]
    assert "invitation" in schemas["User"]["properties"]
    assert "key" in schemas["Key"]["properties"]
    made = value["paths"]["/api/v1/users"]["post"]["responses"]
    assert {"201", "401", "403", "409", "422"} <= set(made)
