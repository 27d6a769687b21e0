"""What the integration with FastAPI does beyond what all integrations promise."""

from typing import Any

import pytest
from openapi_spec_validator import validate

from tests.integrations.conftest import Site

pytestmark = pytest.mark.parametrize("site", ["fastapi"], indirect=True)


async def described(site: Site) -> dict[str, Any]:
    """The application's OpenAPI document."""
    document: dict[str, Any] = (await site.ask("/openapi.json")).json()
    validate(document)
    return document


async def test_openapi_says_which_calls_need_a_session(site: Site) -> None:
    """Those alone, by a bearer token or the cookie; also where a router asks for it."""
    paths = (await described(site))["paths"]
    ways: list[dict[str, list[str]]] = [{"lastcall-bearer": []}, {"lastcall-cookie": []}]
    for path, method in (("/me", "get"), ("/me", "post"), ("/admin", "get"), ("/fresh", "get")):
        assert sorted(paths[path][method]["security"], key=str) == ways
    for path in ("/", "/public"):
        assert "security" not in paths[path]["get"]


async def test_openapi_says_how_a_session_is_shown(site: Site) -> None:
    schemes = (await described(site))["components"]["securitySchemes"]
    assert schemes["lastcall-bearer"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    cookie = schemes["lastcall-cookie"]
    assert (cookie["type"], cookie["in"], cookie["name"]) == (
        "apiKey",
        "cookie",
        "__Host-lastcall-access",
    )


async def test_openapi_tells_of_no_parameter_that_nobody_reads(site: Site) -> None:
    paths = (await described(site))["paths"]
    for calls_of in paths.values():
        for call in calls_of.values():
            assert "parameters" not in call
            assert "requestBody" not in call
