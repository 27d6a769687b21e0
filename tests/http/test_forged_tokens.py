"""Forged, foreign and run-out access tokens at a real endpoint (attacks 1 to 4, 6, 7 and 9)."""

import hmac
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from lastcall.digests import decode, encode
from lastcall.keys import KEPT, LEAD
from lastcall.signing import READ_AGAIN
from tests.http.serving import NOON, Native, Served, problem

Claims = dict[str, Any]
SESSION_PATH = "/api/v1/session"
EVIL = "https://evil.example/keys"
MARK = "claimed-by-a-forger"
"""A claim that no log may repeat."""
ENCODED = [encode(b" " * shift + MARK.encode() + b"   ")[4:-4] for shift in range(3)]
"""What shows the claim in a payload's base64, wherever in it the claim stands."""
NOW = int(NOON.timestamp())
HOUR = 3600
OWN = ECKey.generate_key("P-256")
BROUGHT: Claims = {"jwk": OWN.as_dict(private=False), "jku": EVIL, "x5u": EVIL, "x5c": ["MIIB"]}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a token says makes the server ask anybody."""

    def refuse(*_arguments: object, **_named: object) -> None:
        raise AssertionError("an outbound request was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class Forger:
    """Makes tokens from a good one, with the server's own key where a test needs it."""

    def __init__(self, served: Served, native: Native, key: ECKey) -> None:
        self.served, self.native, self.key = served, native, key
        header, payload, self.signature = native.access.split(".")
        self.header: Claims = json.loads(decode(header))
        self.claims: Claims = {**json.loads(decode(payload)), "jti": MARK}

    def body(self, header: Claims, claims: object = None) -> str:
        payload = claims if isinstance(claims, str) else json.dumps(claims or self.claims)
        return f"{encode(json.dumps(header).encode())}.{encode(payload.encode())}"

    def sign(self, header: Claims, claims: object = None, key: ECKey | None = None) -> str:
        body = self.body(header, claims)
        algorithm = JWSRegistry.algorithms["ES256"]
        return f"{body}.{encode(algorithm.sign(body.encode(), key or self.key))}"

    async def answer(self, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (await self.served.client().get(SESSION_PATH, headers=headers)).status_code

    async def refused(self, token: str, code: str = "token_invalid") -> None:
        headers = {"Authorization": f"Bearer {token}"}
        problem(await self.served.client().get(SESSION_PATH, headers=headers), 401, code)
        cookie = {"Cookie": f"lastcall-access={token}", "Sec-Fetch-Site": "same-origin"}
        problem(await self.served.client().get(SESSION_PATH, headers=cookie), 401, code)


@pytest.fixture
async def forger(served: Served) -> Forger:
    native = await served.native()
    return Forger(served, native, (await served.node.signing.signer()).jwk)


@pytest.fixture(autouse=True)
def silent(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No claim of a payload stands in a log."""
    with caplog.at_level(logging.DEBUG):
        yield
    # What a fixture's end is shown as `caplog.text` is its own phase's.
    said = "\n".join(map(logging.Formatter().format, caplog.get_records("call")))
    assert not [spelled for spelled in (MARK, *ENCODED) if spelled in said]


async def test_the_forger_s_own_tool_makes_a_token_that_is_taken(forger: Forger) -> None:
    """Else all that follows would prove nothing."""
    assert await forger.answer(forger.sign(forger.header)) == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None], ids=repr)
async def test_a_token_without_a_signature_is_refused(forger: Forger, alg: object) -> None:
    body = forger.body({**forger.header, "alg": alg})
    for token in (body, f"{body}.", f"{body}.{forger.signature}"):
        await forger.refused(token)


@pytest.mark.parametrize("bits", ["256", "384", "512"])
async def test_the_public_key_is_no_shared_secret(forger: Forger, bits: str) -> None:
    body = forger.body({**forger.header, "alg": f"HS{bits}"})
    public = forger.key
    published = (await forger.served.client().get("/.well-known/jwks.json")).content
    jwk = json.dumps(public.as_dict(private=False)).encode()
    pem, der = public.as_pem(private=False), public.as_der(private=False)
    for secret in (pem, der, jwk, published):
        mac = hmac.digest(secret, body.encode(), f"sha{bits}")
        await forger.refused(f"{body}.{encode(mac)}")


async def test_a_signature_of_another_key_or_payload_is_none(forger: Forger) -> None:
    await forger.refused(forger.sign(forger.header, key=OWN))
    await forger.refused(f"{forger.body(forger.header)}.{forger.signature}")


@pytest.mark.parametrize("name", BROUGHT)
async def test_a_key_that_the_header_brings_is_not_used(forger: Forger, name: str) -> None:
    for kid in (forger.header["kid"], OWN.thumbprint()):
        header = {**forger.header, "kid": kid, name: BROUGHT[name]}
        await forger.refused(forger.sign(header, key=OWN))
    await forger.refused(forger.sign({**forger.header, name: BROUGHT[name]}))


@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "' OR 1=1 --", "", "unknown", 7, True, None, [], {}, "x" * (1 << 20)],
    ids=lambda kid: repr(kid)[:20],
)
async def test_a_key_id_of_any_other_kind_finds_no_key(forger: Forger, kid: object) -> None:
    for key in (forger.key, OWN):
        await forger.refused(forger.sign({**forger.header, "kid": kid}, key=key))


@pytest.mark.parametrize(
    "typ",
    ["JWT", "AT+JWT", "", None, "id+jwt", "secevent+jwt", "logout+jwt", "dbsc+jwt", ["at+jwt"], 1],
    ids=repr,
)
async def test_a_token_of_another_type_is_refused_though_we_signed_it(
    forger: Forger, typ: object
) -> None:
    await forger.refused(forger.sign({**forger.header, "typ": typ}))


async def test_a_token_without_a_type_is_refused_though_we_signed_it(forger: Forger) -> None:
    await forger.refused(forger.sign({"alg": "ES256", "kid": forger.header["kid"]}))


async def test_other_secrets_of_ours_are_no_access_tokens(forger: Forger) -> None:
    await forger.refused(forger.native.refresh)
    headers = {"Authorization": f"Bearer {await forger.served.key('sessions', 'verify')}"}
    response = await forger.served.client().get(SESSION_PATH, headers=headers)
    problem(response, 401, "token_invalid")


@pytest.mark.parametrize("name", ["iss", "aud"])
async def test_a_token_from_or_for_somebody_else_is_refused(forger: Forger, name: str) -> None:
    good = forger.claims[name]
    others = [f"{good}/", good.upper(), f"{good}:8443", "", None, 1, ["x"], [good, "x"], [good]]
    for other in others:
        await forger.refused(forger.sign(forger.header, {**forger.claims, name: other}))
    lacking = {key: value for key, value in forger.claims.items() if key != name}
    await forger.refused(forger.sign(forger.header, lacking))


async def test_a_session_that_this_server_does_not_know_is_nobody_s(forger: Forger) -> None:
    for other in ("s_c1_elsewhere", "", forger.claims["sub"]):
        await forger.refused(forger.sign(forger.header, {**forger.claims, "sid": other}))


async def test_a_key_that_has_gone_signs_nothing_any_more(forger: Forger) -> None:
    """Also for who has kept it, and with times that are still good."""
    served = forger.served
    await served.node.signing.rotate()
    served.clock.advance(seconds=(KEPT + 2 * LEAD + 2 * READ_AGAIN).total_seconds() + HOUR)
    again = await served.native()
    later = Forger(served, again, (await served.node.signing.signer()).jwk)
    assert await later.answer(later.sign(later.header)) == 200
    await later.refused(later.sign({**later.header, "kid": forger.header["kid"]}, key=forger.key))


async def test_a_token_that_has_not_begun_is_refused_though_we_signed_it(forger: Forger) -> None:
    await forger.refused(forger.sign(forger.header, {**forger.claims, "nbf": NOW + 60}))


@pytest.mark.parametrize(
    "exp", ["null", '"9999999999"', "1e308", "1e400", "-1e308", "NaN", "Infinity", "[]", "true"]
)
async def test_an_end_that_is_no_time_is_refused(forger: Forger, exp: str) -> None:
    payload = json.dumps({**forger.claims, "exp": "?"}).replace('"?"', exp)
    await forger.refused(forger.sign(forger.header, payload))


async def test_a_token_without_an_end_is_refused(forger: Forger) -> None:
    lacking = {key: value for key, value in forger.claims.items() if key != "exp"}
    await forger.refused(forger.sign(forger.header, lacking))


@pytest.mark.parametrize(("exp", "taken"), [(1, True), (0, False), (-1, False), (-NOW - 1, False)])
async def test_a_token_is_taken_until_its_end_and_not_at_it(
    forger: Forger, exp: int, taken: bool
) -> None:
    token = forger.sign(forger.header, {**forger.claims, "exp": NOW + exp})
    if taken:
        assert await forger.answer(token) == 200
    else:
        await forger.refused(token, "token_expired")
