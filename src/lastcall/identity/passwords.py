"""Passwords: what a new one must be, and their hashing in a bounded pool (argon2id, RFC 9106)."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from lastcall.errors import FieldError, InvalidCredentials, InvalidRequest, Unavailable

T = TypeVar("T")

MAX_LENGTH: Final = 1024
"""Longest password, in characters. It is hashed whole."""
STANDARD: Final = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)
"""The cost of a guess: three passes over 64 MiB."""
CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""For tests that are not about passwords."""
QUEUE: Final = 64
"""How many may wait for a thread; who comes on top is asked to come again."""
_COMMON: Final = frozenset(FREQUENCY_LISTS["passwords"])


def check_new_password(
    password: str, min_length: int, *personal: str | None, field: str = "new_password"
) -> None:
    """Raise InvalidRequest unless the password may be chosen (ASVS 6.2.1 to 6.2.12, NIST 3.1.1.2).

    Length counts, composition doesn't; common ones and the person's own words are refused.
    """
    folded = password.casefold()
    own = {
        word.casefold()
        for text in personal
        if text
        for word in (text, *text.split("@", 1), *text.split())
    }
    if len(password) < min_length:
        text = f"the password must have at least {min_length} characters"
        raise InvalidRequest(FieldError(field, "too_short", text))
    if len(password) > MAX_LENGTH:
        text = f"the password may have at most {MAX_LENGTH} characters"
        raise InvalidRequest(FieldError(field, "too_long", text))
    if folded in _COMMON or folded in own or len(set(password)) < 3:
        text = "this password is among the first that somebody would guess; choose another"
        raise InvalidRequest(FieldError(field, "too_common", text))
    _bytes(password, field)


class Passwords:
    """Hashes and verifies, never more at once than it has threads, so that sign-ins can't starve
    the rest. Each hashing takes 64 MiB for its time."""

    def __init__(self, hasher: PasswordHasher = STANDARD, threads: int | None = None) -> None:
        self._hasher = hasher
        self._pool = ThreadPoolExecutor(
            threads or max(1, (os.cpu_count() or 2) - 1), "lastcall-passwords"
        )
        self._waiting = 0
        self._nobody = _hash_of_nobody(hasher)

    async def hash(self, password: str) -> str:
        """Hash a password that has been checked. Raises Unavailable."""
        raw = _bytes(password, "password")
        return await self._run(lambda: self._hasher.hash(raw))

    async def verify(self, stored: str | None, password: str) -> str | None:
        """Verify a password; give a new hash where the stored one has older parameters.

        The same work is done for nobody (`stored` None) as for somebody. Raises
        InvalidCredentials, InvalidRequest for one that nobody can have, Unavailable.
        """
        if len(password) > MAX_LENGTH:
            text = f"the password may have at most {MAX_LENGTH} characters"
            raise InvalidRequest(FieldError("password", "too_long", text))
        raw = _bytes(password, "password")
        return await self._run(lambda: self._verify(stored, raw))

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, raw: bytes) -> str | None:
        try:
            self._hasher.verify(self._nobody if stored is None else stored, raw)
        except (VerificationError, InvalidHashError) as error:
            raise InvalidCredentials from error
        if stored is None:
            raise InvalidCredentials
        return self._hasher.hash(raw) if self._hasher.check_needs_rehash(stored) else None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= QUEUE:
            raise Unavailable("many people are signing in; try again in a moment", retry_after=2)
        self._waiting += 1
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        except RuntimeError as error:
            self._waiting -= 1
            raise Unavailable("the server is going down") from error
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: "asyncio.Future[T]") -> None:
        self._waiting -= 1
        if not future.cancelled():
            future.exception()  # seen, also where the caller has gone


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """Make a hash that takes the same work to verify as anybody's, and that no password has."""
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, raw = ("A" * -(-size * 4 // 3) for size in (hasher.salt_len, hasher.hash_len))
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${raw}"


def _bytes(password: str, field: str) -> bytes:
    try:
        return password.encode("utf-8")
    except UnicodeEncodeError as error:
        text = "the password is not valid text"
        raise InvalidRequest(FieldError(field, "not_text", text)) from error
