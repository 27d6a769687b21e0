"""What anybody may know: the keys that verify access tokens."""

from typing import Final

import msgspec
from msgspec import Struct
from starlette.responses import Response

from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE
from lastcall.keys import JWKS_MAX_AGE

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


async def jwks(call: Call[None, None, None]) -> Response:
    """Give the key set."""
    ring = await call.node.signing.ring()
    raw = msgspec.json.encode(ring.public())
    return Response(raw, headers={"cache-control": _CACHED}, media_type="application/json")


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path="/.well-known/jwks.json",
        caller=ANYONE,
        handler=jwks,
        summary="The public keys of access tokens",
        answer=KeySet,
    ),
]
