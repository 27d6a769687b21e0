"""The secret file and the signing keys: there, safe, this database's, and able to sign."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError

from lastcall import secretfile
from lastcall.access import ALGORITHM
from lastcall.doctor.check import Check, failed, ok, problem, skipped, warning
from lastcall.doctor.database import Found
from lastcall.doctor.machine import owner
from lastcall.errors import SecretFileError
from lastcall.keys import LEAD, MAX_AGE, Keyring, SigningKey, StoredKey
from lastcall.secretfile import Secrets
from lastcall.stores import opening

FILE: Final = "secret file"
SIGNING: Final = "signing keys"
_LATE: Final = timedelta(days=7)
"""How long after its time a key may wait for a server that replaces it."""


def examine(secret_file: Path | None, found: Found, now: datetime) -> tuple[Check, ...]:
    """Check the secret file, then what it opens."""
    path = secret_file or found.secret_file
    if path is None or found.secret_file is None:
        return skipped((FILE, SIGNING), found.because)
    if found.path is not None and found.journal is None and not path.exists():
        return skipped((FILE, SIGNING), found.because)
    secret, secrets = _secret(path, found)
    if found.facts is None:
        return secret, *skipped((SIGNING,), found.because)
    if secrets is None:
        return secret, *skipped((SIGNING,), "they open with the secret file only")
    return secret, _signing(found.facts.keys, secrets, now)


def _secret(path: Path, found: Found) -> tuple[Check, Secrets | None]:
    advice = (
        f"Run this as the user who runs the server; the file must be that user's, with: "
        f"chmod 600 {path}"
    )
    try:
        secrets = secretfile.read(path)
        if found.facts is not None:
            opening.require_pair(found.facts.born.check, secrets, path)
        if found.path is not None and found.path.exists():
            keeper, whose = path.stat().st_uid, found.path.stat().st_uid
            if keeper != whose:
                return problem(
                    FILE,
                    f"{path} belongs to {owner(path)} and the database to {owner(found.path)}",
                    f"Run: chown {owner(found.path)} {path}",
                ), secrets
    except SecretFileError as error:
        return failed(FILE, error, advice), None
    except OSError as error:
        return problem(FILE, f"can't look at {path}: {error.strerror}", advice), None
    if found.facts is None:
        return ok(FILE, f"{path}, its owner's alone; whose database's, can't be told"), secrets
    return ok(FILE, f"{path}, its owner's alone, and this database's"), secrets


def _signing(stored: tuple[StoredKey, ...], secrets: Secrets, now: datetime) -> Check:
    name = SIGNING
    closed = [key.id for key in stored if not _opens(key, secrets)]
    if closed:
        return problem(
            name,
            f"{len(closed)} of {len(stored)} don't open with the secret file: {closed[0]}",
            "Restore the database and its secret file from one and the same backup.",
        )
    if not stored:
        return ok(name, "none yet: the first start of a server makes one")
    ring = Keyring(stored, secrets)
    keys = tuple(ring)
    signer = ring.signer(now)
    if signer.signs_from > now:
        return problem(
            name,
            f"none signs yet: the oldest starts at {signer.signs_from:%Y-%m-%d %H:%M} UTC",
            "Set the clock right: it is behind, or was ahead when the key was made.",
        )
    if not _signs(signer):
        return problem(
            name,
            f"the key {signer.id} signs and its public half does not verify it",
            "Make a new one: lastcall signing-key rotate",
        )
    if keys[-1].signs_from > now + LEAD:
        return warning(
            name,
            f"the next key starts only at {keys[-1].signs_from:%Y-%m-%d %H:%M} UTC; it was made "
            "while the clock was ahead",
            "Set the clock right; until then the present key goes on.",
        )
    age = now - keys[-1].signs_from
    if age > MAX_AGE + _LATE:
        return warning(
            name,
            f"the newest is {age.days} days old; a running server replaces it after "
            f"{MAX_AGE.days} days",
            "Start the server, or run: lastcall signing-key rotate",
        )
    return ok(name, f"{len(keys)}, all open; one signs, {max(age.days, 0)} days old")


def _opens(key: StoredKey, secrets: Secrets) -> bool:
    try:
        Keyring((key,), secrets)
    except (SecretFileError, ValueError):
        return False
    return True


def _signs(key: SigningKey) -> bool:
    """Sign something and verify it."""
    try:
        signed = jws.serialize_compact({"alg": ALGORITHM}, b"lastcall", key.jwk)
        return jws.deserialize_compact(signed, key.jwk).payload == b"lastcall"
    except (JoseError, ValueError):
        return False
