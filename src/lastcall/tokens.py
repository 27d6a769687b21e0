"""What lastcall hands out, minted and read: both tokens of a session, service keys, links."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from lastcall import secretfile
from lastcall.access import ALGORITHM, Access, claims_of, sign
from lastcall.clock import Entropy
from lastcall.digests import decode, digest, encode, same
from lastcall.errors import InvalidToken
from lastcall.ids import KeyId, SessionId
from lastcall.keys import SigningKey
from lastcall.secretfile import Secrets

REFRESH_PREFIX: Final = "lcr_"
"""What every refresh token begins with, and no access token does."""
_SECRET: Final = 32
_REFRESH: Final = re.compile(
    REFRESH_PREFIX + r"(?P<sid>[a-z0-9_]{1,80})\.(?P<generation>0|[1-9][0-9]{0,17})"
    r"\.(?P<secret>[A-Za-z0-9_-]{43})\.(?P<mac>[A-Za-z0-9_-]{43})"
)
_SERVICE_KEY: Final = re.compile(r"lck_(?P<id>k_[a-z0-9]{26})_(?P<secret>[A-Za-z0-9_-]{43})")


# Access tokens: JWTs after RFC 9068, see `access`.


_json: Final = msgspec.json.Encoder()


def mint_access(access: Access, key: SigningKey) -> str:
    """Sign an access token (RFC 9068, section 2; RFC 7515, section 7.1)."""
    signed = f"{_head(key.id)}.{encode(_json.encode(claims_of(access)))}"
    return f"{signed}.{encode(sign(signed.encode('ascii'), key.private))}"


@lru_cache(maxsize=64)  # all tokens of a key begin alike
def _head(key_id: str) -> str:
    return encode(_json.encode({"alg": ALGORITHM, "kid": key_id, "typ": "at+jwt"}))


# Refresh tokens: the session's id, the generation, a secret, and a MAC over these.


@dataclass(frozen=True, slots=True, repr=False)
class RefreshToken:
    """A refresh token that carries this server's MAC."""

    session_id: SessionId
    generation: int
    secret: bytes

    @property
    def secret_hash(self) -> bytes:
        """What the store keeps of it."""
        return digest(self.secret)


def new_refresh(session_id: SessionId, generation: int, entropy: Entropy) -> RefreshToken:
    """Make a refresh token with a fresh secret (ASVS 7.2.3: 256 bits)."""
    return RefreshToken(session_id, generation, entropy(_SECRET))


def write_refresh(token: RefreshToken, secrets: Secrets) -> str:
    """Write a refresh token with its MAC."""
    body = f"{REFRESH_PREFIX}{token.session_id}.{token.generation}.{encode(token.secret)}"
    return f"{body}.{encode(secretfile.mac(secrets.refresh, body.encode('ascii')))}"


def parse_refresh(text: str, secrets: Secrets) -> RefreshToken:
    """Read a refresh token, its MAC first: without it whoever knows a session's id could end that
    session with a guess. Raises InvalidToken.
    """
    match = _REFRESH.fullmatch(text)
    if match is None:
        raise InvalidToken
    body = text[: match.start("mac") - 1]
    try:
        given, secret = decode(match["mac"]), decode(match["secret"])
    except ValueError as error:
        raise InvalidToken from error
    if not same(given, secretfile.mac(secrets.refresh, body.encode("ascii"))):
        raise InvalidToken
    return RefreshToken(SessionId(match["sid"]), int(match["generation"]), secret)


def seal_successor(
    parent: RefreshToken, successor: RefreshToken, secrets: Secrets, entropy: Entropy
) -> bytes:
    """Seal a successor's secret so that only its parent and this server together open it."""
    place = _place(successor.session_id, successor.generation)
    return secretfile.seal(_successor_key(parent, secrets), successor.secret, place, entropy)


def unseal_successor(parent: RefreshToken, sealed: bytes, secrets: Secrets) -> RefreshToken:
    """Give the parent's successor again, byte for byte. Raises SecretFileError."""
    generation = parent.generation + 1
    place = _place(parent.session_id, generation)
    secret = secretfile.unseal(_successor_key(parent, secrets), sealed, place)
    return RefreshToken(parent.session_id, generation, secret)


def _successor_key(parent: RefreshToken, secrets: Secrets) -> bytes:
    return secretfile.mac(secrets.successor, parent.secret)


def _place(session_id: SessionId, generation: int) -> bytes:
    return f"{session_id}.{generation}".encode("ascii")


# Service keys and single-use secrets: random, kept as hashes.


def new_service_key(key_id: KeyId, entropy: Entropy) -> tuple[str, bytes]:
    """Make a service key: what its holder sees once, and the hash that is kept."""
    secret = encode(entropy(_SECRET))
    return f"lck_{key_id}_{secret}", digest(secret.encode("ascii"))


def parse_service_key(text: str) -> tuple[KeyId, bytes] | None:
    """Read a service key into its id and the hash to compare; None if it has another form."""
    match = _SERVICE_KEY.fullmatch(text)
    return (KeyId(match["id"]), digest(match["secret"].encode("ascii"))) if match else None


def new_single_use(entropy: Entropy) -> tuple[str, bytes]:
    """Make a secret for a link: what the link carries, and the hash that is kept."""
    secret = encode(entropy(_SECRET))
    return secret, digest(secret.encode("ascii"))
