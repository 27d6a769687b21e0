"""Whatever text comes in, a parser gives a value or the error that it documents."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lastcall import tokens
from lastcall.access import Access, open_access
from lastcall.digests import decode, encode
from lastcall.errors import InvalidRequest, InvalidToken, NotFound, SettingsError
from lastcall.events import Position, Timeline
from lastcall.identity.emails import email_key, parse_email
from lastcall.identity.names import check_name
from lastcall.identity.passwords import check_new_password
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.keys import Keyring, new_key
from lastcall.node import Node
from lastcall.secretfile import Secrets
from lastcall.settings import check_public_url, load
from lastcall.stores.place import sqlite_path
from tests.support.fakes import START, FakeClock, FakeEntropy
from tests.support.nodes import open_node, set_up

SECRETS = Secrets.derive(b"r" * 32)
ENTROPY = FakeEntropy("parsers")
RING = Keyring([new_key(START, first=True, secrets=SECRETS, entropy=ENTROPY)], SECRETS)
ANY = st.text(st.characters(codec=None, exclude_categories=()), max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
ACCESS = Access(
    issuer="iss",
    user_id=UserId("u"),
    client_id="c",
    session_id=SessionId("s"),
    audience="aud",
    issued_at=START.replace(microsecond=0),
    expires_at=START.replace(microsecond=0) + timedelta(hours=1),
    token_id="j",
    auth_time=START.replace(microsecond=0),
    amr=(),
    account_id=AccountId("a"),
    roles=("member",),
    position=Position("e", Timeline(1, "t"), 1),
)
GOOD = tokens.mint_access(ACCESS, RING.signer(START))
REFRESH = tokens.write_refresh(tokens.new_refresh(SessionId("s_c1_x"), 7, ENTROPY), SECRETS)


def mangled(text: str) -> st.SearchStrategy[str]:
    """The text with a piece cut out, doubled or replaced."""

    def mangle(place: int, length: int, instead: str) -> str:
        return text[:place] + instead + text[place + length :]

    return st.builds(mangle, st.integers(0, len(text)), st.integers(0, 6), ANY.map(lambda t: t[:6]))


@given(ANY | mangled(REFRESH))
@example(REFRESH)
def test_a_refresh_token_is_genuine_or_invalid(text: str) -> None:
    if text == REFRESH:
        tokens.parse_refresh(text, SECRETS)
        return
    with pytest.raises(InvalidToken):
        tokens.parse_refresh(text, SECRETS)


@given(ANY | mangled(GOOD))
@example(GOOD)
def test_an_access_token_is_genuine_or_invalid(text: str) -> None:
    try:
        opened = open_access(text, RING.find, "iss", "aud")
    except InvalidToken:
        return
    assert opened == ACCESS


@given(JSON, JSON)
def test_any_header_and_payload_in_an_access_token_are_invalid(
    header: object, payload: object
) -> None:
    parts = [encode(json.dumps(part).encode()) for part in (header, payload)]
    with pytest.raises(InvalidToken):
        open_access(f"{parts[0]}.{parts[1]}.{encode(b's' * 64)}", RING.find, "iss", "aud")


@given(JSON.filter(lambda value: value != "at+jwt"), JSON)
def test_any_type_and_key_id_in_an_access_token_are_invalid(typ: object, kid: object) -> None:
    header = encode(json.dumps({"alg": "ES256", "typ": typ, "kid": kid}).encode())
    _, payload, signature = GOOD.split(".")
    with pytest.raises(InvalidToken):
        open_access(f"{header}.{payload}.{signature}", RING.find, "iss", "aud")


@given(ANY | st.from_regex(r"lck_k_[a-z0-9]{26}_[\w-]{43}", fullmatch=True))
def test_a_service_key_has_its_form_or_is_none(text: str) -> None:
    parsed = tokens.parse_service_key(text)
    assert parsed is None or text.startswith(f"lck_{parsed[0]}_")


@given(ANY | st.from_regex(r"-?[0-9]{0,12}\.?.{0,9}", fullmatch=True))
def test_a_timeline_reads_back_or_is_refused(text: str) -> None:
    try:
        timeline = Timeline.parse(text)
    except ValueError:
        return
    assert Timeline.parse(str(timeline)) == timeline


@given(st.integers(0, 10**9 - 1), st.text(min_size=1))
def test_a_timeline_is_written_and_read_alike(number: int, name: str) -> None:
    assert Timeline.parse(str(Timeline(number, name))) == Timeline(number, name)


@given(st.binary(max_size=70))
def test_base64_is_written_and_read_alike(raw: bytes) -> None:
    assert decode(encode(raw)) == raw


@given(ANY | st.text("AQgw-_=/+ \n", max_size=9))
def test_base64_has_one_spelling(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert encode(decode(text)) == text


@given(ANY | st.emails() | st.emails().flatmap(mangled))
def test_an_address_has_a_key_or_is_refused(text: str) -> None:
    try:
        shown, key = parse_email(text)
    except InvalidRequest:
        assert email_key(text) == ""
        return
    assert key
    assert email_key(text) == email_key(shown) == key
    assert key.encode()
    assert len(shown) <= len(text) * 18


@given(ANY, ANY)
def test_a_new_password_is_good_or_refused(password: str, name: str) -> None:
    with contextlib.suppress(InvalidRequest):
        check_new_password(password, 8, name)
        assert password.encode()


@given(ANY)
def test_a_name_is_good_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidRequest):
        assert check_name(text, "name").encode()


@given(ANY | st.from_regex(r"https?://[\[\]a-z0-9:@.%/?#-]{0,20}", fullmatch=True))
def test_a_public_url_is_good_or_refused(text: str) -> None:
    with contextlib.suppress(SettingsError):
        check_public_url(text)


@given(
    st.dictionaries(
        st.sampled_from(["LEASE", "POLICY", "TRUSTED_PROXIES", "PUBLIC_URL", "AUDIENCE", "NO"]),
        ANY,
    )
)
def test_any_environment_makes_settings_or_is_refused(values: dict[str, str]) -> None:
    with contextlib.suppress(SettingsError):
        load(environ={f"LASTCALL_{name}": value for name, value in values.items()})


@given(ANY | ANY.map(lambda text: "sqlite:///" + text))
def test_a_database_s_address_names_a_file_or_is_refused(text: str) -> None:
    with contextlib.suppress(SettingsError):
        assert sqlite_path(text).name is not None


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Node]]:
    """A node for as many questions as there are."""
    folder: Path = tmp_path_factory.mktemp("node")
    with asyncio.Runner() as loop:
        node = loop.run(open_node(folder, FakeClock(), FakeEntropy()))
        loop.run(set_up(node))
        yield loop, node
        loop.run(node.close())


@settings(max_examples=60)
@given(text=ANY | st.from_regex(r"t_[\w-]{12}_[0-9]{1,30}", fullmatch=True))
def test_a_termination_s_id_is_found_or_is_not(
    runner: tuple[asyncio.Runner, Node], text: str
) -> None:
    loop, node = runner
    with pytest.raises(NotFound):
        loop.run(node.sessions.endings.termination(text, lambda _: True))


@settings(max_examples=60)
@given(text=ANY)
def test_no_text_is_told_of_an_ending(runner: tuple[asyncio.Runner, Node], text: str) -> None:
    loop, node = runner
    assert loop.run(node.sessions.recognise_ended(text)) is None


@settings(max_examples=60)
@given(text=ANY)
def test_no_text_opens_a_link(runner: tuple[asyncio.Runner, Node], text: str) -> None:
    loop, node = runner

    async def tries() -> Any:  # noqa: ANN401
        with pytest.raises(NotFound):
            await node.links.welcome(text, None)
        with pytest.raises(NotFound):
            await node.links.require_setup(text, None)

    loop.run(tries())
