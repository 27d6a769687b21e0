"""Hashes of secrets, and the one place where they are compared."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode


def digest(secret: bytes) -> bytes:
    """Hash a secret of at least 128 random bits, for keeping (ASVS 6.5.2: no salt needed)."""
    return hashlib.sha256(secret).digest()


def same(left: bytes, right: bytes) -> bool:
    """Compare in constant time. An empty value is like nothing, itself included."""
    return bool(left) and hmac.compare_digest(left, right)


def encode(raw: bytes) -> str:
    """Write bytes as base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Read what `encode` writes, and nothing else; raises ValueError."""
    raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if encode(raw) != text:
        raise ValueError("not canonical base64url")
    return raw
