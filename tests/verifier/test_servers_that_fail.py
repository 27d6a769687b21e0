# ruff: noqa: SIM117  a server, then who asks it, reads better than both on three lines
"""What a verifier makes of servers that are broken, silent, malicious or going."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from lastcall import InvalidToken, SessionEnded, Unavailable, Verifier
from lastcall.digests import encode
from lastcall.leases.messages import SUBPROTOCOL, Welcome, write
from lastcall.remote.asking import LARGEST
from lastcall.verifier import following
from tests.support.answering import answering, http
from tests.support.clocks import until
from tests.verifier.conftest import World

KEY = "lck_planted-in-a-test"
TOKEN = ".".join([encode(b'{"alg":"ES256","kid":"k","typ":"at+jwt"}'), "e30", "A" * 86])
"""What may be a token, of a key that nobody has told of."""
NOBODY = "http://127.0.0.1:9"
ACTIVE = {
    "active": True,
    "iss": "i",
    "sub": "u_ada",
    "sid": "s_c1_one",
    "aud": "a",
    "account": "a_acme",
    "iat": 1,
    "exp": 2,
    "auth_time": 1,
    "amr": ["pwd"],
    "roles": ["member"],
}


def told(**answer: object) -> bytes:
    return http(json.dumps(answer).encode())


def test_a_clear_answer_serves_one_check() -> None:
    with answering(told(**ACTIVE)) as (port, asked):
        with Verifier(NOBODY, f"http://127.0.0.1:{port}/auth", key=KEY) as verifier:
            verifier.verify(TOKEN)
            session = verifier.verify(TOKEN)
            assert (session.user_id, session.roles) == ("u_ada", ("member",))
            questions = [one for one in asked if one.startswith(b"POST /auth/oauth/introspect ")]
            assert len(questions) == 2
            assert all(f"Bearer {KEY}".encode() in one for one in questions)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"active": False}, InvalidToken),
        ({"active": False, "code": "token_expired"}, InvalidToken),
        ({"active": False, "code": "session_ended", "reason": "reported"}, SessionEnded),
        ({**ACTIVE, "aud": "another"}, InvalidToken),
        ({**ACTIVE, "sid": ""}, Unavailable),
        ({"active": True}, Unavailable),
        ({**ACTIVE, "exp": 10**30}, Unavailable),
        ({**ACTIVE, "exp": 10**15}, Unavailable),
        ({"active": "yes"}, Unavailable),
    ],
)
def test_no_other_answer_accepts(answer: dict[str, object], error: type[Exception]) -> None:
    with answering(told(**answer)) as (port, _):
        with Verifier(f"http://127.0.0.1:{port}", key=KEY, audience="a") as verifier:
            with pytest.raises(error):
                verifier.verify(TOKEN)


ELSEWHERE = b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
WRONG = {
    "closed at once": b"",
    "no HTTP": b"\x00\xff" * 100,
    "a redirect": ELSEWHERE,
    "refused": http(b"{}", "401 Unauthorized"),
    "broken": http(b"oops", "500 Oops"),
    "a page": http(json.dumps(ACTIVE).encode(), kind="text/html"),
    "no JSON": http(b'{"active": tr'),
    "cut": http(json.dumps(ACTIVE).encode())[:-3],
    "endless": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b" " * (2 * LARGEST),
    "nested": http(b"[" * 50000),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_answer_is_none(wrong: bytes) -> None:
    with answering(wrong) as (port, _):
        with Verifier(f"http://127.0.0.1:{port}", key=KEY) as verifier:
            with pytest.raises(Unavailable) as error:
                verifier.verify(TOKEN)
            assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("401 Unauthorized", "not in force; see: lastcall key create NAME --scope verify"),
        ("403 Forbidden", "answered 403: the key may lack the scope verify"),
        ("502 Bad Gateway", "answered 502"),
    ],
)
def test_who_is_refused_is_told_what_to_do(status: str, advice: str) -> None:
    with answering(http(b"{}", status)) as (port, _):
        with Verifier(f"http://127.0.0.1:{port}", key=KEY) as verifier:
            with pytest.raises(Unavailable, match=advice):
                verifier.verify(TOKEN)
            until(lambda: verifier._life.following.problem is not None)  # noqa: SLF001
            with pytest.raises(Unavailable, match=advice):
                verifier.wait_ready(0)


def test_a_server_that_never_answers_is_waited_for_no_longer_than_said() -> None:
    """Time passes by the clock that is given: the wait for the first server uses all of it up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Verifier(address, key=KEY) as verifier:
            with pytest.raises(Unavailable, match="Timeout"):
                verifier.verify(TOKEN)


