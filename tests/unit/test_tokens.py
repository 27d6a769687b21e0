"""Tokens: what is minted, what opens, and every forgery that doesn't."""

import base64
import hmac
import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from lastcall import secretfile, tokens
from lastcall.digests import decode, digest, encode, same
from lastcall.errors import InvalidToken, SecretFileError
from lastcall.events import Position, Timeline
from lastcall.ids import AccountId, KeyId, SessionId, UserId, new_key_id, new_session_id
from lastcall.keys import Keyring, SigningKey, new_key
from lastcall.secretfile import Secrets
from lastcall.tokens import Access, RefreshToken
from tests.support.fakes import START, FakeEntropy

ISSUER = "https://id.example.com"
AUDIENCE = "api"
NOW = START.replace(microsecond=0)
SECRETS = Secrets.derive(b"r" * 32)
ENTROPY = FakeEntropy("tokens")
RING = Keyring([new_key(START, first=True, secrets=SECRETS, entropy=ENTROPY)], SECRETS)
KEY = RING.signer(START)
ACCESS = Access(
    issuer=ISSUER,
    user_id=UserId("u_ada"),
    client_id="native",
    session_id=SessionId("s_c1_one"),
    audience=AUDIENCE,
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    token_id="jti",
    auth_time=NOW - timedelta(minutes=5),
    amr=("pwd",),
    account_id=AccountId("a_acme"),
    roles=("member",),
    position=Position("epoch", Timeline(1, "first"), 17),
)
TOKEN = tokens.mint_access(ACCESS, KEY)
ALL_ALGORITHMS = jws.JWSRegistry(
    algorithms=["none", "HS256", "HS384", "HS512", "ES256", "ES384", "RS256", "EdDSA"]
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a token says makes the server ask anybody."""

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("an outbound request was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def opened(token: str, issuer: str = ISSUER, audience: str = AUDIENCE) -> Access:
    return tokens.open_access(token, RING.find, issuer, audience)


def refused(token: str) -> None:
    with pytest.raises(InvalidToken) as caught:
        opened(token)
    assert caught.value.code == "token_invalid"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload, _ = token.split(".")
    return json.loads(decode(header)), json.loads(decode(payload))


HEADER, CLAIMS = parts(TOKEN)


def signed(header: dict[str, Any], claims: object, key: ECKey | RSAKey | None = None) -> str:
    """A token that somebody signs who may choose everything but our key."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(header, payload, key or KEY.jwk, registry=ALL_ALGORITHMS)


def raw(header: object, claims: object = CLAIMS, signature: bytes = b"s" * 64) -> str:
    """A token of three parts, the first as given."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return f"{encode(text)}.{encode(json.dumps(claims).encode())}.{encode(signature)}"


# What is minted


def test_an_access_token_carries_exactly_the_claims_of_the_contract() -> None:
    assert {"alg": "ES256", "typ": "at+jwt", "kid": KEY.id} == {**HEADER}
    assert {
        "iss": ISSUER,
        "sub": "u_ada",
        "client_id": "native",
        "sid": "s_c1_one",
        "aud": AUDIENCE,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
        "jti": "jti",
        "auth_time": int(NOW.timestamp()) - 300,
        "amr": ["pwd"],
        "account": "a_acme",
        "roles": ["member"],
        "pos": ["epoch", "1.first", 17],
    } == {**CLAIMS}


def test_what_is_minted_opens_to_the_same() -> None:
    assert opened(TOKEN) == ACCESS


def test_the_media_type_in_full_is_the_same_type() -> None:
    """RFC 9068, section 4, names both forms."""
    assert opened(signed({**HEADER, "typ": "application/at+jwt"}, CLAIMS)) == ACCESS


def test_a_claim_that_is_new_is_no_reason_to_refuse() -> None:
    assert opened(signed(HEADER, {**CLAIMS, "new": [1]})) == ACCESS


def test_opening_says_nothing_about_the_time() -> None:
    """Whether the session has ended is said before the token has run out."""
    past = msgspec.structs.replace(ACCESS, expires_at=datetime(2001, 1, 1, tzinfo=UTC))
    assert opened(tokens.mint_access(past, KEY)) == past


# Forged (attacks 1 to 4, 6, 7 and 9)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("end", ["", ".", "..", "=", None])
def test_a_token_without_a_signature_is_refused(alg: str, end: str | None) -> None:
    header, payload, signature = TOKEN.split(".")
    for claimed in (encode(json.dumps({**HEADER, "alg": alg}).encode()), header):
        if end is None:
            refused(f"{claimed}.{payload}")
        else:
            refused(f"{claimed}.{payload}.{end}")
    refused(f"{encode(json.dumps({**HEADER, 'alg': alg}).encode())}.{payload}.{signature}")


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_shared_secret(alg: str) -> None:
    public = KEY.jwk
    for secret in [
        public.as_pem(private=False),
        public.as_der(private=False),
        json.dumps(public.as_dict(private=False)).encode(),
        json.dumps(RING.public()).encode(),
        KEY.id.encode(),
    ]:
        head, payload, _ = raw({**HEADER, "alg": alg}).split(".")
        made = hmac.digest(secret, f"{head}.{payload}".encode(), f"sha{alg[2:]}")
        refused(f"{head}.{payload}.{encode(made)}")


def test_no_other_algorithm_is_taken_with_whatever_key() -> None:
    rsa = RSAKey.generate_key(2048, auto_kid=False)
    refused(signed({**HEADER, "alg": "RS256"}, CLAIMS, rsa))
    p384 = ECKey.generate_key("P-384")
    refused(signed({**HEADER, "alg": "ES384"}, CLAIMS, p384))


def test_an_empty_or_missing_key_never_verifies() -> None:
    with pytest.raises(InvalidToken):
        tokens.open_access(TOKEN, lambda _: None, ISSUER, AUDIENCE)


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t"])
def test_a_key_that_the_header_brings_is_not_used_and_nobody_is_asked_for_it(name: str) -> None:
    own = ECKey.generate_key("P-256")
    brought = {
        "jwk": own.as_dict(private=False),
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/cert",
        "x5c": ["MIIB"],
        "x5t": "dGh1bWI",
    }
    payload = json.dumps(CLAIMS).encode()
    for kid in (KEY.id, own.thumbprint()):
        header = {"alg": "ES256", "typ": "at+jwt", "kid": kid, name: brought[name]}
        body = f"{encode(json.dumps(header).encode())}.{encode(payload)}"
        by_own = signed({**HEADER, "kid": kid}, CLAIMS, own).split(".")[2]
        refused(f"{body}.{by_own}")


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "' OR 1=1 --",
        "x" * 3000,
        "x" * (1 << 20),
        "",
        "unknown",
        0,
        1.5,
        True,
        None,
        [],
        ["a"],
        {},
    ],
    ids=lambda kid: f"{str(kid)[:20]} of {len(str(kid))}",
)
def test_a_key_id_of_any_other_kind_finds_no_key(kid: object) -> None:
    refused(raw({**HEADER, "kid": kid}))


def test_a_token_without_a_key_id_is_refused() -> None:
    refused(signed({"alg": "ES256", "typ": "at+jwt"}, CLAIMS))


@pytest.mark.parametrize(
    "typ",
    [
        "JWT",
        "jwt",
        "AT+JWT",
        "secevent+jwt",
        "logout+jwt",
        "dbsc+jwt",
        "dpop+jwt",
        "",
        "at",
        1,
        None,
        ["at+jwt"],
    ],
)
def test_a_token_of_another_type_is_refused_though_we_signed_it(typ: object) -> None:
    body = f"{encode(json.dumps({**HEADER, 'typ': typ}).encode())}.{encode(b'{}')}"
    refused(f"{body}.{encode(b's' * 64)}")
    if isinstance(typ, str):
        refused(signed({**HEADER, "typ": typ}, CLAIMS))


def test_a_token_without_a_type_is_refused() -> None:
    refused(signed({"alg": "ES256", "kid": KEY.id}, CLAIMS))


@pytest.mark.parametrize(
    "header",
    [b"", b"[]", b"null", b"1", b'"x"', b"{", b"\xff", b'{"a":' + b"[" * 2800, b"{}", b"[[]]"],
    ids=lambda header: header[:12].hex(),
)
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    refused(raw(header))


def test_a_critical_header_is_refused() -> None:
    refused(raw({**HEADER, "crit": ["b64"], "b64": False}))


@pytest.mark.parametrize(
    ("issuer", "audience"),
    [
        (ISSUER + "/", AUDIENCE),
        ("https://ID.example.com", AUDIENCE),
        (ISSUER + ":443", AUDIENCE),
        ("http://id.example.com", AUDIENCE),
        (ISSUER, "other"),
        (ISSUER, "API"),
        (ISSUER, ISSUER),
    ],
)
def test_a_token_for_or_from_somebody_else_is_refused(issuer: str, audience: str) -> None:
    with pytest.raises(InvalidToken):
        opened(TOKEN, issuer, audience)


def test_a_token_of_another_server_with_the_same_names_is_refused() -> None:
    other = Secrets.derive(b"o" * 32)
    ring = Keyring([new_key(START, first=True, secrets=other, entropy=ENTROPY)], other)
    refused(tokens.mint_access(ACCESS, ring.signer(START)))
    named = SigningKey(KEY.id, START, START, ring.signer(START).jwk)
    refused(tokens.mint_access(ACCESS, named))


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_token_that_lacks_a_claim_is_refused(name: str) -> None:
    refused(signed(HEADER, {key: value for key, value in CLAIMS.items() if key != name}))


@pytest.mark.parametrize("after", [-60, 0, 60, None])
def test_a_token_with_a_beginning_is_refused_though_we_signed_it(after: int | None) -> None:
    """No token of ours has one, so nobody is let in before it (ASVS 9.2.1)."""
    nbf = None if after is None else int(NOW.timestamp()) + after
    refused(signed(HEADER, {**CLAIMS, "nbf": nbf}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aud", ["other"]),
        ("aud", []),
        ("aud", None),
        ("exp", "1"),
        ("exp", 1e308),
        ("exp", 1 << 70),
        ("exp", 1 << 60),
        ("exp", -(1 << 60)),
        ("exp", None),
        ("exp", True),
        ("iat", "now"),
        ("auth_time", [1]),
        ("sub", None),
        ("sub", 7),
        ("sid", {}),
        ("amr", "pwd"),
        ("amr", [1]),
        ("roles", None),
        ("pos", []),
        ("pos", ["epoch", "1.first"]),
        ("pos", ["epoch", "first", 17]),
        ("pos", ["epoch", "1.", 17]),
        ("pos", ["epoch", "-1.first", 17]),
        ("pos", ["epoch", "1.first", "17"]),
        ("pos", ["epoch", 1, 17]),
    ],
)
def test_a_claim_of_another_kind_is_refused(name: str, value: object) -> None:
    refused(signed(HEADER, {**CLAIMS, name: value}))


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"null", b"{", b"\xff\xff", b'{"exp":NaN}', b"[" * 2000],
    ids=lambda payload: str(payload)[:12].replace("\\", "/") + f" of {len(payload)}",
)
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    refused(signed(HEADER, payload))


@pytest.mark.parametrize(
    "token",
    ["", ".", "..", "...", "a.b", "a.b.c.d", TOKEN + ".", "é.é.é", "\ud800..", " " + TOKEN],
    ids=["nothing", "one", "two", "three", "short", "long", "dot", "accents", "surrogate", "space"],
)
def test_text_that_is_no_token_is_refused(token: str) -> None:
    refused(token)


def test_a_token_is_refused_unseen_past_its_longest() -> None:
    looked: list[str] = []

    def find(key_id: str) -> ECKey | None:
        looked.append(key_id)
        return RING.find(key_id)

    long = signed(HEADER, {**CLAIMS, "pad": "x" * 4096})
    with pytest.raises(InvalidToken):
        tokens.open_access(long, find, ISSUER, AUDIENCE)
    assert not looked


def test_one_turned_bit_anywhere_is_refused() -> None:
    for place in range(0, len(TOKEN), 7):
        other = "A" if TOKEN[place] != "A" else "B"
        refused(TOKEN[:place] + other + TOKEN[place + 1 :])


def test_other_tokens_of_ours_are_no_access_tokens() -> None:
    refresh = tokens.new_refresh(ACCESS.session_id, 1, ENTROPY)
    refused(tokens.write_refresh(refresh, SECRETS))
    key_id = new_key_id(START, ENTROPY)
    refused(tokens.new_service_key(key_id, ENTROPY)[0])
    refused(tokens.new_single_use(ENTROPY)[0])


def test_a_refusal_repeats_nothing_of_the_token() -> None:
    with pytest.raises(InvalidToken) as caught:
        opened(signed(HEADER, {**CLAIMS, "sub": ["planted"]}))
    assert "planted" not in str(caught.value)


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
        TOKEN,
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
    ["", "lck_", "lck_k_x_y", TEXT, TOKEN, "lck_k_" + "a" * 26 + "_" + "b" * 44, "\ud800"],
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
