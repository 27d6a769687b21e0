"""Each example runs as it stands, by one command; who is logged out elsewhere is refused with the
next request."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any, Final

import httpx
import pytest

from tests.conftest import ROOT
from tests.support import proxies, servers
from tests.support.clocks import until

EXAMPLES: Final = ROOT / "examples"
PASSWORD: Final = "a sentence that nobody guesses"
OWNER: Final = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
WINDOW: Final = {
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Accept": "text/html",
}
"""What a browser's window says of itself."""
SECONDS: Final = 60
AUTH: Final = "/auth/api/v1"


class Running:
    """An example that was started; what it prints."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://localhost:{port}"
        self._lines: Queue[str | None] = Queue()
        self._seen: list[str] = []
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def says(self, pattern: str) -> re.Match[str]:
        """Wait for a line that fits."""
        while (line := self._lines.get(timeout=SECONDS)) is not None:
            self._seen.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError("".join(self._seen) + (self.folder / "errors").read_text())

    def window(self) -> httpx.Client:
        """A browser. What it asks first may have to wait: some say where before they listen."""
        transport = httpx.HTTPTransport(retries=8)  # with pauses that double
        return httpx.Client(base_url=self.url, headers=WINDOW, timeout=SECONDS, transport=transport)


@contextmanager
def running(folder: Path, script: str, ports: int = 1, **environment: str) -> Iterator[Running]:
    """Run an example by its script, in an empty folder, until it is interrupted."""
    port = free(ports)
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / script)],  # or the script itself, if it is absolute
            cwd=folder,
            env={**servers.environment(), **environment, "PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            yield Running(process, folder, port)
            os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
            process.wait(SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
    said = (folder / "errors").read_text()
    assert "Traceback" not in said, said


def free(count: int) -> int:
    """Give the first of so many neighbouring ports that are free, below those that the system gives
    out; each process begins at another one."""
    for step in range(1000):
        port = 20000 + (os.getpid() + step) * 7 % 12000
        try:
            for number in range(port, port + count):
                socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no ports are free")


def json_of(answer: httpx.Response, status: int = 200) -> Any:  # noqa: ANN401
    """Give what was answered as JSON."""
    assert answer.status_code == status, (answer.status_code, answer.headers, answer.text)
    return answer.json()


def session_in(page: httpx.Response) -> str:
    """Give the session that a page shows."""
    assert page.status_code == 200, page.text
    found = re.search(r"s_[a-z0-9_]+", page.text)
    assert found, page.text
    return found[0]


def sent_to(page: httpx.Response) -> str:
    """Give the path where a window is sent."""
    assert page.status_code in (302, 303), page.text
    return page.headers["location"].partition("?")[0]


def end_the_others(browser: httpx.Client, auth: str = AUTH) -> None:
    """End all sessions of a user but that of this browser."""
    answer = browser.post(f"{auth}/sessions/terminate-others?wait=30")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["ended"], answer.json()["state"]) == (1, "confirmed")


def test_the_one_of_the_readme(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    port = free(1)
    (tmp_path / "app.py").write_text(text.replace("8000", str(port)))
    servers.add_owner(tmp_path)
    with (
        running(tmp_path, str(tmp_path / "app.py")),
        httpx.Client(
            base_url=f"http://localhost:{port}",
            transport=httpx.HTTPTransport(retries=8),
            headers=WINDOW,
            timeout=SECONDS,
        ) as browser,
    ):
        assert sent_to(browser.get("/")) == "/auth/sign-in"
        form = {"email": servers.EMAIL, "password": servers.PASSWORD, "next": "/"}
        assert sent_to(browser.post("/auth/sign-in", data=form)) == "/"
        assert "You are the user u_" in browser.get("/").text
        servers.run(tmp_path, "user", "logout", servers.EMAIL)
        assert sent_to(browser.get("/")) == "/auth/sign-in"


@pytest.mark.parametrize("framework", ["mounted", "litestar", "flask"])
def test_one_whose_users_sign_in_at_lastcall(framework: str, tmp_path: Path) -> None:
    with running(tmp_path, f"{framework}/app.py") as example, example.window() as browser:
        link = httpx.URL(example.says(r"Begin at (\S+)")[1])
        assert browser.get(link).status_code == 200
        assert sent_to(browser.get("/")) == "/auth/sign-in"
        form = {**OWNER, "organisation": "Shop", "token": link.params["token"]}
        assert sent_to(browser.post("/auth/setup", data=form)) == "/auth/settings/sessions"
        own = json_of(browser.get(f"{AUTH}/session"))
        assert own["user"]["email"] == OWNER["email"]
        assert session_in(browser.get("/")) == own["id"]
        if framework != "mounted":
            assert json_of(browser.get("/greeting")) == {"hello": own["user"]["id"]}
            assert json_of(browser.get("/takings")) == {"today": 42}
        servers.run(tmp_path, "user", "logout", OWNER["email"])
        refused = browser.get("/", headers={"Sec-Fetch-Mode": "cors"})
        assert json_of(refused, 401)["code"] == "session_ended"
        assert sent_to(browser.get("/")) == "/auth/sign-in"
        signed_in = browser.post("/auth/sign-in", data={**OWNER, "next": "/"})
        assert sent_to(signed_in) == "/"
        assert session_in(browser.get("/")) != own["id"]
        assert sent_to(browser.post("/auth/sign-out")) == "/auth/sign-in"
        assert sent_to(browser.get("/")) == "/auth/sign-in"


@pytest.mark.parametrize(
    ("framework", "user"),
    [
        ("fastapi", {"email": "ada@shop.test", "password": "correct horse"}),
        ("django", {"username": "ada", "password": "correct horse"}),
    ],
)
def test_one_that_keeps_its_own_users(framework: str, user: dict[str, str], tmp_path: Path) -> None:
    def sign_in(browser: httpx.Client, given: dict[str, str]) -> httpx.Response:
        page = browser.get("/login?next=/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        more = {"csrfmiddlewaretoken": token[1]} if token else {}
        return browser.post("/login", data={**given, **more, "next": "/"})

    with running(tmp_path, f"{framework}/app.py") as example:
        example.says("correct horse")
        with example.window() as browser, example.window() as other:
            assert "Ada" not in browser.get("/", follow_redirects=True).text
            assert sign_in(browser, {**user, "password": "wrong"}).status_code == 401
            assert sent_to(sign_in(browser, user)) == "/"
            page = browser.get("/")
            assert "You are Ada" in page.text
            listed = browser.get("/auth/settings/sessions")
            assert (listed.status_code, session_in(page)) == (200, session_of(browser))
            assert sent_to(sign_in(other, user)) == "/"
            end_the_others(other)
            refused = browser.get("/", follow_redirects=True)
            assert "Ada" not in refused.text
            assert "Your session has ended: terminated_by_user" in (
                browser.get("/auth/sign-in", follow_redirects=True).text
            )
            assert "You are Ada" in other.get("/").text
            assert sent_to(other.get("/auth/reauthenticate?next=/")) == "/login"
            elsewhere = {"next": "//evil.example", **user}
            assert sent_to(sign_in(other, elsewhere)) == "/"
            other.post("/auth/sign-out")
            assert "Ada" not in other.get("/", follow_redirects=True).text


def session_of(browser: httpx.Client) -> str:
    """Give the session that the server sees."""
    found: str = browser.get(f"{AUTH}/session").json()["id"]
    return found


def test_an_api_with_a_server_of_its_own(tmp_path: Path) -> None:
    with running(tmp_path, "starlette/start.py") as example:
        auth = example.says(r"curl -s (\S+)/api/v1/sign-in")[1]
        given = example.says(r"-d '([^']+)'")[1]
        example.says("end the session in the browser")
        with httpx.Client(base_url=f"{auth}/api/v1", timeout=SECONDS) as client:
            headers = {"Content-Type": "application/json"}
            one, other = (
                client.post("/sign-in", content=given, headers=headers).json() for _ in range(2)
            )

            def bearer(tokens: dict[str, str]) -> dict[str, str]:
                return {"Authorization": f"Bearer {tokens['access_token']}"}

            transport = httpx.HTTPTransport(retries=8)
            with httpx.Client(transport=transport, base_url=example.url) as api:
                shown = api.get("/", headers=bearer(one)).json()
                assert shown["session"] == one["session"]["id"]
                assert api.post("/close-shop", headers=bearer(one)).status_code == 200
                path = f"/sessions/{one['session']['id']}?wait=30"
                ended = client.delete(path, headers=bearer(other)).json()
                assert (ended["ended"], ended["state"]) == (1, "confirmed")
                refused = api.get("/", headers=bearer(one))
                assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
                assert api.get("/", headers=bearer(other)).status_code == 200
                client.post("/sign-out", headers=bearer(other))
                # Who signs out doesn't wait until every service has heard of it.
                until(lambda: api.get("/", headers=bearer(other)).status_code == 401, seconds=5)


def test_several_applications_behind_nginx(tmp_path: Path) -> None:
    nginx = proxies.find("nginx")
    with running(
        tmp_path, "behind-nginx/start.py", 4, **nginx.environment({"NGINX_PATH": nginx.path})
    ) as example:
        example.says("with the password")
        form = {"email": "ada@example.com", "password": "correct horse"}
        with example.window() as browser, example.window() as other:
            for one in (browser, other):
                assert sent_to(one.get("/orders/")) == "/auth/sign-in"
                assert sent_to(one.post("/auth/sign-in", data={**form, "next": "/orders/"})) == (
                    "/orders/"
                )
            assert session_in(browser.get("/")) == session_in(browser.get("/orders/"))
            end_the_others(other)
            for path in ("/", "/orders/"):
                refused = browser.get(path, headers={"Sec-Fetch-Mode": "cors"})
                assert json_of(refused, 401)["code"] == "session_ended"
            assert session_in(other.get("/orders/"))
            other.post("/auth/sign-out")
            assert sent_to(other.get("/")) == "/auth/sign-in"