def test_only_so_many_checks_ask_at_once() -> None:
    with Verifier(NOBODY, key=KEY) as verifier:
        introspection = verifier._life.introspection  # noqa: SLF001
        for _ in range(32):
            introspection._take()  # noqa: SLF001
        with pytest.raises(Unavailable, match="too many"):
            verifier.verify(TOKEN)


def test_a_token_that_is_too_long_is_asked_about_nowhere() -> None:
    with answering(told(**ACTIVE)) as (port, asked):
        with Verifier(NOBODY, f"http://127.0.0.1:{port}", key=KEY) as verifier:
            with pytest.raises(InvalidToken):
                verifier.verify("x" * 5000)
        assert not any(one.startswith(b"POST") for one in asked)


def test_tls_is_verified() -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with answering(told(**ACTIVE), tls) as (port, _):
        with Verifier(f"https://localhost:{port}", key=KEY) as verifier:
            with pytest.raises(Unavailable, match="SSLCertVerificationError"):
                verifier.verify(TOKEN)
            until(lambda: "SSLCert" in str(verifier._life.following.problem))  # noqa: SLF001
        with Verifier(f"https://localhost:{port}", key=KEY, ssl_context=trust) as verifier:
            assert verifier.verify(TOKEN).user_id == "u_ada"
        with Verifier(f"https://127.0.0.1:{port}", key=KEY, ssl_context=trust) as verifier:
            with pytest.raises(Unavailable):
                verifier.verify(TOKEN)


Serve = Callable[[ServerConnection], Awaitable[None]]


@contextmanager
def feeding(act: Serve, subprotocol: str = SUBPROTOCOL) -> Iterator[str]:
    """A server whose feed does what a test wants; gives its address."""
    ready: list[int] = []
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def run() -> None:
        options = {"subprotocols": [subprotocol], "max_size": None}
        async with serve(act, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
            ready.append(next(iter(server.sockets)).getsockname()[1])
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    until(lambda: ready)
    try:
        yield f"http://127.0.0.1:{ready[0]}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


def problem(verifier: Verifier) -> str:
    return str(verifier._life.following.problem)  # noqa: SLF001


GREETING = write(Welcome("n", "a", "i", "a", 30.0)).decode()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["garbage"], "ProtocolError"),
        ([b"\xff\xfe"], "ProtocolError"),
        (['{"type": "unheard-of"}'], "ProtocolError"),
        (['{"type": "part"}'], "ProtocolError"),
        ([GREETING, '{"type": "events", "after": 5, "position": ["e", "1.a", 6], "floor": 0}'],
         "ProtocolError"),
        ([GREETING, GREETING.replace('"a"', '"b"', 1)], "ProtocolError"),
        (["x" * (1 << 21)], "closed"),
    ],
)  # fmt: skip
def test_a_server_that_says_what_is_not_there_is_left(
    said: list[str | bytes], expected: str
) -> None:
    async def act(connection: ServerConnection) -> None:
        await connection.recv()
        for one in said:
            await connection.send(one)
        await connection.wait_closed()

    with feeding(act) as address, Verifier(address, key=KEY) as verifier:
        until(lambda: expected in problem(verifier))
        assert not verifier.status().leased


def test_a_verifier_that_is_stopped_while_it_hangs_up_leaves_no_connection_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closing: list[ClientConnection] = []
    over = threading.Event()
    close = ClientConnection.close

    async def watched(connection: ClientConnection) -> None:
        closing.append(connection)
        await close(connection)

    async def act(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("garbage")
        connection.transport.pause_reading()  # and never answers a goodbye
        await asyncio.to_thread(over.wait, 10)
        connection.transport.abort()

    monkeypatch.setattr(ClientConnection, "close", watched)
    with feeding(act) as address, Verifier(address, key=KEY) as verifier:
        until(lambda: closing)
        verifier.close()
        transport: Any = closing[0].transport
        over.set()
        assert transport._sock is None  # noqa: SLF001


def test_a_server_of_another_protocol_is_left() -> None:
    async def act(connection: ServerConnection) -> None:
        await connection.wait_closed()

    with feeding(act, "another") as address, Verifier(address, key=KEY) as verifier:
        until(lambda: problem(verifier) != "None")


def test_a_redirect_of_the_feed_is_not_followed() -> None:
    with answering(ELSEWHERE.replace(b"http:", b"ws:")) as (port, _):
        with Verifier(f"http://127.0.0.1:{port}", key=KEY) as verifier:
            until(lambda: "ValueError" in problem(verifier))


def test_a_silent_server_is_left_for_another_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str | bytes] = []

    async def act(connection: ServerConnection) -> None:
        heard.append(await connection.recv())
        await connection.wait_closed()

    monkeypatch.setattr(following, "SILENT", 0.2)
    with feeding(act) as address:
        with Verifier(address, world.url, key=world.key) as verifier:
            until(lambda: heard)
            verifier.wait_ready(30)
            assert '"resume"' in str(heard[0])
