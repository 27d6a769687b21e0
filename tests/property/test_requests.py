"""Whatever bytes a request is made of, the server answers it, and is never at fault (attack 80)."""

import asyncio
import json
import logging
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lastcall.credentials import SAFE
from lastcall.device.model import HINT_HEADERS
from lastcall.digests import encode
from lastcall.http.bodies import LIMIT
from lastcall.http.endpoint import AnyEndpoint
from lastcall.identity.model import User
from lastcall.node import Node
from lastcall.server import ENDPOINTS, create_app
from tests.support.asking import Answer, Asker
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import PASSWORD, add_user, open_node, set_up, sign_in

SESSION = b"/api/v1/session"
FEW = settings(max_examples=40)
JSON_TYPE = (b"content-type", b"application/json")
FORM_TYPE = (b"content-type", b"application/x-www-form-urlencoded")
OWN_SITE = (b"sec-fetch-site", b"same-origin")
COOKIES = (b"lastcall-access", b"lastcall-refresh", b"lastcall-device", b"lastcall-renewed")
STREAM = "/live"
"""Never ends by itself."""


@dataclass(frozen=True)
class Stage:
    """A server with pages, an owner, and a member whom paths may name."""

    ask: Asker
    node: Node
    clock: FakeClock
    loop: asyncio.Runner
    owner: User
    member: str
    key: tuple[bytes, bytes]
    """A service's Authorization header."""
    numbers: Iterator[int] = field(default_factory=count)

    def token(self) -> bytes:
        """Sign the owner in: what was asked before may have ended her session, or have guessed her
        password too often for now."""
        self.clock.advance(hours=1)
        return self.loop.run(sign_in(self.node)).access_token.encode()

    def speaks(self, one: AnyEndpoint) -> tuple[bytes, bytes]:
        """Give the Authorization header of who may make a call."""
        return self.key if one.caller.schemes == ("service",) else self.bearer()

    def bearer(self) -> tuple[bytes, bytes]:
        return b"authorization", b"Bearer " + self.token()

    def cookie(self) -> tuple[bytes, bytes]:
        return b"cookie", b"lastcall-access=" + self.token()

    def path(self, one: AnyEndpoint) -> bytes:
        member = self.member
        if one.method == "DELETE" or one.path.endswith("/remove"):
            email = f"gone-{next(self.numbers)}@example.com"
            member = self.loop.run(add_user(self.node, self.owner, email)).id
        return one.path.replace("{id}", member).replace("{sid}", "s_c1_x").encode()


class Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("node")
    errors = Errors()
    logging.getLogger().addHandler(errors)
    with asyncio.Runner() as loop:
        clock = FakeClock()
        node = loop.run(open_node(folder, clock, FakeEntropy()))
        owner = loop.run(set_up(node)).user
        member = loop.run(add_user(node, owner, "mia@example.com"))
        app = create_app(node.settings, node=node)
        _, key = loop.run(node.services.create(owner.account_id, "shop", ("sessions", "verify")))
        shown = b"authorization", b"Bearer " + key.encode()
        yield Stage(Asker(app, loop), node, clock, loop, owner, member.id, shown)
        loop.run(node.close())
    logging.getLogger().removeHandler(errors)
    assert errors.seen == []


def names(kind: type[Any] | None) -> list[str]:
    return [field.name for field in msgspec.structs.fields(kind)] if kind else []


def chosen(form: bool) -> dict[str, AnyEndpoint]:
    return {
        f"{one.method} {one.path}": one
        for one in ENDPOINTS
        if one.method not in SAFE and one.reads_body and (one.page or one.oauth) == form
    }


CALLS, FORMS = chosen(form=False), chosen(form=True)
READS = {one.path: one for one in ENDPOINTS if one.method == "GET" and STREAM not in one.path}
PLACES = {f"{one.method} {one.path}": one for one in ENDPOINTS if "{" in one.path and not one.page}

# Values


