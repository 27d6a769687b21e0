"""Hashes of secrets, and the one place where they are compared."""

import hashlib
import hmac
from binascii import a2b_base64, b2a_base64
from typing import Final

_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


def digest(secret: bytes) -> bytes:
    """Hash a secret of at least 128 random bits, for keeping (ASVS 6.5.2: no salt needed)."""
    return hashlib.sha256(secret).digest()


def same(left: bytes, right: bytes) -> bool:
    """Compare in constant time. An empty value is like nothing, itself included."""
    return bool(left) and hmac.compare_digest(left, right)


def encode(raw: bytes) -> str:
    """Write bytes as base64url without padding (RFC 7515, section 2)."""
    return b2a_base64(raw, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Read what `encode` writes, and nothing else; raises ValueError."""
    given = text.encode("ascii")
    raw = a2b_base64(given.translate(_FROM_URL) + b"=" * (-len(text) % 4))
    # Whatever the reader passes over is missing in what is written again.
    if b2a_base64(raw, newline=False).translate(_TO_URL).rstrip(b"=") != given:
        raise ValueError("not canonical base64url")
    return raw
