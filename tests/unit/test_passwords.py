"""Passwords: what may be chosen, and a hashing that tells nobody anything."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from lastcall.errors import FieldError, InvalidCredentials, InvalidRequest, Unavailable
from lastcall.identity.passwords import (
    CHEAP,
    MAX_LENGTH,
    QUEUE,
    STANDARD,
    Passwords,
    _hash_of_nobody,
    check_new_password,
)


class CountingHasher(PasswordHasher):
    """Counts each time that it works, and with which parameters; waits where a test says so."""

    def __init__(self, time_cost: int = 1, memory_cost: int = 8) -> None:
        super().__init__(time_cost=time_cost, memory_cost=memory_cost, parallelism=1)
        self.done: list[str] = []
        self.running = 0
        self.most = 0
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.done.append("hash")
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # noqa: A002
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.go.wait(10)
        self.done.append(str(hash).rpartition("v=19$")[2].partition("$")[0])
        try:
            return super().verify(hash, password)
        finally:
            with self._lock:
                self.running -= 1


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def passwords(hasher: CountingHasher) -> Iterator[Passwords]:
    made = Passwords(hasher, threads=2)
    hasher.done.clear()
    yield made
    hasher.go.set()
    made.close()


def code(password: str, least: int = 8, *personal: str | None) -> str | None:
    """Why a new password is refused, if it is."""
    errors: tuple[FieldError, ...] = ()
    try:
        check_new_password(password, least, *personal)
    except InvalidRequest as error:
        errors = error.errors
    assert {found.field for found in errors} <= {"new_password"}
    return errors[0].code if errors else None


# Choosing one


@pytest.mark.parametrize(
    ("password", "refused"),
    [
        ("kx9!qvm", "too_short"),
        ("kx9!qvmw", None),
        ("kx9!qvmw" * 128, None),
        ("kx9!qvmw" * 128 + "x", "too_long"),
        ("", "too_short"),
        ("пароль-дня", None),
        ("🦊🐻🐼🐨🐯🦁🐮🐷", None),
        ("kx9!\0qvm", None),
        (" kx9 qvm ", None),
        ("lowercase only", None),
        ("password", "too_common"),
        ("PassWord", "too_common"),
        ("12345678", "too_common"),
        ("aaaaaaaaaaaa", "too_common"),
        ("abababababab", "too_common"),
        ("\ud800" * 3 + "qwmx12", "not_text"),
    ],
    ids=lambda value: (
        ascii(value)[:20].replace("\\", "/") if value and len(value) < 99 else str(len(value or ""))
    ),
)
def test_length_counts_and_what_everybody_guesses_is_refused(
    password: str, refused: str | None
) -> None:
    assert code(password) == refused


def test_the_policy_sets_the_least_length() -> None:
    assert code("x" * 5 + "qvm9!kw2!", 15) == "too_short"
    assert code("x" * 5 + "qvm9!kw2!m", 15) is None


@pytest.mark.parametrize(
    "password",
    ["ada.lovelace@example.com", "Ada.Lovelace", "EXAMPLE.com", "lovelace", "Ada Lovelace"],
)
def test_one_s_own_words_are_refused(password: str) -> None:
    own = ("ada.lovelace@example.com", None, "Ada Lovelace")
    assert code(password, 8, *own) == "too_common"
    assert code(password + "!", 8, *own) is None


# Hashing


async def test_a_password_verifies_and_another_does_not(passwords: Passwords) -> None:
    stored = await passwords.hash("kx9!qvmw")
    assert "kx9!qvmw" not in stored
    assert await passwords.verify(stored, "kx9!qvmw") is None
    with pytest.raises(InvalidCredentials):
        await passwords.verify(stored, "kx9!qvmW")


@pytest.mark.parametrize(
    "password",
    [
        "kx9!qvmw",
        "x" * 71 + "y",
        "x" * 72 + "y",
        "x" * 73 + "y",
        "x" * (MAX_LENGTH - 1) + "y",
        "ж" * (MAX_LENGTH - 1) + "y",
        "before\0after",
        "\0",
        " spaces count ",
    ],
    ids=lambda text: f"{text[:6]!a} of {len(text)}".replace("\\", "/"),
)
async def test_a_password_is_hashed_whole(passwords: Passwords, password: str) -> None:
    """No 72 bytes, no end at a zero byte, nothing trimmed."""
    stored = await passwords.hash(password)
    assert await passwords.verify(stored, password) is None
    for wrong in (password[:-1] + "z", password[:-1], password.strip()[1:]):
        with pytest.raises(InvalidCredentials):
            await passwords.verify(stored, wrong)


async def test_a_password_that_nobody_can_have_is_refused_without_work(
    passwords: Passwords, hasher: CountingHasher
) -> None:
    for password in ("x" * (MAX_LENGTH + 1), "x" * (10 << 20), "\ud800"):
        for stored in (None, "anything"):
            with pytest.raises(InvalidRequest):
                await passwords.verify(stored, password)
    assert not hasher.done


async def test_the_same_work_is_done_for_nobody_as_for_somebody(
    passwords: Passwords, hasher: CountingHasher
) -> None:
    stored = await passwords.hash("kx9!qvmw")
    hasher.done.clear()
    work = []
    for known in (stored, None):
        with pytest.raises(InvalidCredentials) as caught:
            await passwords.verify(known, "wrong")
        assert str(caught.value) == InvalidCredentials.text
        work.append(tuple(hasher.done))
        hasher.done.clear()
    assert work[0] == work[1] == ("m=8,t=1,p=1",)


@pytest.mark.parametrize("guess", ["nobody's", ""])
async def test_no_password_opens_an_account_without_one(passwords: Passwords, guess: str) -> None:
    with pytest.raises(InvalidCredentials):
        await passwords.verify(None, guess)


async def test_a_hash_of_older_parameters_is_made_anew(hasher: CountingHasher) -> None:
    older = Passwords(CHEAP, threads=1)
    newer = Passwords(CountingHasher(memory_cost=16), threads=1)
    stored = await older.hash("kx9!qvmw")
    rehashed = await newer.verify(stored, "kx9!qvmw")
    assert rehashed is not None
    assert "m=16" in rehashed
    assert await newer.verify(rehashed, "kx9!qvmw") is None
    with pytest.raises(InvalidCredentials):
        await newer.verify(stored, "wrong")
    older.close()
    newer.close()


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_a_stored_hash_that_is_damaged_lets_nobody_in(
    passwords: Passwords, stored: str
) -> None:
    for guess in ("", "x", "nobody's", stored):
        with pytest.raises(InvalidCredentials):
            await passwords.verify(stored, guess)


def test_the_real_cost_is_what_owasp_asks_at_least() -> None:
    """64 MiB and three passes; OWASP's least is 46 MiB and one, or 19 MiB and two."""
    assert (STANDARD.memory_cost, STANDARD.time_cost) == (64 * 1024, 3)
    assert STANDARD.type.name == "ID"


