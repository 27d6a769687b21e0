"""Looking for secrets where none may be: how they may be written, and where they may lie."""

import base64
from pathlib import Path
from urllib.parse import quote, quote_plus

from lastcall.digests import encode
from tests.support.nodes import DATABASE


def spellings(secret: bytes) -> set[bytes]:
    """The ways in which a secret may lie in a file."""
    return {
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        encode(secret).encode(),
        base64.b64encode(secret).rstrip(b"="),
        str(int.from_bytes(secret, "big")).encode(),
    }


def writings(secret: str) -> set[str]:
    """The ways in which a secret may stand in a text; of one with several parts, its last too."""
    parts = {
        secret,
        *(part for part in (secret.rpartition(".")[2], secret[-43:]) if len(part) > 15),
    }
    raw = {part.encode() for part in parts}
    return {
        *parts,
        *map(quote, parts),
        *map(quote_plus, parts),
        *(base64.b64encode(part).decode().rstrip("=") for part in raw),
        *(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in raw),
        *(part.hex() for part in raw),
    }


def found(secrets: dict[str, str], text: str) -> list[str]:
    """Name the secrets that stand in a text."""
    return [
        name for name, secret in secrets.items() if any(one in text for one in writings(secret))
    ]


def database(folder: Path) -> bytes:
    """All that lies in the database's files, its write-ahead log included."""
    files = sorted(folder.glob(DATABASE + "*"))
    assert any(file.name.endswith("-wal") for file in files)
    return b"".join(file.read_bytes() for file in files)
