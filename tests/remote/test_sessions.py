"""`lastcall.Sessions`: an application begins and ends sessions of users whom it signs in itself."""

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

import lastcall
from lastcall.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    SettingsError,
    TokenMissing,
    Unavailable,
)
from lastcall.events import SYSTEM
from lastcall.http.app import App
from lastcall.identity.services import Services
from lastcall.node import Node
from lastcall.remote.asking import LARGEST
from lastcall.server import create_app
from tests.support import servers
from tests.support.answering import answering, http
from tests.support.nodes import set_up

KEY = "lck_planted-in-a-test"
NOBODY = "http://127.0.0.1:9"
CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
BROWSER = lastcall.Client(
    ip="81.2.69.142", user_agent=CHROME, headers={"Sec-CH-UA-Platform": '"Windows"'}
)
NATIVE = lastcall.Client(type="native")


@dataclass
class World:
    """A server, and a key of its only account for sessions."""

    url: str
    key: str

    @property
    def sessions(self) -> lastcall.Sessions:
        return lastcall.Sessions(self.url, key=self.key)

    def own(self, token: str) -> httpx.Response:
        """Ask for a token's own session."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{self.url}/api/v1/session", headers=headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("asked")
    servers.add_owner(folder)
    key, _ = servers.new_key(folder, "sessions")
    with servers.serving(folder) as server:
        yield World(server.url, key)


def test_a_browsers_session_begins_with_the_cookies_to_set_there(world: World) -> None:
    started = world.sessions.start(
        "42", client=BROWSER, email="joe@shop.test", name="Joe", amr=("pwd",)
    )
    assert (started.access_token, started.refresh_token) == (None, None)
    assert (started.expires_in, started.refresh_expires_in) == (3600, 86400)
    cookies = {one.name: one.value for one in started.cookies}
    assert list(cookies) == ["lastcall-access", "lastcall-refresh", "lastcall-device"]
    found = httpx.get(f"{world.url}/api/v1/session", cookies=cookies).json()
    assert found["id"] == started.session_id
    assert found["device"]["label"] == "Chrome on Windows"
    assert (found["ip"], found["amr"]) == ("81.2.69.142", ["pwd"])
    user = found["user"]
    assert (user["id"], user["external_id"], user["name"]) == (started.user_id, "42", "Joe")


def test_a_native_clients_session_begins_with_tokens(world: World) -> None:
    started = world.sessions.start("43", client=NATIVE)
    assert started.cookies == ()
    assert started.access_token is not None
    assert world.own(started.access_token).json()["client_type"] == "native"


def test_nothing_of_what_has_begun_is_printed(world: World) -> None:
    for client in (BROWSER, NATIVE):
        started = world.sessions.start("44", client=client)
        secrets = [one.value for one in started.cookies]
        secrets += [token for token in (started.access_token, started.refresh_token) if token]
        assert secrets
        for shown in (repr(started), repr(started.cookies), str(started)):
            assert not [one for one in secrets if one in shown]


def test_one_session_is_ended_and_told_of_again(world: World) -> None:
    sessions = world.sessions
    started = sessions.start("45", client=NATIVE)
    assert started.access_token is not None
    first, again = sessions.end(started.session_id), sessions.end(started.session_id)
    assert (first.ended, first.confirmed, again.ended, again.id) == (1, True, 0, first.id)
    refused = world.own(started.access_token).json()
    assert (refused["code"], refused["reason"]) == ("session_ended", "terminated_by_service")


def test_all_sessions_of_a_user_are_ended_and_nobody_elses(world: World) -> None:
    sessions = world.sessions
    one, two, other = (sessions.start(who, client=NATIVE) for who in ("46", "46", "47"))
    assert sessions.logout("46").ended == 2
    answered = [world.own(started.access_token or "").status_code for started in (one, two, other)]
    assert answered == [401, 401, 200]


def test_all_of_it_can_be_awaited(world: World) -> None:
    async def live() -> list[int]:
        sessions = world.sessions
        one, two = [await sessions.astart("48", client=NATIVE) for _ in range(2)]
        return [(await sessions.aend(one.session_id)).ended, (await sessions.alogout("48")).ended,
                (await sessions.aend(two.session_id)).ended]  # fmt: skip

    assert asyncio.run(live()) == [1, 1, 0]


def test_threads_share_one(world: World) -> None:
    sessions, found = world.sessions, []

    def begin(number: int) -> None:
        found.append(sessions.start(f"49-{number}", client=NATIVE).session_id)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(found)) == 8


@pytest.mark.parametrize("external_id", ["50 / ?#%", "Zoë", "\U0001d11e" * 200])
def test_any_printable_id_names_its_user(world: World, external_id: str) -> None:
    started = world.sessions.start(external_id, client=NATIVE)
    assert world.own(started.access_token or "").json()["user"]["external_id"] == external_id
    assert world.sessions.logout(external_id).ended == 1


# What is refused.


@pytest.mark.parametrize("external_id", ["", " 7", "7\n", "x" * 201, "\ud800"])
def test_an_id_that_is_none_is_refused_by_name(world: World, external_id: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        world.sessions.start(external_id, client=NATIVE)
    assert error.value.errors[0].field.startswith("user")


def test_who_never_had_a_session_cannot_be_logged_out(world: World) -> None:
    for external_id in ("never", "x" * 200):
        with pytest.raises(NotFound):
            world.sessions.logout(external_id)


@pytest.mark.parametrize(
    "session_id", ["s_unknown", "", "../users", "s_one?wait=0", "s_one/../../x", "s one", "\ud800"]
)
def test_what_is_no_session_is_not_found(world: World, session_id: str) -> None:
    with pytest.raises(NotFound):
        world.sessions.end(session_id)


def test_a_key_that_is_not_in_force_says_so_and_is_not_printed(world: World) -> None:
    key = world.key[:-4] + "AAAA"
    with pytest.raises(SettingsError, match="not in force") as error:
        lastcall.Sessions(world.url, key=key).start("1", client=NATIVE)
    assert key not in str(error.value)


@pytest.mark.parametrize(
    ("addresses", "key"),
    [
        ((), KEY),
        (("http://example.com",), KEY),
        (("https://id..example.com",), KEY),
        ((f"https://{'a' * 64}.example.com",), KEY),
        ((NOBODY,), "x"),
        ((NOBODY,), "lck_a\r\nX: y"),
    ],
)
def test_what_cannot_be_asked_is_refused_at_once(addresses: tuple[str, ...], key: str) -> None:
    with pytest.raises(SettingsError):
        lastcall.Sessions(*addresses, key=key)


# Servers that are away, broken or overloaded.


def test_a_server_that_cannot_be_reached_is_passed_over(world: World) -> None:
    sessions = lastcall.Sessions(NOBODY, world.url, key=world.key)
    assert sessions.start("51", client=NATIVE).access_token


def test_a_server_that_has_changed_nothing_is_passed_over(world: World) -> None:
    away = http(b'{"code": "unavailable"}', "503 Service Unavailable", "application/problem+json")
    with answering(away) as (port, asked):
        sessions = lastcall.Sessions(f"http://127.0.0.1:{port}", world.url, key=world.key)
        assert sessions.start("52", client=NATIVE).access_token
        assert len(asked) == 1


def test_where_nobody_answers_that_is_said(world: World) -> None:
    with pytest.raises(Unavailable, match=re.escape(f"{NOBODY} can't be reached")):
        lastcall.Sessions(NOBODY, key=KEY).start("1", client=NATIVE)


def test_what_may_have_been_done_is_not_asked_of_another_server(world: World) -> None:
    with answering(b"") as (port, asked):
        sessions = lastcall.Sessions(f"http://127.0.0.1:{port}", world.url, key=world.key)
        with pytest.raises(Unavailable, match="may have been done"):
            sessions.start("53", client=NATIVE)
        assert len(asked) == 1
    with pytest.raises(NotFound):
        world.sessions.logout("53")


ELSEWHERE = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x00\xff" * 100,
        ELSEWHERE,
        http(b"oops", "500 Oops"),
        http(b"{}"),
        http(b'{"expires_in": tr'),
        http(b"[" * 50000),
        http(b'"\xff"'),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b" " * (2 * LARGEST),
    ],
    ids=["no HTTP", "a redirect", "broken", "empty", "cut", "nested", "no UTF-8", "endless"],
)
def test_what_is_no_answer_is_unavailable(wrong: bytes) -> None:
    with answering(wrong) as (port, _):
        sessions = lastcall.Sessions(f"http://127.0.0.1:{port}", key=KEY)
        with pytest.raises(Unavailable) as error:
            sessions.start("1", client=NATIVE)
        assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("status", "problem", "kind"),
    [
        ("403 Forbidden", {"code": "forbidden", "detail": "the user is suspended"}, Forbidden),
        ("409 Conflict", {"code": "conflict", "detail": "it moved"}, Conflict),
        ("429 Too Many", {"code": "rate_limited", "detail": "slowly"}, RateLimited),
        ("418 I'm a teapot", {"code": "teapot", "detail": "tea"}, Unavailable),
    ],
)
def test_a_refusal_is_raised_as_what_it_is(
    status: str, problem: dict[str, Any], kind: type[lastcall.Error]
) -> None:
    raw = http(json.dumps(problem).encode(), status, "application/problem+json")
    with answering(raw) as (port, _):
        sessions = lastcall.Sessions(f"http://127.0.0.1:{port}", key=KEY)
        with pytest.raises(kind) as error:
            sessions.end("s_one")
    assert error.type is kind
    assert kind is RateLimited or str(error.value) == problem["detail"]


@pytest.mark.parametrize(("said", "wait"), [("7", 7), ("soon", 1), ("9" * 5000, 1)], ids=range(3))
def test_who_is_to_wait_is_told_for_how_long(said: str, wait: int) -> None:
    status = f"429 Too Many\r\nRetry-After: {said}"
    with answering(http(b'{"code": "rate_limited"}', status)) as (port, _):
        with pytest.raises(RateLimited) as error:
            lastcall.Sessions(f"http://127.0.0.1:{port}", key=KEY).end("s_one")
        assert error.value.retry_after == wait


def test_tls_is_verified(world: World, tmp_path: Path) -> None:
    authority = trustme.CA()

    served, trusting = (ssl.create_default_context(purpose) for purpose in (
        ssl.Purpose.CLIENT_AUTH, ssl.Purpose.SERVER_AUTH))  # fmt: skip
    authority.issue_cert("localhost").configure_cert(served)
    authority.configure_trust(trusting)
    done = http(b'{"id": "t_1", "ended": 1, "state": "confirmed", "certain_in": null}')
    with answering(done, served) as (port, asked):
        url = f"https://localhost:{port}"
        with pytest.raises(Unavailable, match="SSLCertVerificationError"):
            lastcall.Sessions(url, key=KEY).end("s_one")
        assert lastcall.Sessions(url, key=KEY, ssl_context=trusting).end("s_one").ended == 1
        assert asked == [one for one in asked if one.startswith(b"DELETE ")]


# In the process of the server.


@pytest.fixture
async def mounted(node: Node) -> AsyncIterator[App]:
    """A server that an application has mounted under a path."""
    await set_up(node)
    app = create_app(node.settings, node=node)
    yield app
    await app.close()


async def test_within_the_servers_process_it_is_the_same_without_a_network(
    mounted: App, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    sessions = mounted.sessions()
    started = await sessions.astart("7", client=NATIVE)
    session = await mounted.verifier.averify(started.access_token or "")
    assert (session.id, session.external_id) == (started.session_id, "7")
    assert (await sessions.aend(started.session_id)).ended == 1
    await sessions.astart("7", client=BROWSER)
    assert (await sessions.alogout("7")).ended == 1
    with pytest.raises(NotFound):
        await sessions.alogout("8")


async def test_threads_of_the_servers_process_may_wait_for_it(mounted: App, node: Node) -> None:
    await mounted.open()
    sessions = mounted.sessions()
    started = await asyncio.to_thread(sessions.start, "7", client=BROWSER)
    assert (await asyncio.to_thread(sessions.end, started.session_id)).ended == 1
    with pytest.raises(Unavailable, match="await it"):
        sessions.start("7", client=BROWSER)


async def test_a_suspended_user_is_refused_within_the_process_too(mounted: App, node: Node) -> None:
    sessions = mounted.sessions()
    started = await sessions.astart("7", client=NATIVE)
    user = await node.store.find_user(started.user_id)  # type: ignore[arg-type]
    assert user is not None
    await node.identity.suspend(user, SYSTEM)
    with pytest.raises(Forbidden, match="suspended"):
        await sessions.astart("7", client=NATIVE)


async def test_within_the_process_an_account_is_named_where_there_are_several(
    mounted: App, node: Node
) -> None:
    shop = mounted.sessions("Shop")
    started = await shop.astart("7", client=NATIVE)
    session = await mounted.verifier.averify(started.access_token or "")
    accounts = {account.name: account.id for account in await node.store.list_accounts()}
    assert session.account_id == accounts["Shop"]
    again = await mounted.sessions("Shop").astart("7", client=NATIVE)
    assert again.user_id == started.user_id
    with pytest.raises(SettingsError, match=r"there is: .*Shop"):
        await mounted.sessions().astart("7", client=NATIVE)


async def test_the_applications_own_key_opens_nothing_outside_of_its_process(
    mounted: App, node: Node
) -> None:
    """It is the same client for each process, and none of them takes the others' for genuine."""
    [account] = await node.store.list_accounts()
    one = node.services.own_key(account.id)
    other = Services(node.store, node.sessions, node.clock, node.entropy).own_key(account.id)
    assert (await node.services.authenticate(one, "sessions")).account_id == account.id
    with pytest.raises(TokenMissing):
        await node.services.authenticate(other, "sessions")
    with pytest.raises(Forbidden):
        await node.services.authenticate(one, "verify")
