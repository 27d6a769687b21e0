"""What the integration with Litestar does beyond what all integrations promise."""

from dataclasses import replace
from typing import Any, Final

import pytest
from litestar import Litestar, Request, Response, get
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from openapi_spec_validator import validate

from lastcall.errors import Error
from lastcall.integrations.litestar import CurrentSession, LastcallPlugin
from tests.integrations.applications import on_litestar
from tests.integrations.conftest import Site

pytestmark = pytest.mark.parametrize("site", ["litestar"], indirect=True)
WAYS: Final[list[dict[str, list[str]]]] = [{"lastcall-bearer": []}, {"lastcall-cookie": []}]


def described(app: Litestar) -> dict[str, Any]:
    """The application's OpenAPI document."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    validate(document)
    return document


async def test_openapi_says_which_calls_need_a_session_and_which_take_one(site: Site) -> None:
    paths = described(site.app)["paths"]
    for path, method in (("/me", "get"), ("/me", "post"), ("/admin", "get"), ("/fresh", "get")):
        assert paths[path][method]["security"] == WAYS
    assert paths["/"]["get"]["security"] == [{}, *WAYS]
    assert "security" not in paths["/public"]["get"]


async def test_openapi_says_how_a_session_is_shown(site: Site) -> None:
    assert described(site.app)["components"]["securitySchemes"] == {
        "lastcall-bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "lastcall-cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-lastcall-access",
            "description": "`lastcall-access` where the public URL is plain http on loopback",
        },
    }


@pytest.mark.parametrize("several", [False, True])
async def test_openapi_keeps_what_the_application_says_of_itself(site: Site, several: bool) -> None:
    """Its schemes, its configuration, and what a call says that it needs."""
    own = Components(security_schemes={"own": SecurityScheme(type="http", scheme="basic")})
    config = OpenAPIConfig("a", "1", components=[own] if several else own)

    @get("/both", security=[{"own": [], "lastcall-bearer": []}])
    async def both(session: CurrentSession) -> str:
        return session.user_id

    app = Litestar([both], plugins=[LastcallPlugin(site.verifier)], openapi_config=config)
    document = described(app)
    names = {"own", "lastcall-bearer", "lastcall-cookie"}
    assert set(document["components"]["securitySchemes"]) == names
    assert document["paths"]["/both"]["get"]["security"] == [{"own": [], "lastcall-bearer": []}]
    assert config.components == ([own] if several else own)


async def test_an_application_may_have_no_openapi(site: Site) -> None:
    app = on_litestar.make(site.verifier, openapi_config=None)
    assert app.openapi_config is None


async def test_openapi_sees_what_a_dependency_needs(site: Site) -> None:
    async def who(session: CurrentSession) -> str:
        return session.user_id

    @get("/who", dependencies={"name": Provide(who)})
    async def named(name: NamedDependency[str]) -> str:
        return name

    app = Litestar([named], plugins=[LastcallPlugin(site.verifier)])
    assert described(app)["paths"]["/who"]["get"]["security"] == WAYS


async def test_what_an_application_says_of_these_errors_goes_before(site: Site) -> None:
    def sorry(_: Request[Any, Any, Any], error: Error) -> Response[str]:
        return Response(error.code, status_code=418, media_type="text/plain")

    app = on_litestar.make(site.verifier, exception_handlers={Error: sorry})
    response = await replace(site, app=app).ask("/me")
    assert (response.status_code, response.text) == (418, "token_missing")
