"""Refresh tokens, service keys and links: what is minted, what reads, and what doesn't."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from lastcall import secretfile, tokens
from lastcall.digests import decode, digest, encode, same
from lastcall.errors import InvalidToken, SecretFileError
from lastcall.ids import KeyId, SessionId, new_key_id, new_session_id
from lastcall.secretfile import Secrets
from lastcall.tokens import RefreshToken
from tests.support.fakes import START, FakeEntropy

SECRETS = Secrets.derive(b"r" * 32)
ENTROPY = FakeEntropy("tokens")
ACCESS_TOKEN = ".".join((encode(b'{"alg":"ES256"}'), encode(b"{}"), encode(b"s" * 64)))

# Refresh tokens

SESSION = new_session_id("c1", START, ENTROPY)
REFRESH = tokens.new_refresh(SESSION, 3, ENTROPY)
TEXT = tokens.write_refresh(REFRESH, SECRETS)


def rejected(text: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.parse_refresh(text, SECRETS)


def test_a_refresh_token_reads_as_it_was_written() -> None:
    assert tokens.parse_refresh(TEXT, SECRETS) == REFRESH
    assert REFRESH.secret_hash == digest(REFRESH.secret)
    assert len(REFRESH.secret) == 32


def test_a_refresh_token_says_nothing_of_its_secret_when_it_is_printed() -> None:
    assert encode(REFRESH.secret) not in repr(REFRESH)
    assert repr(REFRESH.secret) not in repr(REFRESH)


def test_a_guess_with_a_known_session_id_is_refused_by_its_mac() -> None:
    """Else whoever knows a session's id could end it with a guess."""
    body = f"lcr_{SESSION}.1.{encode(b'g' * 32)}"
    rejected(f"{body}.{encode(b'm' * 32)}")
    rejected(f"{body}.{encode(secretfile.mac(b'k' * 32, body.encode()))}")
    rejected(f"{body}.{encode(secretfile.mac(SECRETS.device, body.encode()))}")


def test_a_mac_covers_the_session_the_generation_and_the_secret() -> None:
    head, generation, secret, mac = TEXT.split(".")
    other = new_session_id("c1", START, ENTROPY)
    rejected(f"lcr_{other}.{generation}.{secret}.{mac}")
    rejected(f"{head}.{int(generation) - 1}.{secret}.{mac}")
    rejected(f"{head}.0{generation}.{secret}.{mac}")
    rejected(f"{head}.{generation}.{encode(b'g' * 32)}.{mac}")


def test_a_token_has_one_spelling_only() -> None:
    """The last character of 32 bytes in base64 has two bits to spare."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(TEXT[-1])
    assert last % 4 == 0
    for spare in (1, 2, 3):
        twin = TEXT[:-1] + alphabet[last + spare]
        assert base64.urlsafe_b64decode(twin[-43:] + "=") == decode(TEXT[-43:])
        rejected(twin)
    body, _, mac = TEXT.rpartition(".")
    for spare in (1, 2, 3):
        twin = body[:-1] + alphabet[alphabet.index(body[-1]) + spare]
        rejected(f"{twin}.{mac}")
        rejected(f"{twin}.{encode(secretfile.mac(SECRETS.refresh, twin.encode()))}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lcr_",
        TEXT[:-1],
        TEXT[1:],
        TEXT + "A",
        TEXT + "=",
        TEXT + "\n",
        " " + TEXT,
        TEXT.replace("lcr_", "LCR_"),
        TEXT.replace(".", "..", 1),
        TEXT.upper(),
        TEXT.replace(".3.", ".٣."),
        TEXT.replace(".3.", ".-3."),
        TEXT.replace(".3.", "." + "9" * 19 + "."),
        "lcr_" + "x" * 5000,
        "\ud800",
        "\0" + TEXT,
        ACCESS_TOKEN,
    ],
    ids=[
        "nothing",
        "prefix",
        "cut at the end",
        "cut at the start",
        "longer",
        "padded",
        "line end",
        "space",
        "capital prefix",
        "two dots",
        "capitals",
        "other digits",
        "negative",
        "huge generation",
        "oversize",
        "surrogate",
        "zero byte",
        "access token",
    ],
)
def test_anything_but_a_whole_refresh_token_is_refused(text: str) -> None:
    rejected(text)


def test_a_refresh_token_of_another_server_is_refused() -> None:
    with pytest.raises(InvalidToken):
        tokens.parse_refresh(TEXT, Secrets.derive(b"o" * 32))


def test_a_sealed_successor_opens_for_its_parent_alone() -> None:
    successor = tokens.new_refresh(SESSION, 4, ENTROPY)
    sealed = tokens.seal_successor(REFRESH, successor, SECRETS, ENTROPY)
    assert tokens.unseal_successor(REFRESH, sealed, SECRETS) == successor
    wrong = [
        (replace(REFRESH, secret=b"x" * 32), SECRETS),
        (replace(REFRESH, secret=REFRESH.secret_hash), SECRETS),
        (replace(REFRESH, generation=4), SECRETS),
        (replace(REFRESH, session_id=SessionId("s_c1_other")), SECRETS),
        (REFRESH, Secrets.derive(b"o" * 32)),
        (RefreshToken(SESSION, 3, b""), SECRETS),
    ]
    for parent, secrets in wrong:
        with pytest.raises(SecretFileError):
            tokens.unseal_successor(parent, sealed, secrets)


# Service keys and links


def test_a_service_key_reads_into_its_id_and_the_hash_that_is_kept() -> None:
    key_id = new_key_id(START, ENTROPY)
    text, kept = tokens.new_service_key(key_id, ENTROPY)
    assert tokens.parse_service_key(text) == (key_id, kept)
    assert kept.hex() not in text


@pytest.mark.parametrize(
    "text",
    ["", "lck_", "lck_k_x_y", TEXT, ACCESS_TOKEN, "lck_k_" + "a" * 26 + "_" + "b" * 44, "\ud800"],
    ids=["nothing", "prefix", "short", "refresh token", "access token", "long", "surrogate"],
)
def test_text_of_another_form_is_no_service_key(text: str) -> None:
    assert tokens.parse_service_key(text) is None


def test_a_link_s_secret_is_kept_as_a_hash() -> None:
    secret, kept = tokens.new_single_use(ENTROPY)
    assert kept == digest(secret.encode())
    assert len(decode(secret)) == 32


def test_ids_of_later_things_sort_later() -> None:
    ids = [new_key_id(START + timedelta(milliseconds=step), ENTROPY) for step in (0, 1, 999, 10**9)]
    assert ids == sorted(ids)
    assert all(KeyId(key_id).startswith("k_") and len(key_id) == 28 for key_id in ids)


def test_nothing_is_like_an_empty_secret() -> None:
    assert same(b"a", b"a")
    assert not same(b"", b"")
    assert not same(b"a", b"")
    assert not same(b"", b"a")
    assert not same(b"a", b"b")
