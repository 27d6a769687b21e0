"""Behind real proxies that end TLS, with the configurations that are shown to operators."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from lastcall.leases.messages import Events
from tests.http.serving import set_cookies
from tests.support.following import following
from tests.support.proxies import CLIENT, HERE, NAME, URL, Front, in_front_of
from tests.support.servers import EMAIL, PASSWORD, Server, add_owner, new_key, serving
from tests.support.smuggling import AMBIGUOUS, PATH

ADA = {"email": EMAIL, "password": PASSWORD}
OWN = {"Origin": URL, "Sec-Fetch-Site": "same-origin"}
NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}
CLAIMS = {
    "X-Forwarded-For": "81.2.69.142, 127.0.0.1",
    "X-Real-IP": "81.2.69.142",
    "Forwarded": 'for=81.2.69.142;host=evil.example;proto=http, for="_hidden"',
    "CF-Connecting-IP": "81.2.69.142",
    "True-Client-IP": "81.2.69.142",
    "X-Client-IP": "81.2.69.142",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Port": "80",
    "X-Forwarded-Prefix": "//evil.example",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "X-Remote-User": EMAIL,
}
"""What a client may say of itself and of the way that its request took."""


@dataclass(frozen=True)
class Behind:
    """A server with a proxy before it, and what the server has written into its access log."""

    front: Front
    log: Path

    def sign_in(self, through: httpx.Client, **body: str) -> dict[str, Any]:
        """Begin a session; give what is answered."""
        response = through.post("/api/v1/sign-in", json={**ADA, **body})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server that believes a proxy on its own machine, and its access log."""
    folder = tmp_path_factory.mktemp("server")
    add_owner(folder)
    arguments = ("--public-url", URL, "--trusted-proxies", "127.0.0.1", "--access-log")
    log = folder / "log"
    with log.open("w") as errors, serving(folder, *arguments, errors=errors) as running:
        yield running, log


@pytest.fixture(scope="module", params=["nginx", "caddy", "haproxy"])
def behind(
    server: tuple[Server, Path],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Behind]:
    """The server behind each of the proxies in turn."""
    running, log = server
    with in_front_of(running.port, request.param, tmp_path_factory.mktemp("proxy")) as front:
        yield Behind(front, log)


@pytest.fixture(scope="module")
def feed_key(server: tuple[Server, Path]) -> str:
    """What a service follows the feed with."""
    _, log = server
    return new_key(log.parent, "verify")[0]


@pytest.fixture
def browser(behind: Behind) -> Iterator[httpx.Client]:
    """Ada's browser, signed in."""
    with behind.front.client(OWN) as client:
        behind.sign_in(client, client="browser")
        yield client


def test_a_browser_stays_signed_in_by_cookies_that_only_https_carries(behind: Behind) -> None:
    with behind.front.client(OWN) as client:
        response = client.post("/api/v1/sign-in", json={**ADA, "client": "browser"})
        cookies = set_cookies(response)
        assert len(cookies) == 3
        for name, (_, attributes) in cookies.items():
            assert name.startswith("__Host-lastcall-")
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= attributes
        assert response.headers["strict-transport-security"].startswith("max-age=31536000")
        assert client.get("/api/v1/session").json()["id"] == response.json()["session"]["id"]
        assert client.get("/settings/sessions").status_code == 200


def test_a_form_of_its_own_pages_signs_in_and_one_from_elsewhere_does_not(behind: Behind) -> None:
    for origin, status in ((URL, 303), ("https://evil.example", 403), (f"http://{NAME}", 403)):
        with behind.front.client({"Origin": origin}) as client:
            assert client.post("/sign-in", data=ADA).status_code == status


def test_a_session_shows_where_the_proxy_saw_its_client_whatever_that_claims(
    behind: Behind,
) -> None:
    with behind.front.client(CLAIMS) as client:
        tokens = behind.sign_in(client)
        assert tokens["session"]["ip"] == CLIENT
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        mine = client.get("/api/v1/session").json()
        assert (mine["ip"], mine["user"]["email"]) == (CLIENT, EMAIL)
        newest = client.get("/api/v1/audit").json()["events"][0]
        assert newest["ip"] == CLIENT


def test_no_client_has_the_proxy_leave_its_address_out(behind: Behind) -> None:
    """What `Connection` names goes no further than one hop, but not what the proxy itself adds."""
    claims = {"Connection": "close, X-Forwarded-For", "X-Forwarded-For": "81.2.69.142"}
    with behind.front.client(claims) as client:
        assert behind.sign_in(client)["session"]["ip"] == CLIENT