# The queue


async def test_no_more_are_hashed_at_once_than_there_are_threads(
    passwords: Passwords, hasher: CountingHasher
) -> None:
    stored = await passwords.hash("kx9!qvmw")
    await asyncio.gather(*(passwords.verify(stored, "kx9!qvmw") for _ in range(40)))
    assert hasher.most <= 2


async def test_who_comes_on_top_of_a_full_queue_is_asked_to_come_again(
    passwords: Passwords, hasher: CountingHasher
) -> None:
    stored = await passwords.hash("kx9!qvmw")
    hasher.go.clear()
    waiting = [asyncio.create_task(passwords.verify(stored, "kx9!qvmw")) for _ in range(QUEUE)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await passwords.verify(stored, "kx9!qvmw")
    assert caught.value.retry_after > 0
    hasher.go.set()
    await asyncio.gather(*waiting)
    assert await passwords.verify(stored, "kx9!qvmw") is None


async def test_callers_who_leave_give_their_places_back_when_their_work_is_done(
    passwords: Passwords, hasher: CountingHasher
) -> None:
    """And no sooner: a thread that hashes for nobody is still busy."""
    stored = await passwords.hash("kx9!qvmw")
    hasher.go.clear()
    waiting = [asyncio.create_task(passwords.verify(stored, "wrong")) for _ in range(QUEUE)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(Unavailable):
        await passwords.verify(stored, "kx9!qvmw")
    hasher.go.set()
    while len(hasher.done) < QUEUE + 1:
        await asyncio.to_thread(lambda: None)
    for _turn in range(100):  # of the loop, which is told by the threads: how many it takes varies
        with suppress(Unavailable):
            assert await passwords.verify(stored, "kx9!qvmw") is None
            return
        await asyncio.sleep(0)
    raise AssertionError("the places were not given back")


async def test_after_the_end_there_is_no_hashing_and_no_place_is_lost() -> None:
    ended = Passwords(CHEAP, threads=1)
    ended.close()
    for _ in range(QUEUE + 1):
        with pytest.raises(Unavailable, match="going down"):
            await ended.hash("x")


async def test_nobodys_hash_takes_the_work_of_the_parameters_in_force() -> None:
    """Its parameters are read from it as from anybody's."""
    stored = _hash_of_nobody(STANDARD)
    assert not STANDARD.check_needs_rehash(stored)
    with pytest.raises(VerifyMismatchError):
        STANDARD.verify(stored, b"")
