"""Bytes that are no good request, or a strange one, at a real server process: it refuses them, is
never at fault, says nothing of itself in its log, and goes on."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.servers import Server, add_owner, serving

HOST = b"Host: localhost\r\n"
LAST = HOST + b"Connection: close\r\n"
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
AT_FAULT = ("Traceback", "unexpected", "Exception", "ERROR")
TLS_HELLO = (
    b"\x16\x03\x01\x00\x75\x01\x00\x00\x71\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00"
    b"\x00\x46" + bytes(70)
)


def get(target: bytes, headers: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + target + b" " + version + b"\r\n" + LAST + headers + b"\r\n"


NO_REQUESTS = {
    "nothing but line ends": b"\r\n" * 100 + b"x\r\n\r\n",
    "random bytes": bytes(range(256)) * 8,
    "zero bytes": bytes(4096),
    "no target": b"GET HTTP/1.1\r\n" + LAST + b"\r\n",
    "no method": b" / HTTP/1.1\r\n" + LAST + b"\r\n",
    "an unknown method": b"HACK /healthz HTTP/1.1\r\n" + LAST + b"\r\n",
    "a long method": b"G" * 60_000 + b" / HTTP/1.1\r\n" + LAST + b"\r\n",
    "a tab in the line": b"GET\t/healthz\tHTTP/1.1\r\n" + LAST + b"\r\n",
    "a space in the target": get(b"/health z"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "HTTP/3.0": get(b"/healthz", version=b"HTTP/3.0"),
    "HTTP/1.10": get(b"/healthz", version=b"HTTP/1.10"),
    "HTP": get(b"/healthz", version=b"HTP/1.1"),
    "TLS": TLS_HELLO,
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a zero byte in a name": get(b"/healthz", b"X\0Y: z\r\n"),
    "a zero byte in a value": get(b"/healthz", b"X: y\0z\r\n"),
    "no name": get(b"/healthz", b": y\r\n"),
    "no colon": get(b"/healthz", b"X\r\n"),
    "a folded line": get(b"/healthz", b"X: y\r\n z\r\n"),
    "a bare return in a value": get(b"/healthz", b"X: y\rz\r\n"),
    "a name that is no token": get(b"/healthz", b"X[]: y\r\n"),
    "a zero byte in the target": get(b"/health\0z"),
    "a target that is no ASCII": get("/häh".encode()),
    "a target that is no UTF-8": get(b"/\xff\xfe"),
    "a target without a slash": get(b"healthz"),
    "a port that is none": get(b"http://localhost:x/healthz"),
}
"""Refused with 400; the connection ends."""
STRANGE = {
    "invalid percent": (get(b"/%"), {404}),
    "half a percent": (get(b"/healthz%2"), {404}),
    "percent of no digits": (get(b"/%zz"), {404}),
    "an encoded zero": (get(b"/healthz%00"), {404}),
    "an encoded line end": (get(b"/healthz%0d%0aX:%20y"), {404}),
    "encoded no UTF-8": (get(b"/%ff%fe"), {404}),
    "an encoded surrogate": (get(b"/%ed%a0%80"), {404}),
    "overlong dots": (get(b"/static/%c0%ae%c0%ae/settings.py"), {404}),
    "dots": (get(b"/static/../../../../etc/passwd"), {404}),
    "encoded dots": (get(b"/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), {404}),
    "twice encoded dots": (get(b"/static/%252e%252e/etc/passwd"), {404}),
    "encoded slashes": (get(b"/static/..%2f..%2fetc%2fpasswd"), {404}),
    "backslashes": (get(b"/static/..\\..\\etc\\passwd"), {404}),
    "two slashes": (get(b"//healthz"), {404}),
    "two slashes inside": (get(b"/api//v1/session"), {404}),
    "parameters": (get(b"/healthz;x=y"), {404}),
    "parameters before the page": (get(b"/;x/account/users"), {404}),
    "a fragment": (get(b"/healthz#x"), {200, 400}),
    "a bad query": (get(b"/healthz?%&=&%ff=%zz&\\"), {200}),
    "absolute": (get(b"http://localhost/healthz"), {200}),
    "absolute, of another": (get(b"http://evil.example/healthz"), {200}),
    "absolute, to a file": (get(b"file:///etc/passwd"), {404, 400}),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\n" + LAST + b"\r\n", {404, 400}),
    "a tunnel": (b"CONNECT evil.example:443 HTTP/1.1\r\n" + LAST + b"\r\n", {404, 400}),
    "a trace": (b"TRACE /healthz HTTP/1.1\r\n" + LAST + b"\r\n", {405}),
    "an upgrade to HTTP/2": (
        get(b"/healthz", b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        {200},
    ),
    "an upgrade to a socket": (
        get(b"/api/v1/session", b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
        {401, 400},
    ),
    "an unmeant expectation": (get(b"/healthz", b"Expect: 200-maybe\r\n"), {200, 417}),
    "no host": (b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n", {200, 400}),
    "HTTP/0.9": (b"GET /healthz\r\n\r\n", {200, 400}),
    "HTTP/1.0": (get(b"/healthz", version=b"HTTP/1.0"), {200}),
}
"""Answered; never as if it were something else."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server and its log."""
    folder = tmp_path_factory.mktemp("server")
    add_owner(folder)
    log = folder / "log"
    with log.open("w") as errors, serving(folder, errors=errors) as running:
        yield running, log


