"""The two tokens of a session, and service keys: how they are minted and read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from msgspec import UNSET, UnsetType

from lastcall import secretfile
from lastcall.clock import Entropy
from lastcall.digests import decode, digest, encode, same
from lastcall.errors import InvalidToken
from lastcall.events import Position, Timeline
from lastcall.ids import AccountId, KeyId, SessionId, UserId
from lastcall.keys import ALGORITHM, SigningKey
from lastcall.secretfile import Secrets

MAX_LENGTH: Final = 4096
"""Longest access token that is looked at, in characters; the other forms are bounded themselves."""
REFRESH_PREFIX: Final = "lcr_"
"""What every refresh token begins with, and no access token does."""
_SECRET: Final = 32
_REFRESH: Final = re.compile(
    REFRESH_PREFIX + r"(?P<sid>[a-z0-9_]{1,80})\.(?P<generation>0|[1-9][0-9]{0,17})"
    r"\.(?P<secret>[A-Za-z0-9_-]{43})\.(?P<mac>[A-Za-z0-9_-]{43})"
)
_SERVICE_KEY: Final = re.compile(r"lck_(?P<id>k_[a-z0-9]{26})_(?P<secret>[A-Za-z0-9_-]{43})")


# Access tokens: JWTs after RFC 9068.


class Access(msgspec.Struct, frozen=True):
    """What an access token says. Times are aware and in UTC, in whole seconds."""

    issuer: str
    user_id: UserId
    client_id: str
    session_id: SessionId
    audience: str
    issued_at: datetime
    expires_at: datetime
    token_id: str
    auth_time: datetime
    amr: tuple[str, ...]
    account_id: AccountId
    roles: tuple[str, ...]
    position: Position


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    client_id: str
    sid: str
    aud: str
    iat: int
    exp: int
    jti: str
    auth_time: int
    amr: tuple[str, ...]
    account: str
    roles: tuple[str, ...]
    pos: tuple[str, str, int]
    nbf: UnsetType = UNSET
    """No token of ours has one: whichever does is refused, also by a clock for which it has begun
    (ASVS 9.2.1)."""


_claims_decoder = msgspec.json.Decoder(_Claims)
_registry = jws.JWSRegistry(algorithms=[ALGORITHM])


def mint_access(access: Access, key: SigningKey) -> str:
    """Sign an access token (RFC 9068, section 2)."""
    header = {"alg": ALGORITHM, "kid": key.id, "typ": "at+jwt"}
    return jwt.encode(header, claims_of(access), key.jwk, registry=_registry)


def claims_of(access: Access) -> dict[str, object]:
    """Give an access token's claims as it carries them; times are in seconds since 1970."""
    position = access.position
    return {
        "iss": access.issuer,
        "sub": access.user_id,
        "client_id": access.client_id,
        "sid": access.session_id,
        "aud": access.audience,
        "iat": int(access.issued_at.timestamp()),
        "exp": int(access.expires_at.timestamp()),
        "jti": access.token_id,
        "auth_time": int(access.auth_time.timestamp()),
        "amr": list(access.amr),
        "account": access.account_id,
        "roles": list(access.roles),
        "pos": [position.epoch, str(position.timeline), position.seq],
    }


def open_access(
    token: str, find_key: Callable[[str], ECKey | None], issuer: str, audience: str
) -> Access:
    """Read an access token whose signature, type, issuer and audience are right.

    Whether it has run out is left to the caller, who knows whether its session has ended: that
    answer comes first. Raises InvalidToken (RFC 9068, section 4; ASVS 9.1.1 to 9.2.3).
    """
    if len(token) > MAX_LENGTH or token.count(".") != 2 or not token.isascii():
        raise InvalidToken
    try:
        signed = jws.extract_compact(token.encode("ascii"), registry=_registry)
        header = signed.headers()
        key_id = header.get("kid")
        if set(header) != {"alg", "kid", "typ"} or not isinstance(key_id, str):
            raise InvalidToken
        if header["alg"] != ALGORITHM or header["typ"] not in ("at+jwt", "application/at+jwt"):
            raise InvalidToken
        key = find_key(key_id)
        if key is None:
            raise InvalidToken
        if not jws.validate_compact(signed, key, registry=_registry):
            raise InvalidToken
        claims = _claims_decoder.decode(signed.payload)
        access = _access(claims)
    except (JoseError, ValueError, OverflowError, OSError) as error:
        raise InvalidToken from error
    if claims.iss != issuer or claims.aud != audience:
        raise InvalidToken
    return access


def _access(claims: _Claims) -> Access:
    epoch, timeline, seq = claims.pos
    return Access(
        issuer=claims.iss,
        user_id=UserId(claims.sub),
        client_id=claims.client_id,
        session_id=SessionId(claims.sid),
        audience=claims.aud,
        issued_at=datetime.fromtimestamp(claims.iat, UTC),
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
        token_id=claims.jti,
        auth_time=datetime.fromtimestamp(claims.auth_time, UTC),
        amr=claims.amr,
        account_id=AccountId(claims.account),
        roles=claims.roles,
        position=Position(epoch, Timeline.parse(timeline), seq),
    )


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
