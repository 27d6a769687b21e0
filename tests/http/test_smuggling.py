"""What a real server process makes of bytes that are no good request: one refusal, and the end of
the connection. And of headers that name a user: nothing."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.support.servers import EMAIL, Server, add_owner, serving
from tests.support.smuggling import AMBIGUOUS, PATH


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server, and its access log."""
    folder = tmp_path_factory.mktemp("server")
    add_owner(folder)
    log = folder / "log"
    with log.open("w") as errors, serving(folder, "--access-log", errors=errors) as running:
        yield running, log


def send(port: int, raw: bytes) -> bytes:
    """Send raw bytes; give all that is answered until the server closes the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 20) as line, suppress(ConnectionError):
        line.sendall(raw)
        while part := line.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_where_it_is_unclear_where_a_request_ends_it_is_refused_and_the_connection_ends(
    server: tuple[Server, Path], what: str
) -> None:
    running, log = server
    answer = send(running.port, AMBIGUOUS[what])
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.") == 1
    assert PATH not in log.read_text()


def test_a_head_of_100_kib_is_refused_and_the_connection_ends(
    server: tuple[Server, Path],
) -> None:
    """Also where it comes in one piece. The answer may be lost with what is not read."""
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100 * 1024 + b"\r\n\r\n"
    assert send(server[0].port, head)[:13] in (b"HTTP/1.1 431 ", b"")
    assert httpx.get(f"{server[0].url}/healthz").status_code == 200


def test_a_large_body_is_no_large_head(server: tuple[Server, Path]) -> None:
    body = {"email": EMAIL, "password": "a" * 60_000}
    answer = httpx.post(f"{server[0].url}/api/v1/sign-in", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "too_long")


def test_two_callers_are_refused_whichever_comes_first(server: tuple[Server, Path]) -> None:
    running, _ = server
    for names in (("Authorization", "authorization"), ("AUTHORIZATION", "Authorization")):
        headers = "".join(f"{name}: Bearer {name}\r\n" for name in names)
        head = (
            f"GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        )
        answer = send(running.port, head.encode())
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"repeated" in answer


BELIEVED_ELSEWHERE = (
    "Remote-User",
    "Remote_User",
    "REMOTE_USER",
    "X-Remote-User",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Preferred-Username",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Authenticated-User",
    "X-WEBAUTH-USER",
    "X-User",
    "X-User-Id",
    "X-Lastcall-User",
    "X-Lastcall-Session",
    "From",
)


def test_no_header_names_a_user(server: tuple[Server, Path]) -> None:
    """Nobody is signed in by any of them, nor by all of them, for a program as for a person."""
    url = server[0].url
    singly = [{name: EMAIL} for name in BELIEVED_ELSEWHERE]
    for headers in (*singly, dict.fromkeys(BELIEVED_ELSEWHERE, EMAIL)):
        answer = httpx.get(f"{url}/api/v1/session", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")
        page = httpx.get(f"{url}/settings/sessions", headers=headers)
        assert (page.status_code, page.headers["location"]) == (
            303,
            "/sign-in?next=/settings/sessions",
        )
