"""Behind real proxies that ask /forward-auth, with the configurations that are shown to operators:
a service that can't ask by itself is told who asks, and nobody else reaches it."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.proxies import Front, in_front_of
from tests.support.servers import EMAIL, PASSWORD, add_owner, new_key, serving

HOST = "shop.example.com"
URL = f"https://{HOST}"
OWN = {"Origin": URL, "Sec-Fetch-Site": "same-origin"}
NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
"""Of a WebSocket (RFC 6455, section 4.1)."""
PROXIES = ["nginx", "caddy", "haproxy"]
TOLD = ["x-lastcall-account", "x-lastcall-roles", "x-lastcall-session", "x-lastcall-user"]


@dataclass
class Service:
    """A service that believes what the proxy tells it, and what it was asked."""

    port: int
    seen: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def answering(status: int = 200) -> Iterator[Service]:
    """Run a service that takes "_" for "-" in the names of headers, as many do."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            names = [
                (name.lower().replace("_", "-"), value) for name, value in self.headers.items()
            ]
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            about = {
                "method": self.command,
                "path": self.path,
                "body": body,
                "told": sorted(
                    pair for pair in names if pair[0].startswith("x-lastcall-") and pair[1]
                ),
            }
            service.seen.append(about)
            text = json.dumps(about).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer  # noqa: N815  their names in http.server

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = Service(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Behind:
    """The service behind a proxy."""

    front: Front
    service: Service
    stack: ExitStack
    key: str

    def client(self, headers: Mapping[str, str] | None = None) -> httpx.Client:
        """A client that comes through the proxy."""
        return self.stack.enter_context(self.front.client(headers))

    def sign_in(self, client: str = "native") -> tuple[httpx.Client, dict[str, Any]]:
        """Begin a session; give a client and what was answered."""
        through = self.client(OWN)
        body = {"email": EMAIL, "password": PASSWORD, "client": client}
        response = through.post("/auth/api/v1/sign-in", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return through, answer

    def bearer(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Begin a session; give the headers that show its token, and what was answered."""
        _, answer = self.sign_in()
        return {"Authorization": f"Bearer {answer['access_token']}"}, answer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """A server whose pages are under a path of the service's origin; and a key for sessions."""
    folder = tmp_path_factory.mktemp("server")
    add_owner(folder)
    key, _ = new_key(folder, "sessions")
    arguments = ("--public-url", f"{URL}/auth", "--trusted-proxies", "127.0.0.1")
    with serving(folder, *arguments) as running:
        yield running.port, key


@pytest.fixture(scope="module", params=PROXIES)
def behind(
    server: tuple[int, str],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Behind]:
    """The service behind each of the proxies in turn."""
    folder = tmp_path_factory.mktemp("proxy")
    with (
        answering() as service,
        in_front_of(server[0], request.param, folder, "forward-auth", HOST, service.port) as front,
        ExitStack() as stack,
    ):
        yield Behind(front, service, stack, server[1])


def test_the_service_is_told_who_asks(behind: Behind) -> None:
    bearer, answer = behind.bearer()
    told = behind.client(bearer).get("/cart?a=b%20c").json()
    assert (told["method"], told["path"]) == ("GET", "/cart?a=b%20c")
    found = dict(told["told"])
    assert found["x-lastcall-session"] == answer["session"]["id"]
    assert found["x-lastcall-roles"] == "owner"
    assert sorted(found) == TOLD, found


def test_of_an_applications_own_user_the_service_is_told_the_applications_id(
    behind: Behind,
) -> None:
    client = behind.client({"Authorization": f"Bearer {behind.key}"})
    body = {"user": {"external_id": "a b"}, "client": {"ip": None, "user_agent": None}}
    begun = client.post("/auth/api/v1/sessions", json=body).json()
    bearer = {"Authorization": f"Bearer {begun['access_token']}"}
    told = dict(behind.client(bearer).get("/cart").json()["told"])
    assert told["x-lastcall-external-id"] == "a%20b"


def test_what_is_sent_reaches_the_service_whole(behind: Behind) -> None:
    bearer, _ = behind.bearer()
    told = behind.client(bearer).post("/orders", content="x" * 50_000).json()
    assert (told["method"], len(told["body"])) == ("POST", 50_000)


def test_what_a_client_says_of_itself_never_reaches_the_service(behind: Behind) -> None:
    """In none of the spellings that services take for one; nor does it help who has no session.
    nginx removes no names by a pattern: one that lastcall doesn't use may pass there."""
    names = (
        *("X-Lastcall-User", "x-lastcall-roles", "X_Lastcall_User", "X-Lastcall-Plan"),
        *("X-Lastcall-External-Id", "X_Lastcall_External_Id"),
    )
    claims = dict.fromkeys(names, "forged")
    before = len(behind.service.seen)
    assert behind.client(claims).get("/cart").status_code == 401
    assert len(behind.service.seen) == before
    bearer, _ = behind.bearer()
    told = behind.client({**bearer, **claims}).get("/cart").json()["told"]
    assert sorted(name for name, _ in told if name != "x-lastcall-plan") == TOLD
    assert "forged" not in [value for name, value in told if name in TOLD]


def test_a_session_that_was_ended_elsewhere_is_refused_at_once(behind: Behind) -> None:
    bearer, answer = behind.bearer()
    through = behind.client(bearer)
    assert through.get("/cart").status_code == 200
    other, _ = behind.bearer()
    path = f"/auth/api/v1/sessions/{answer['session']['id']}?wait=30"
    done = behind.client(other).delete(path).json()
    assert done["state"] == "confirmed"
    assert through.get("/cart").status_code == 401


def test_a_window_is_sent_to_sign_in(behind: Behind) -> None:
    response = behind.client(NAVIGATE).get("/cart?a=b")
    assert response.status_code == 303
    assert urlsplit(response.headers["location"])[2:4] == ("/auth/sign-in", "next=%2Fcart%3Fa%3Db")


def test_a_window_whose_access_token_is_gone_gets_a_new_one_and_goes_on(behind: Behind) -> None:
    through, _ = behind.sign_in("browser")
    through.cookies.delete("__Host-lastcall-access")
    response = through.get("/cart", headers=NAVIGATE, follow_redirects=True)
    assert response.status_code == 200
    assert [urlsplit(str(one.url)).path for one in response.history] == ["/cart", "/auth/renew"]
    assert dict(response.json()["told"])["x-lastcall-roles"] == "owner"


def test_a_token_that_is_not_good_is_forgotten_by_the_browser(behind: Behind) -> None:
    cookie = {"Cookie": "__Host-lastcall-access=x"}
    response = behind.client({**NAVIGATE, **cookie}).get("/cart")
    assert response.status_code == 303
    assert response.headers["set-cookie"].startswith("__Host-lastcall-access=; Path=/; Max-Age=0")


def test_another_site_changes_nothing_with_a_user_s_cookies(behind: Behind) -> None:
    through, _ = behind.sign_in("browser")
    before = len(behind.service.seen)
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert through.post("/orders", headers=elsewhere).status_code == 403
    spoken_for = {**elsewhere, "X-Original-Method": "GET", "X-Forwarded-Method": "GET"}
    assert through.post("/orders", headers=spoken_for).status_code >= 400
    assert through.get("/talk", headers={**elsewhere, **HANDSHAKE}).status_code >= 400
    assert len(behind.service.seen) == before
    assert through.post("/orders").status_code == 200


def test_a_handshake_of_the_own_pages_reaches_the_service(behind: Behind) -> None:
    through, _ = behind.sign_in("browser")
    assert through.get("/talk", headers=HANDSHAKE).status_code == 200


def test_the_question_itself_is_for_the_proxy_alone(behind: Behind) -> None:
    bearer, _ = behind.bearer()
    through = behind.client(bearer)
    assert through.get("/auth/forward-auth").status_code == 404
    assert "x-lastcall-user" not in through.get("/ask-lastcall").headers


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("status", [503, 0])
def test_where_lastcall_can_not_tell_nobody_gets_in(name: str, status: int, tmp_path: Path) -> None:
    """A lapsed lease is 503, and so is a server that isn't there."""
    with answering(503) as asked, answering() as service:
        port = asked.port if status else 9
        with (
            in_front_of(port, name, tmp_path, "forward-auth", HOST, service.port) as front,
            front.client({"Authorization": "Bearer x"}) as client,
        ):
            response = client.get("/cart")
            assert response.status_code == 503
            assert service.seen == []