HARD = st.sampled_from(
    [
        *(b"", b"0", b"-1", b"0.5", b"1e400", b"-1e400", b"NaN", b"nan", b"inf", b"9" * 400),
        *(b"253402300800", b"true", b"null", b"\0", b"\xff", b"%", b"%0", b"%00", b"%ff", b"+"),
        *(b"%ed%a0%80", b"\xed\xa0\x80", b"9999-12-31T23:59:59-23:59"),
        *(b"0001-01-01T00:00:00%2b23:59", b"../..", b"' OR 1=1 --", b"a," * 500, b"," * 9),
        *(b"[]", b"{}", b"u_", b"t_x_1", b"x" * 9000),
    ]
)  # fmt: skip
CURSOR = st.builds(
    lambda kind, place: encode(f"{kind}:{place}".encode()).encode(),
    st.sampled_from(["sessions", "users", "records", "keys", "services", "x"]),
    st.sampled_from(["", "0", "1.x", "9" * 18, "9" * 18 + ".s_c1_x", "-1", "u_x", "x" * 120]),
)
VALUE = HARD | CURSOR | st.binary(max_size=30)
LINE = st.binary(max_size=200).map(lambda raw: raw.translate(None, b"\r\n"))
"""What a header may hold: any bytes but the ends of lines, which no parser lets through."""
HARD_JSON = st.sampled_from(
    [
        *("1e400", "-1e400", "NaN", "9" * 5000, "-0", "0.1", '"\\ud800"', '"\\udc00\\ud800"'),
        *('"\\u0000"', '"a\\u0000b"', '""', '" "', '"\\u202e"', "[]", "{}", "[[]]", "null", "true"),
        *('{"a":1,"a":2}', '["verify","verify"]', '["admin"]', '"' + "x" * 9000 + '"'),
        *("[" * 10_000, "[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000),
    ]
)
ANY_JSON = HARD_JSON | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=9,
).map(json.dumps)


@st.composite
def objects(draw: st.DrawFn, fields: list[str]) -> bytes:
    """JSON objects of declared and other fields, some of them twice."""
    name = st.sampled_from([*fields, "other", "\0", "__proto__"])
    pairs = draw(st.lists(st.tuples(name, ANY_JSON), max_size=5))
    text = ",".join(f"{json.dumps(key)}:{value}" for key, value in pairs)
    return f"{{{text}}}".encode("utf-8", "surrogatepass")


@st.composite
def pairs(draw: st.DrawFn, fields: list[str]) -> bytes:
    """Forms or queries of declared and other fields, some of them twice."""
    name = st.sampled_from([*(field.encode() for field in fields), b"other", b"", b"%00"])
    found = draw(st.lists(st.tuples(name, VALUE), max_size=6))
    mark = draw(st.sampled_from([b"&", b"&&", b";", b"&=&"]))
    return mark.join(key + b"=" + value for key, value in found)


# Requests


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(sorted(CALLS)))
def test_any_json_is_taken_or_refused(stage: Stage, data: st.DataObject, name: str) -> None:
    one = CALLS[name]
    raw = data.draw(objects(names(one.body)) | ANY_JSON.map(str.encode) | st.binary(max_size=60))
    headers = [stage.speaks(one), JSON_TYPE]
    stage.ask(one.method, stage.path(one), headers, raw).expect_sound()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b'{"name":1e400}',
        b'{"name":"\\ud800"}',
        b'{"\xed\xa0\x80":1}',
        b"\xff",
    ],
    ids=lambda raw: str(raw[:16]),
)
def test_json_that_is_none_is_refused_by_every_call(stage: Stage, name: str, raw: bytes) -> None:
    one = CALLS[name]
    answer = stage.ask(one.method, stage.path(one), [stage.speaks(one), JSON_TYPE], raw)
    assert answer.expect_sound().status in (400, 422)


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(sorted(FORMS)))
def test_any_form_is_taken_or_refused(stage: Stage, data: st.DataObject, name: str) -> None:
    one = FORMS[name]
    raw = data.draw(pairs(names(one.body)) | st.binary(max_size=60))
    speaks = stage.cookie() if one.page else stage.key
    headers = [speaks, FORM_TYPE, OWN_SITE]
    stage.ask(one.method, stage.path(one), headers, raw).expect_sound()


@settings(max_examples=200)
@given(data=st.data(), path=st.sampled_from(sorted(READS)))
def test_any_query_is_taken_or_refused(stage: Stage, data: st.DataObject, path: str) -> None:
    one = READS[path]
    query = data.draw(pairs(names(one.query)) | st.binary(max_size=60))
    speaks = stage.cookie() if one.page else stage.bearer()
    target = stage.path(one) + b"?" + query
    stage.ask("GET", target, [speaks, OWN_SITE]).expect_sound()


@FEW
@given(name=st.sampled_from(sorted(PLACES)), raw=st.binary(min_size=1, max_size=20))
def test_any_path_names_something_or_nothing(stage: Stage, name: str, raw: bytes) -> None:
    one = PLACES[name]
    place = "".join(f"%{byte:02x}" for byte in raw)
    target = one.path.replace("{id}", place).replace("{sid}", place).encode()
    answer = stage.ask(one.method, target, [stage.bearer(), JSON_TYPE], b"{}").expect_sound()
    assert answer.status >= 400