def answers(port: int, raw: bytes) -> tuple[list[int], bytes]:
    """Send raw bytes and no more; give the statuses that come back, and all that does."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), 20) as line, suppress(ConnectionError):
        line.sendall(raw)
        while part := line.recv(65536):
            said += part
    return [int(status) for status in STATUS.findall(said)], said


def goes_on(server: tuple[Server, Path]) -> None:
    running, log = server
    assert httpx.get(f"{running.url}/healthz").json() == {"status": "ok"}
    text = log.read_text()
    assert not [word for word in AT_FAULT if word in text], text


@pytest.mark.parametrize("what", NO_REQUESTS)
def test_what_is_no_request_is_refused_and_the_server_goes_on(
    server: tuple[Server, Path], what: str
) -> None:
    statuses, _ = answers(server[0].port, NO_REQUESTS[what])
    assert statuses == [400]
    goes_on(server)


@pytest.mark.parametrize("what", STRANGE)
def test_a_strange_request_is_answered_for_what_it_is(
    server: tuple[Server, Path], what: str
) -> None:
    raw, expected = STRANGE[what]
    statuses, said = answers(server[0].port, raw)
    assert len(statuses) == 1
    assert statuses[0] in expected
    assert b"root:" not in said
    goes_on(server)


def test_requests_in_one_piece_are_answered_one_by_one_in_their_order(
    server: tuple[Server, Path],
) -> None:
    first = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    second = b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"
    statuses, _ = answers(server[0].port, first * 20 + second + get(b"/api/v1/session"))
    assert statuses == [200] * 20 + [404, 401]
    statuses, _ = answers(server[0].port, first + b"nonsense\r\n\r\n" + first)
    assert statuses in ([200, 400], [400])
    goes_on(server)


def test_a_connection_that_ends_anywhere_in_a_request_is_no_fault(
    server: tuple[Server, Path],
) -> None:
    whole = (
        b"POST /api/v1/sign-in HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
        b"Content-Length: 40\r\n\r\n" + b'{"email":"a@example.com","password":"x"}'
    )
    for end in range(0, len(whole), 5):
        with socket.create_connection(("127.0.0.1", server[0].port), 20) as line:
            line.sendall(whole[:end])
    goes_on(server)


def test_random_bytes_are_no_fault(server: tuple[Server, Path]) -> None:
    """The same in every run: a good request with a few bytes of it replaced."""
    good = get(b"/settings/sessions?a=b", b"Cookie: lastcall-access=x.y.z\r\nAccept: */*\r\n")
    for seed in range(150):
        raw = bytearray(good)
        for step in range(1 + seed % 3):
            raw[(seed * 7919 + step * 104_729) % len(raw)] = (seed * 31 + step * 17) % 256
        answered, _ = answers(server[0].port, bytes(raw) + b"\r\n\r\n" + get(b"/healthz"))
        assert answered
        assert max(answered) < 500
    goes_on(server)


@pytest.mark.parametrize("what", ["query", "cookie", "authorization", "path"])
def test_each_part_of_a_head_is_taken_up_to_the_limit_of_the_whole_and_refused_beyond(
    server: tuple[Server, Path], what: str
) -> None:
    """64 KiB, whatever it is that is long."""

    def head(size: int) -> bytes:
        long = b"a" * size
        match what:
            case "query":
                return get(b"/healthz?" + long)
            case "cookie":
                return get(b"/healthz", b"Cookie: " + long + b"\r\n")
            case "authorization":
                return get(b"/healthz", b"Authorization: Bearer " + long + b"\r\n")
            case _:
                return get(b"/" + long)

    assert answers(server[0].port, head(50_000))[0] == [404 if what == "path" else 200]
    assert answers(server[0].port, head(90_000))[0] in ([431], [])
    goes_on(server)
