"""Access tokens: what they say, and how the one form that is accepted is read (RFC 9068).

The parsing is ours and takes nothing but what this lastcall mints: a JWS in compact form (RFC 7515,
section 7.1) with three header members and the claims below. The signature is `cryptography`'s,
as it is where one is minted.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import UNSET, UnsetType

from lastcall.digests import decode
from lastcall.errors import InvalidToken
from lastcall.events import Position, Timeline
from lastcall.ids import AccountId, SessionId, UserId

ALGORITHM: Final = "ES256"
MAX_LENGTH: Final = 4096
"""Longest access token that is looked at, in characters."""
_NUMBER: Final = 32
"""Bytes of each of the two numbers of a signature (RFC 7518, section 3.4)."""
_ECDSA: Final = ECDSA(SHA256())

FindKey = Callable[[str], EllipticCurvePublicKey | None]
"""Gives the public key with an id; None where there is none."""


class Access(msgspec.Struct, frozen=True, gc=False):
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
    external_id: str | None = None
    """An application's own id of the user, where it signs them in by itself."""


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    alg: Literal["ES256"]
    kid: str
    typ: Literal["at+jwt", "application/at+jwt"]


class _Claims(msgspec.Struct, gc=False):
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
    external_id: str | None = None
    nbf: UnsetType = UNSET
    """No token of ours has one: whichever does is refused, also by a clock for which it has begun
    (ASVS 9.2.1)."""


class _Point(msgspec.Struct):
    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str


_read_header: msgspec.json.Decoder[_Header] = msgspec.json.Decoder(_Header)
_read_claims: msgspec.json.Decoder[_Claims] = msgspec.json.Decoder(_Claims)


def open_access(token: str, find_key: FindKey, issuer: str, audience: str) -> Access:
    """Read an access token whose signature, type, issuer and audience are right.

    Whether it has run out is left to the caller, who knows whether its session has ended: that
    answer comes first. Raises InvalidToken (RFC 9068, section 4; ASVS 9.1.1 to 9.2.3).
    """
    access, _ = prove(token, find_key)
    require_meant(access, issuer, audience)
    return access


def prove(token: str, find_key: FindKey) -> tuple[Access, str]:
    """Read an access token whose signature and type are right; gives also the id of its key. Whom
    it is from and for is not looked at: see `require_meant`. Raises InvalidToken."""
    if len(token) > MAX_LENGTH or not token.isascii() or token.count(".") != 2:
        raise InvalidToken
    signed, _, signature = token.rpartition(".")
    head, _, payload = signed.partition(".")
    try:
        key_id = _key_id(head)
        key = find_key(key_id)
        if key is None:
            raise InvalidToken
        key.verify(_as_der(decode(signature)), signed.encode("ascii"), _ECDSA)
        # Nothing of the payload is read before its signature is known to be right.
        return _access(_read_claims.decode(decode(payload))), key_id
    except (InvalidSignature, ValueError, RecursionError, OverflowError, OSError) as error:
        raise InvalidToken from error


def require_meant(access: Access, issuer: str, audience: str) -> None:
    """Refuse a token from or for somebody else (ASVS 9.2.3, 9.2.4). Raises InvalidToken."""
    if access.issuer != issuer or access.audience != audience:
        raise InvalidToken


def public_key_of(jwk: Mapping[str, object]) -> EllipticCurvePublicKey:
    """Read a public key of the one kind that signs (RFC 7518, section 6.2.1). Raises ValueError."""
    try:
        point = msgspec.convert(jwk, _Point)
        x, y = (int.from_bytes(decode(number), "big") for number in (point.x, point.y))
        return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    except ValueError as error:  # msgspec's own and those of the curve are such, too
        raise ValueError("not a public key of the curve P-256") from error


def claims_of(access: Access) -> dict[str, object]:
    """Give an access token's claims as it carries them; times are in seconds since 1970."""
    position = access.position
    external = {} if access.external_id is None else {"external_id": access.external_id}
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
        **external,
    }


def sign(signed: bytes, key: EllipticCurvePrivateKey) -> bytes:
    """Give ES256's signature: its two numbers, one after the other (RFC 7518, section 3.4)."""
    first, second = decode_dss_signature(key.sign(signed, _ECDSA))
    return first.to_bytes(_NUMBER, "big") + second.to_bytes(_NUMBER, "big")


@lru_cache(maxsize=64)  # all tokens of a key begin alike
def _key_id(head: str) -> str:
    return _read_header.decode(decode(head)).kid


_timeline = lru_cache(maxsize=64)(Timeline.parse)  # there is one, until the store fails over


def _as_der(signature: bytes) -> bytes:
    """Write a signature's two numbers as `cryptography` reads them. Raises ValueError."""
    if len(signature) != 2 * _NUMBER:
        raise ValueError("not a signature's length")
    first = int.from_bytes(signature[:_NUMBER], "big")
    return encode_dss_signature(first, int.from_bytes(signature[_NUMBER:], "big"))


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
        position=Position(epoch, _timeline(timeline), seq),
        external_id=claims.external_id,
    )