@given(
    shown=LINE | LINE.map(lambda raw: b"Bearer " + raw) | VALUE.map(lambda raw: b"bearer " + raw)
)
@example(b"")
@example(b"Bearer")
@example(b"Bearer  ")
@example(b"Bearer lck_")
@example(b"Bearer " + b"." * 8192)
@example(b"Basic YTpi")
def test_no_text_in_the_authorization_header_is_anybody(stage: Stage, shown: bytes) -> None:
    headers = [(b"authorization", shown)]
    assert refused(stage.ask("GET", SESSION, headers))
    assert refused(stage.ask("GET", b"/metrics", headers))


COOKIE = st.lists(
    st.builds(
        lambda name, mark, value: name + mark + value,
        st.sampled_from([*COOKIES, b"$Version", b"$Path", b"", b"__Host-lastcall-access"]),
        st.sampled_from([b"=", b" = ", b"", b"=="]),
        LINE | VALUE.map(lambda raw: raw.translate(None, b"\r\n")) | st.just(b'"x"'),
    ),
    max_size=5,
).map(b"; ".join)


@given(lines=st.lists(COOKIE | LINE, min_size=1, max_size=3))
@example([b"lastcall-access="])
@example([b"lastcall-access=; lastcall-refresh=; lastcall-device="])
@example([b'$Version=1; lastcall-access="x"; $Path=/'])
@example([b"lastcall-access=x", b"lastcall-access=y"])
@example([b"a=" + b"b" * 8192])
@example([b"lastcall-access=" + b"b" * 8192])
@example([b";" * 8192])
def test_no_text_in_cookies_is_anybody(stage: Stage, lines: list[bytes]) -> None:
    headers = [*((b"cookie", line) for line in lines), OWN_SITE]
    assert refused(stage.ask("GET", SESSION, headers))
    assert refused(stage.ask("POST", b"/api/v1/refresh", headers))
    assert stage.ask("POST", b"/api/v1/sign-out", headers).status == 204
    page = stage.ask("GET", b"/settings/sessions", headers).expect_sound()
    assert (page.status, page.headers[b"location"][:5]) in ((303, b"/sign"), (303, b"/rene"))
    assert stage.ask("GET", b"/sign-in", headers).expect_sound().status == 200


HINTS = st.dictionaries(
    st.sampled_from(["user-agent", "accept-language", "accept", "origin", *HINT_HEADERS]),
    LINE
    | st.sampled_from([b'"a";v="1"', b'"' * 300, b"(" * 5000, b'"\\', b"?1", b"Mozilla/5.0 ("]),
)


@FEW
@given(hints=HINTS)
def test_whoever_knows_the_password_signs_in_whatever_their_browser_calls_itself(
    stage: Stage, hints: dict[str, bytes]
) -> None:
    stage.clock.advance(hours=1)
    headers = [(name.encode(), value) for name, value in hints.items()]
    body = json.dumps({"email": "ada@example.com", "password": PASSWORD}).encode()
    answer = stage.ask("POST", b"/api/v1/sign-in", [*headers, JSON_TYPE], body)
    assert answer.status == 200 or answer.code == "csrf_failed"
    assert stage.ask("GET", b"/sign-in", headers).expect_sound().status == 200


def refused(answer: Answer) -> bool:
    """Tell whether it is the answer to somebody who is nobody."""
    answer.expect_sound()
    return answer.status == 401 or (answer.status, answer.code) == (400, "invalid_request")


# Memory


FULL = {
    "deep": b"[" * LIMIT,
    "empty objects": (b"[" + b"{}," * LIMIT)[:LIMIT - 3] + b"{}]",
    "numbers": (b"[" + b"1," * LIMIT)[:LIMIT - 3] + b"11]",
    "escapes": b'{"email":"' + b"\\u0041" * ((LIMIT - 20) // 6) + b'"}',
    "many names": b"{" + b",".join(b'"%d":1' % n for n in range(7300)) + b"}",
}  # fmt: skip


@pytest.mark.parametrize("raw", FULL.values(), ids=FULL)
def test_a_full_body_takes_less_than_50_mib(stage: Stage, raw: bytes) -> None:
    form = b"password=" + b"%41" * (LIMIT // 3 - 9)
    assert LIMIT * 0.9 < len(raw) <= LIMIT
    tracemalloc.start()
    try:
        assert stage.ask("POST", b"/api/v1/sign-in", [JSON_TYPE], raw).status in (400, 422)
        page = stage.ask("POST", b"/sign-in", [FORM_TYPE, OWN_SITE], form)
        assert page.expect_sound().status >= 400
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * 1024 * 1024
