"""Access tokens: what is minted, what opens, and every forgery that doesn't."""

import hmac
import json
import socket
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from lastcall import tokens
from lastcall.access import Access, open_access, public_key_of
from lastcall.digests import decode, encode
from lastcall.errors import InvalidToken
from lastcall.events import Position, Timeline
from lastcall.ids import AccountId, SessionId, UserId, new_key_id
from lastcall.keys import Keyring, SigningKey, new_key
from lastcall.secretfile import Secrets
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
    return open_access(token, RING.find, issuer, audience)


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


def test_a_signature_is_as_jose_wants_it_also_where_a_number_begins_with_zeros() -> None:
    """As one in 256 does, so that this looks at some hundreds of signatures for each."""
    found: set[int] = set()
    for number in count():
        token = tokens.mint_access(msgspec.structs.replace(ACCESS, token_id=str(number)), KEY)
        assert jws.deserialize_compact(token, KEY.jwk, registry=ALL_ALGORITHMS).payload
        signature = decode(token.rpartition(".")[2])
        assert len(signature) == 64
        found |= {at for at in (0, 32) if signature[at] == 0}
        if len(found) == 2:
            return


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
        open_access(TOKEN, lambda _: None, ISSUER, AUDIENCE)


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

    def find(key_id: str) -> EllipticCurvePublicKey | None:
        looked.append(key_id)
        return RING.find(key_id)

    long = signed(HEADER, {**CLAIMS, "pad": "x" * 4096})
    with pytest.raises(InvalidToken):
        open_access(long, find, ISSUER, AUDIENCE)
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


def test_a_signature_has_one_length_and_two_numbers_that_are_not_nought() -> None:
    """Nought for both is what a careless reader takes for every text."""
    body, _, signature = TOKEN.rpartition(".")
    raw_signature = decode(signature)
    for other in (
        b"",
        b"\0" * 64,
        raw_signature[:-1],
        raw_signature + b"\0",
        b"\0" + raw_signature,
        raw_signature[:32] + b"\0" * 32,
        b"\0" * 32 + raw_signature[32:],
        b"\xff" * 64,
    ):
        refused(f"{body}.{encode(other)}")


def test_each_part_has_one_spelling_only() -> None:
    """Padding, spaces, the other alphabet and spare bits are ways to write a token twice."""
    header, payload, signature = TOKEN.split(".")
    for other in (f"{signature}=", f"{signature}==", f" {signature}", f"{signature}\n"):
        refused(f"{header}.{payload}.{other}")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
    refused(f"{header}.{payload}.{twin}")
    for part in (header, payload):
        for spelt in (f"{part}=", part + "!", "\n" + part):
            body = TOKEN.replace(part, spelt)
            refused(body)


def test_nothing_of_a_payload_is_read_before_its_signature() -> None:
    """A forger's JSON meets no parser."""
    refused(raw(HEADER, signature=b"s" * 64))
    body = f"{encode(json.dumps(HEADER).encode())}.{encode(b'[' * 2000)}"
    refused(f"{body}.{encode(b's' * 64)}")


# Keys

JWK = RING.jwks()[0]


def test_a_public_key_reads_as_the_key_set_gives_it() -> None:
    assert public_key_of(JWK) == RING.find(KEY.id)


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "RSA"},
        {"kty": "oct"},
        {"crv": "P-384"},
        {"crv": None},
        {"x": None},
        {"y": 7},
        {"x": ""},
        {"x": "A" * 43},
        {"y": "A" * 43},
        {"x": "A" * 200},
        {"x": "\ud800"},
        {"y": "another key's"},
    ],
    ids=str,
)
def test_a_key_of_another_kind_or_off_the_curve_is_refused(change: dict[str, object]) -> None:
    if change == {"y": "another key's"}:
        change = {"y": JWK["x"]}
    with pytest.raises(ValueError, match="not a public key"):
        public_key_of({**JWK, **change})
