"""What comes in: types, sizes, and JSON that is meant to hurt."""

import gzip
from collections.abc import AsyncIterator

import pytest

from tests.http.serving import Served, faults, problem
from tests.support.nodes import PASSWORD

SIGN_IN = "/api/v1/sign-in"
GOOD = b'{"email":"ada@example.com","password":"correct horse battery"}'


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'],
)
async def test_json_in_utf_8_is_taken(served: Served, kind: str) -> None:
    response = await served.client({"Content-Type": kind}).post(SIGN_IN, content=GOOD)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "text/json",
        "application/json; charset=x",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json, text/plain",
        "application/jsonx",
        "application/problem+json",
    ],
)
async def test_another_type_is_refused_whatever_is_in_it(served: Served, kind: str) -> None:
    response = await served.client({"Content-Type": kind}).post(SIGN_IN, content=GOOD)
    problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, identity", ""])
async def test_a_compressed_body_is_refused_rather_than_read_as_it_is(
    served: Served, coding: str
) -> None:
    bomb = gzip.compress(GOOD + b" " * 10_000_000)
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        client = served.client({"Content-Type": kind, "Content-Encoding": coding})
        for raw in (GOOD, bomb):
            response = await client.post(SIGN_IN, content=raw)
            problem(response, 415, "unsupported_media_type")


async def test_no_type_at_all_is_refused(served: Served) -> None:
    problem(await served.client().post(SIGN_IN, content=GOOD), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"email":"x","password":"y"} x',
        b"\xef\xbb\xbf" + GOOD,
        b"\xff\xfe",
        b'{"email":"\xff","password":"y"}',
        b'{"email":"\\ud800","password":"y"}',
        b'{"email":"\xed\xa0\x80","password":"y"}',
        b'{"email":1, "password"',
        b"[" * 60000,
        b'{"email":' + b"[" * 60000,
        b"[" * 30000 + b"]" * 30000,
        b'{"x":' * 10000 + b"1" + b"}" * 10000,
        b'{"email":"x","password":NaN}',
        b'{"email":"x\x00","password":"y"}',
    ],
    ids=lambda raw: repr(raw[:20] + raw[-14:]),
)
async def test_what_is_no_json_is_unreadable(served: Served, raw: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await served.client(headers).post(SIGN_IN, content=raw)
    problem(response, 400, "invalid_request")
    assert faults(response) == [("", "unreadable")]


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ([], "", "wrong_type"),
        ("x", "", "wrong_type"),
        ({}, "email", "missing"),
        ({"email": "x"}, "password", "missing"),
        ({"email": 1, "password": "x"}, "email", "wrong_type"),
        ({"email": ["x"], "password": "x"}, "email", "wrong_type"),
        ({"email": None, "password": "x"}, "email", "wrong_type"),
        ({"email": "x", "password": {}}, "password", "wrong_type"),
        ({"email": "x", "password": "x" * 1025}, "password", "too_long"),
        ({"email": "x" * 321, "password": "x"}, "email", "too_long"),
        ({"email": "x", "password": "x", "admin": True}, "admin", "unknown"),
        ({"email": "x", "password": "x", "Email": "y"}, "Email", "unknown"),
        ({"email": "x", "password": "x", "client": "service"}, "client", "not_allowed"),
        ({"email": "x", "password": "x", "shared_device": "true"}, "shared_device", "wrong_type"),
    ],
)
async def test_a_wrong_field_is_named(served: Served, body: object, field: str, code: str) -> None:
    response = await served.client().post(SIGN_IN, json=body)
    problem(response, 422, "invalid_request")
    assert faults(response) == [(field, code)]


async def test_a_refusal_repeats_no_value_that_was_sent(served: Served) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD, "client": PASSWORD}
    response = await served.client().post(SIGN_IN, json=body)
    problem(response, 422, "invalid_request")
    assert PASSWORD not in response.text


async def test_a_body_over_64_kib_is_too_large_whether_or_not_it_says_so(served: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield b" " * 1024

    client = served.client({"Content-Type": "application/json"})
    problem(await client.post(SIGN_IN, content=b" " * 65537), 413, "too_large")
    problem(await client.post(SIGN_IN, content=chunks()), 413, "too_large")
    headers = {"Content-Length": "9" * 30}
    problem(await client.post(SIGN_IN, content=b"{}", headers=headers), 413, "too_large")
    padded = GOOD + b" " * (65536 - len(GOOD))
    assert (await client.post(SIGN_IN, content=padded)).status_code == 200


async def test_a_call_without_a_body_takes_an_empty_object_and_nothing_else(
    served: Served,
) -> None:
    native = await served.native()
    path = "/api/v1/sessions/terminate-others"
    assert (await native.post(path, {})).status_code == 200
    response = await native.post(path, {"all": True})
    problem(response, 422, "invalid_request")
    assert faults(response) == [("all", "unknown")]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/terminations/%00",
        "/api/v1/terminations/%ff",
        "/api/v1/terminations/..%2f..%2fetc",
        "/api/v1/terminations/" + "x" * 10000,
        "/api/v1/terminations/t_%0d%0aX:%20y_1",
        "/api/v1/sessions/../session/",
        "//api/v1/session",
        "/api/v1/session/",
        "/api/v2/session",
        "/api/v1",
    ],
)
async def test_a_hostile_or_unknown_path_is_not_found(served: Served, path: str) -> None:
    problem(await (await served.native()).get(path), 404, "not_found")


@pytest.mark.parametrize(
    "query", ["limit=%00", "limit=%ff", "before=%ff%fe", "limit=" + "9" * 5000, "ended=%ed%a0%80"]
)
async def test_a_hostile_query_is_refused(served: Served, query: str) -> None:
    native = await served.native()
    problem(await native.get(f"/api/v1/sessions?{query}"), 422, "invalid_request")


@pytest.mark.parametrize(
    "agent",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "\x1b[31mred",
        "A" * 70000,
        "Mozilla/5.0 (" + "(" * 5000,
        "",
    ],
    ids=lambda agent: agent[:16],
)
async def test_a_hostile_user_agent_signs_in_as_an_unremarkable_device(
    served: Served, agent: str
) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    headers = {"User-Agent": agent, "Sec-CH-UA": agent, "Sec-CH-UA-Platform": agent}
    response = await served.client(headers).post(SIGN_IN, json=body)
    assert response.status_code == 200
    label = response.json()["session"]["device"]["label"]
    assert label.isprintable()
    assert not set("<>\"'\x1b") & set(label)
    assert len(label) < 200