def test_links_lead_to_the_public_url_and_redirects_stay_on_it(
    behind: Behind, browser: httpx.Client
) -> None:
    added = browser.post(
        "/api/v1/users", json={"email": f"{behind.front.name}@example.com"}, headers=CLAIMS
    )
    assert added.json()["invitation"]["url"].startswith(f"{URL}/invitation?token=")
    with behind.front.client({**CLAIMS, **NAVIGATE}) as stranger:
        answer = stranger.get("/settings/sessions")
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            "/sign-in?next=/settings/sessions",
        )
        answer = stranger.get(f"http://{NAME}/settings/sessions?a=b")
        assert answer.status_code in (301, 308)
        assert answer.headers["location"] == f"{URL}/settings/sessions?a=b"


@pytest.mark.parametrize("host", ["evil.example", "localhost", f"{NAME}.evil.example"])
def test_a_request_for_another_host_does_not_get_past_the_proxy(behind: Behind, host: str) -> None:
    with behind.front.client({"Host": host}) as client:
        for path in ("/sign-in", "/metrics"):
            response = client.get(path)
            assert "content-security-policy" not in response.headers  # which all of lastcall has
            assert not response.content or response.status_code == 421


def test_the_counts_are_not_for_whoever_comes_through_the_proxy(behind: Behind) -> None:
    """The proxy is on loopback, where anybody may read them."""
    with behind.front.client() as client:
        assert client.get("/metrics").status_code == 401


def test_a_session_is_refreshed_and_a_page_renewed(behind: Behind, browser: httpx.Client) -> None:
    before = dict(browser.cookies)
    assert browser.post("/api/v1/refresh").status_code == 200
    between = dict(browser.cookies)
    answer = browser.get("/renew?next=/settings/sessions", headers={**NAVIGATE, **CLAIMS})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/sessions")
    name = "__Host-lastcall-refresh"
    assert len({before[name], between[name], browser.cookies[name]}) == 3
    assert browser.get("/api/v1/session").status_code == 200


def test_an_open_page_is_told_at_once_what_changes(behind: Behind, browser: httpx.Client) -> None:
    """No message waits in the proxy for more: it would come with the stream's end."""
    with browser.stream("GET", "/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == ":"
        with behind.front.client() as other:
            behind.sign_in(other)
        assert next(line for line in lines if line.startswith("event:")) == "event: changed"
        assert stream.is_closed is False


async def test_a_verifier_follows_the_feed_through_the_proxy(
    behind: Behind, feed_key: str, browser: httpx.Client
) -> None:
    """It gets a lease, and what is terminated is confirmed by its acknowledgement."""
    front = behind.front
    with front.client() as other:
        tokens = behind.sign_in(other)
    line = socket.create_connection((HERE, front.https), 20, source_address=(CLIENT, 0))
    options: dict[str, Any] = {"url": f"wss://{NAME}/feed", "sock": line, "ssl": front.trust}
    async with following(front.https, feed_key, **options) as follower:
        await follower.lease()
        path = f"/api/v1/sessions/{tokens['session']['id']}?wait=30"
        ending = asyncio.create_task(asyncio.to_thread(browser.delete, path))
        await follower.until(lambda told: isinstance(told, Events) and bool(told.events))
        done = (await ending).json()
        assert (done["state"], done["verifiers"], done["acknowledged"]) == ("confirmed", 1, 1)
        await follower.say(*follower.side.give_back())


def test_a_body_that_is_too_large_is_refused_in_lastcall_s_own_words(behind: Behind) -> None:
    with behind.front.client({"Content-Type": "application/json"}) as client:
        response = client.post("/api/v1/sign-in", content=b" " * 100_000)
        assert (response.status_code, response.json()["code"]) == (413, "too_large")


def test_over_http_2_it_is_the_same(behind: Behind, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed (Debian, Ubuntu: apt-get install curl)")
    front = behind.front
    command = [curl, "--silent", "--http2", "--cacert", str(front.authority), "--interface", CLIENT]
    command += [
        "--connect-to",
        f"{NAME}:443:{HERE}:{front.https}",
        "--write-out",
        "\n%{http_version}",
    ]
    for name, value in CLAIMS.items():
        command += ["--header", f"{name}: {value}"]
    done = subprocess.run(
        [*command, "--json", json.dumps(ADA), f"{URL}/api/v1/sign-in"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    answer, _, version = done.stdout.rpartition("\n")
    assert (json.loads(answer)["session"]["ip"], version) == (CLIENT, "2")


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_no_request_hides_in_another_on_its_way_through_the_proxy(
    behind: Behind, what: str
) -> None:
    """What the server answers beyond that would be taken for the answer to the next request."""
    close = b"Connection: close\r\nContent-Type:"
    before = behind.log.read_text().count(PATH)
    answer = behind.front.send(AMBIGUOUS[what].replace(b"Content-Type:", close, 1))
    with behind.front.client() as next_one:
        for _ in range(3):
            response = next_one.get("/healthz")
            assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert all(int(status) >= 400 for status in re.findall(rb"HTTP/1\.[01] (\d\d\d)", answer))
    assert answer.count(b"HTTP/1.") <= 1
    assert behind.log.read_text().count(PATH) == before
