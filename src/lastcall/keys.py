"""Signing keys: a list. One signs, all verify; a key is published before it signs and after.

A key's id is its thumbprint (RFC 7638). Its life, from the rotation that made it: published at
once, signs after `LEAD` (so that whoever caches the key set has it), stops when the next one
starts, and verifies until the last token that it signed has run out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from joserfc.jwk import ECKey

from lastcall import secretfile
from lastcall.access import ALGORITHM
from lastcall.clock import Entropy

JWKS_MAX_AGE: Final = timedelta(minutes=5)
"""How long others may cache the key set."""
LEAD: Final = 2 * JWKS_MAX_AGE
"""How long a key is published before it signs."""
MAX_AGE: Final = timedelta(days=90)
"""How long a key signs before it is replaced by itself."""
KEPT: Final = timedelta(days=30)
"""How long at least a key verifies after it stopped signing: a setting that shortens the access
lifetime takes nothing from the tokens that were given before."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as the store keeps it; the private part is sealed."""

    id: str
    created_at: datetime
    signs_from: datetime
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey(secretfile.Unshared):
    """A signing key, open."""

    id: str
    created_at: datetime
    signs_from: datetime
    jwk: ECKey = field(repr=False)

    @property
    def private(self) -> EllipticCurvePrivateKey:
        """What signs."""
        return cast(EllipticCurvePrivateKey, self.jwk.raw_value)


def new_key(
    now: datetime, *, first: bool, secrets: secretfile.Secrets, entropy: Entropy
) -> StoredKey:
    """Make a key. The first one of a database signs at once: nobody holds an older key set."""
    jwk = ECKey.generate_key("P-256", private=True)
    key_id = jwk.thumbprint()
    sealed = secretfile.seal(
        secrets.signing, jwk.as_der(private=True), key_id.encode("ascii"), entropy
    )
    return StoredKey(key_id, now, now if first else now + LEAD, sealed)


class Keyring:
    """The signing keys that are in use, oldest first."""

    def __init__(self, stored: Iterable[StoredKey], secrets: secretfile.Secrets) -> None:
        self._keys = tuple(
            SigningKey(
                key.id,
                key.created_at,
                key.signs_from,
                ECKey.import_key(
                    secretfile.unseal(secrets.signing, key.sealed, key.id.encode("ascii"))
                ),
            )
            for key in sorted(stored, key=lambda key: (key.signs_from, key.id))
        )
        self._by_id = {key.id: key for key in self._keys}

    def signer(self, now: datetime) -> SigningKey:
        """Give the newest key that may sign; the oldest where the clock is before them all."""
        ready = [key for key in self._keys if key.signs_from <= now]
        return ready[-1] if ready else self._keys[0]

    def find(self, key_id: str) -> EllipticCurvePublicKey | None:
        """Give the public key with this id."""
        key = self._by_id.get(key_id)
        return key.jwk.public_key if key else None

    def due(self, now: datetime) -> bool:
        """Tell whether the newest key is old enough to be replaced."""
        return not self._keys or now - self._keys[-1].signs_from >= MAX_AGE

    @property
    def newest(self) -> str | None:
        """The id of the newest key, whether or not it signs yet."""
        return self._keys[-1].id if self._keys else None

    def spent(self, now: datetime, access_lifetime: timedelta) -> tuple[str, ...]:
        """Name the keys whose last token has run out (with a margin for clocks)."""
        margin = max(access_lifetime, KEPT) + LEAD
        return tuple(
            key.id
            for key, successor in zip(self._keys, self._keys[1:], strict=False)
            if now - successor.signs_from >= margin
        )

    def jwk(self, key_id: str) -> dict[str, object] | None:
        """Give the public key with this id (RFC 7517)."""
        key = self._by_id.get(key_id)
        return None if key is None else _public(key)

    def jwks(self) -> list[dict[str, object]]:
        """Give all public keys."""
        return [_public(key) for key in self._keys]

    def public(self) -> dict[str, object]:
        """Give the public key set (RFC 7517)."""
        return {"keys": self.jwks()}

    def __iter__(self) -> Iterator[SigningKey]:
        return iter(self._keys)


def _public(key: SigningKey) -> dict[str, object]:
    return {**key.jwk.as_dict(private=False), "kid": key.id, "alg": ALGORITHM, "use": "sig"}
