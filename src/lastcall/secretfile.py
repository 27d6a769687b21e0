"""The secret file: the server's half of every secret, kept beside the database and never in it.

One line, `lastcall-secret-1:` and 32 random bytes in base64url, mode 0600. A copy of the database
alone yields no token, for the rows hold hashes and sealed values; the file alone yields none, for
it holds no session. Each use has a key of its own, derived under a label (RFC 5869).
"""

import contextlib
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lastcall.clock import Entropy
from lastcall.digests import decode, encode
from lastcall.errors import SecretFileError

_PREFIX = "lastcall-secret-1:"
_SIZE = 32


class Unshared:
    """Keys in the clear: they can't be pickled, which is how Python hands values to another process
    or keeps them in a file. Whoever needs them there opens them there."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys stay in the process that has opened them")


@dataclass(frozen=True, slots=True, repr=False)
class Secrets(Unshared):
    """The keys derived from the secret file, one a use."""

    refresh: bytes
    """Proves that this server minted a refresh token."""
    successor: bytes
    """Seals a successor for whoever holds its parent."""
    signing: bytes
    """Seals the private signing keys."""
    device: bytes
    """Proves that this server set a device cookie."""
    throttle: bytes
    """Chooses where attempts are counted."""
    check: bytes
    """Tells whether a database and a file belong together; proves nothing else."""

    @classmethod
    def derive(cls, root: bytes) -> Self:
        """Derive each key from the file's root."""
        return cls(*(_subkey(root, label) for label in cls.__slots__))


def create(path: Path, entropy: Entropy) -> Secrets:
    """Write a new secret file, whole or not at all, readable by its owner alone.

    Where another process wrote one at the same moment, that one holds.
    Raises SecretFileError.
    """
    root = entropy(_SIZE)
    draft = path.with_name(f"{path.name}.{encode(entropy(6))}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(_PREFIX + encode(root) + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise SecretFileError(
            f"can't write the secret file {path}: {error.strerror}; "
            "make its folder writable or set LASTCALL_SECRET_FILE"
        ) from error
    return read(path)


def read(path: Path) -> Secrets:
    """Read the secret file. Raises SecretFileError when it is missing, open to others or broken."""
    try:
        with path.open(encoding="ascii") as file:
            # The mode of what is read, not of what had the name a moment ago.
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise SecretFileError(
                    f"the secret file {path} can be read by others; run: chmod 600 {path}"
                )
            text = file.read().strip()
    except FileNotFoundError as error:
        raise SecretFileError(
            f"the database's secret file {path} is missing; put it back or set "
            "LASTCALL_SECRET_FILE. A new one is never made for an existing database"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFileError(f"can't read the secret file {path}: {error}") from error
    try:
        root = decode(text.removeprefix(_PREFIX))
    except ValueError:
        root = b""
    if not text.startswith(_PREFIX) or len(root) != _SIZE:
        raise SecretFileError(f"{path} is not a lastcall secret file; put the right one back")
    return Secrets.derive(root)


def _sync_folder(folder: Path) -> None:
    """Have the folder's entries survive a loss of power: a database must not outlive its key."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def mac(key: bytes, message: bytes) -> bytes:
    """Authenticate a message with a derived key (HMAC-SHA-256, RFC 2104)."""
    made = _started(key).copy()
    made.update(message)
    return made.finalize()


@lru_cache(maxsize=16)  # to start one takes twice as long as all the rest
def _started(key: bytes) -> HMAC:
    return HMAC(key, SHA256())


def seal(key: bytes, plain: bytes, context: bytes, entropy: Entropy) -> bytes:
    """Encrypt with a derived key so that it opens only with the same context (AES-256-GCM)."""
    nonce = entropy(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Open what `seal` made; raises SecretFileError with another key, context or content."""
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], context)
    except (InvalidTag, ValueError) as error:
        raise SecretFileError(
            "a sealed value does not open with this secret file; put the database's own file back"
        ) from error


def _subkey(root: bytes, label: str) -> bytes:
    info = b"lastcall " + label.encode("ascii")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(root)
