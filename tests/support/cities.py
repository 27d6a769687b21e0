"""City databases of one record, written by hand."""

from pathlib import Path


def encode(value: object) -> bytes:
    """A value in MaxMind DB's data format, as far as needed here."""

    def head(kind: int, size: int) -> bytes:
        length, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
        if kind > 7:
            return bytes([length, kind - 7]) + more
        return bytes([kind << 5 | length]) + more

    match value:
        case str():
            return head(2, len(value.encode())) + value.encode()
        case int():  # an unsigned one of 16, 32 or 64 bits: the metadata want each their own
            kind, size = (5, 2) if value < 2**16 else (6, 4) if value < 2**30 else (9, 8)
            return head(kind, size) + value.to_bytes(size, "big")
        case bytes():
            return value
        case list():
            return head(11, len(value)) + b"".join(map(encode, value))
        case dict():
            pairs = (encode(key) + encode(each) for key, each in value.items())
            return head(7, len(value)) + b"".join(pairs)
        case _:
            raise TypeError(value)


def write_database(
    path: Path,
    record: dict[str, object],
    *,
    upper: int = 1,
    kind: str = "Test-City",
    ip_version: int = 4,
    epoch: int = 1_700_000_000,
) -> Path:
    """A database in which all addresses below 128.0.0.0 have one record, and those above the
    pointer `upper`: 1 is "no record", a large one is damage."""
    metadata: dict[str, object] = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": epoch,
        "database_type": kind,
        "description": {"en": "test"},
        "ip_version": ip_version,
        "languages": ["en"],
        "node_count": b"\xc1\x01",
        "record_size": 24,
    }
    tree = (1 + 16).to_bytes(3, "big") + upper.to_bytes(3, "big")
    path.write_bytes(
        tree + bytes(16) + encode(record) + b"\xab\xcd\xefMaxMind.com" + encode(metadata)
    )
    return path
