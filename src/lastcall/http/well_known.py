"""What anybody may know: the keys that verify access tokens, and where to ask about them."""

from typing import Final

import msgspec
from msgspec import Struct
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import ANYONE
from lastcall.http.oauth import INTROSPECT, REVOKE
from lastcall.keys import JWKS_MAX_AGE

JWKS: Final = "/.well-known/jwks.json"
METADATA: Final = "/.well-known/oauth-authorization-server"
_CACHED: Final = f"public, max-age={int(JWKS_MAX_AGE.total_seconds())}"


class PublicKey(Struct, frozen=True):
    """A public key (RFC 7517, RFC 7518)."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    alg: str
    use: str


class KeySet(Struct, frozen=True):
    """The keys that verify access tokens: each from before it signs until its last token is out."""

    keys: tuple[PublicKey, ...]


class Metadata(Struct, frozen=True, kw_only=True):
    """What this authorization server offers (RFC 8414, section 2). It gives its tokens over its own
    API, and has neither an authorization nor a token endpoint: no response type, no grant type."""

    issuer: str
    jwks_uri: str
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: tuple[str, ...] = ("Bearer",)
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = ("none",)
    response_types_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()


async def jwks(call: Call[None, None, None]) -> Response:
    """Give the key set."""
    ring = await call.node.signing.ring()
    raw = msgspec.json.encode(ring.public())
    return Response(raw, headers={"cache-control": _CACHED}, media_type="application/json")


async def metadata(call: Call[None, None, None]) -> Response:
    """Give the metadata."""
    url = call.node.settings.public_url.rstrip("/")
    answer = reply(
        Metadata(
            issuer=call.node.sessions.issuer,
            jwks_uri=f"{url}{JWKS}",
            introspection_endpoint=f"{url}{INTROSPECT}",
            revocation_endpoint=f"{url}{REVOKE}",
        )
    )
    answer.headers["cache-control"] = _CACHED
    return answer


class _Metadata:
    """The metadata of an application, whatever the path that a request asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": METADATA}, receive, send)


def metadata_route(app: ASGIApp, base: str) -> Route:
    """Give the route of an application's metadata for the root of the one that has it mounted under
    the path `base` (RFC 8414, section 3.1)."""
    return Route(METADATA + base, _Metadata(app))


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=JWKS,
        caller=ANYONE,
        handler=jwks,
        summary="The public keys of access tokens",
        answer=KeySet,
    ),
    Endpoint(
        method="GET",
        path=METADATA,
        caller=ANYONE,
        handler=metadata,
        summary="The metadata of this authorization server (RFC 8414)",
        answer=Metadata,
    ),
]
