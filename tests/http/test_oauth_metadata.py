"""/.well-known/oauth-authorization-server: what the server says of itself (RFC 8414)."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.server import create_app
from lastcall.settings import Settings
from tests.http.conftest import Serve
from tests.http.serving import Served, problem
from tests.support.fakes import FakeClock
from tests.support.nodes import PASSWORD

PATH = "/.well-known/oauth-authorization-server"
ISSUER = "http://localhost:8000"


def expected(url: str, issuer: str | None = None) -> dict[str, object]:
    """What is said by a server at that URL."""
    return {
        "issuer": issuer or url,
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "introspection_endpoint": f"{url}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
        "revocation_endpoint": f"{url}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": ["none"],
        "response_types_supported": [],
        "grant_types_supported": [],
    }


async def test_it_names_the_issuer_of_the_tokens_and_what_is_there(served: Served) -> None:
    native = await served.native()
    response = await served.client().get(PATH)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.headers["cache-control"] == "public, max-age=300"
    told = response.json()
    assert told == expected(ISSUER)
    assert (await served.node.sessions.authenticate(native.access)).access.issuer == told["issuer"]
    service = await served.as_service("verify")
    asked = await service.post(told["introspection_endpoint"], data={"token": native.access})
    assert asked.json()["active"] is True
    given = await served.client().post(told["revocation_endpoint"], data={"token": native.access})
    assert given.status_code == 200
    assert (await served.client().get(told["jwks_uri"])).json()["keys"]


async def test_behind_tls_all_addresses_are_https(secured: Served) -> None:
    assert (await secured.client().get(PATH)).json() == expected("https://id.example.com")


async def test_after_a_move_the_issuer_stays_and_the_addresses_are_the_new_ones(
    served: Served, serve: Serve, database_url: str
) -> None:
    """Tokens keep the issuer that the database was born with."""
    settings = Settings(database_url=database_url, public_url="https://new.example.com")
    moved = await serve(settings)
    told = (await moved.client().get(PATH)).json()
    assert told == expected("https://new.example.com", served.settings.public_url)


@pytest.mark.parametrize("base", ["/auth", "/tenants/acme"])
async def test_mounted_under_a_path_its_route_stands_at_the_root_of_the_outer_application(
    database_url: str, base: str
) -> None:
    """Where clients look for it: between the host and the issuer's path."""
    url = ISSUER + base
    settings = Settings(database_url=database_url, public_url=url)
    inner = create_app(settings, clock=FakeClock(), passwords=Passwords(CHEAP, 1))
    outer = Starlette(routes=[inner.metadata_route, Mount(base, inner)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url=ISSUER) as client:
        response = await client.get(PATH + base)  # opens the server, too
        told = response.json()
        assert told == expected(url)
        assert response.headers["cache-control"] == "public, max-age=300"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert (await client.head(PATH + base)).status_code == 200
        problem(await client.post(PATH + base), 405, "method_not_allowed")
        assert (await client.get(base + PATH)).json() == told
        assert (await client.get(PATH)).status_code == 404
        assert (await client.get(PATH + base + "/x")).status_code == 404
        signed_in = await client.post(
            f"{base}/api/v1/sign-in", json={"email": "ada@example.com", "password": PASSWORD}
        )
        token = signed_in.json()["refresh_token"]
        given = await client.post(told["revocation_endpoint"], data={"token": token})
        assert given.status_code == 200
        refused = await client.post(f"{base}/api/v1/refresh", json={"refresh_token": token})
        assert problem(refused, 401, "session_ended")["reason"] == "revoked"
    await inner.close()


async def test_without_a_path_the_route_is_the_server_s_own(served: Served) -> None:
    assert served.app.metadata_route.path == PATH
    outer = Starlette(routes=[served.app.metadata_route])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url=ISSUER) as client:
        assert (await client.get(PATH)).json() == expected(ISSUER)
