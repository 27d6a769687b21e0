"""`serve` and `demo` as real processes: what they print when, and how they end."""

import errno
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lastcall.cli.serving import Listener, listen
from lastcall.errors import Error
from tests.support.servers import add_owner, environment

READY = re.compile(r"lastcall is ready at (http://localhost:[0-9]+)\n")


@contextmanager
def started(folder: Path, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a folder; whatever happens, it is gone at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lastcall", *arguments],
        cwd=folder,
        env={**environment(), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """The next line of standard output."""
    assert process.stdout is not None
    return process.stdout.readline()


def stop(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    """Stop a process by a signal; give its status and what it still wrote."""
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def fetch(url: str, body: object = None, token: str | None = None) -> Any:  # noqa: ANN401
    """Ask for something; give the decoded JSON."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310  a server of our own
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


# Serving


def test_a_server_says_when_it_is_ready_and_ends_in_order(tmp_path: Path) -> None:
    """With an empty database it prints a link to make the first account; with a user it doesn't."""
    with started(tmp_path, "serve", "--port", "0") as process:
        ready = READY.fullmatch(line(process))
        assert ready is not None
        link = line(process)
        assert re.fullmatch(re.escape(ready[1]) + r"/setup\?token=[A-Za-z0-9_-]{43}\n", link)
        assert fetch(ready[1] + "/healthz") == {"status": "ok"}
        status, out, err = stop(process, signal.SIGTERM)
    assert (status, out) == (0, "")
    assert err == (
        "There is no account yet. Make the first one with this link, which works once, "
        "within 24 h:\n"
    )
    add_owner(tmp_path)
    with started(tmp_path, "serve", "--port", "0") as process:
        assert READY.fullmatch(line(process))
        assert stop(process, signal.SIGINT) == (0, "", "")


def test_programs_get_the_address_and_the_link_in_one_object(tmp_path: Path) -> None:
    public = ("--public-url", "https://login.example.com")
    with started(tmp_path, "serve", "--port", "0", "--json", *public) as process:
        data = json.loads(line(process))
        assert set(data) == {"url", "setup_url"}
        assert data["url"].startswith("http://localhost:")
        assert data["setup_url"].startswith("https://login.example.com/setup?token=")
        assert stop(process, signal.SIGTERM) == (0, "", "")


def test_several_workers_serve_one_database_and_log_no_secret(tmp_path: Path) -> None:
    add_owner(tmp_path)
    several = ("serve", "--port", "0", "--workers", "2", "--host", "0.0.0.0", "--access-log")
    with started(tmp_path, *several) as process:
        ready = READY.fullmatch(line(process))
        assert ready is not None
        assert fetch(ready[1] + "/healthz?token=secret") == {"status": "ok"}
        status, out, err = stop(process, signal.SIGTERM)
    assert (status, out) == (0, "")
    assert "set it with --public-url" in err
    assert '"GET /healthz HTTP/1.1" 200' in err
    assert "secret" not in err
    assert "Traceback" not in err


def test_workers_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    """Else they would hold the port, and nobody would stop them."""
    add_owner(tmp_path)
    with started(tmp_path, "serve", "--port", "0", "--workers", "2") as process:
        ready = READY.fullmatch(line(process))
        assert ready is not None
        # The workers hold the pipes: reading them ends when the last one has.
        assert stop(process, signal.SIGKILL)[0] == -signal.SIGKILL
    with socket.create_server(("127.0.0.1", int(ready[1].rpartition(":")[2]))):
        pass


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_taken_port_is_refused_with_advice(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(tmp_path, command, "--port", str(port)) as process:
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == (
        f"lastcall: port {port} is taken by another program; stop that one, or choose another "
        "port with --port (0 takes any that is free)\n"
    )
    assert not list(tmp_path.iterdir())


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    with started(tmp_path, "serve", "--port", "0", "--host", "203.0.113.7") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err == "lastcall: this machine has no address 203.0.113.7; check --host\n"


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (errno.EACCES, "port 80 is reserved for the system; choose one above 1023 with --port"),
        (errno.EADDRNOTAVAIL, "this machine has no address 127.0.0.1; check --host"),
        (errno.ENOBUFS, "can't listen on 127.0.0.1 port 80: No buffer space available"),
    ],
)
def test_a_port_that_can_not_be_had_is_refused_with_advice(
    failure: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(failure, os.strerror(failure))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(Error, match=re.escape(advice)), listen("127.0.0.1", 80):
        pass


def test_a_host_of_no_machine_is_refused_with_advice() -> None:
    with pytest.raises(Error, match="no address nowhere"), listen("nowhere.invalid", 0):
        pass


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8000"),
        ("127.0.0.2", "http://localhost:8000"),
        ("::1", "http://localhost:8000"),
        ("localhost", "http://localhost:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("192.0.2.1", "http://192.0.2.1:8000"),
        ("2001:db8::1", "http://[2001:db8::1]:8000"),
    ],
)
def test_loopback_is_shown_by_name(host: str, url: str) -> None:
    with socket.socket() as unused:
        assert Listener(unused, host, (host, 8000)).url == url


# The demo


def test_the_demo_is_full_and_is_gone_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    place = {"TMPDIR": str(tmp_path / "tmp")}
    with started(tmp_path, "demo", "--port", "0", "--json", **place) as process:
        data = json.loads(line(process))
        assert set(data) == {"url", "email", "password"}
        assert re.fullmatch(r"[a-z]+-[a-z]+-[a-z]+-[0-9]{2}", data["password"])
        api = data["url"] + "/api/v1"
        tokens = fetch(api + "/sign-in", {"email": data["email"], "password": data["password"]})
        active = fetch(api + "/sessions", token=tokens["access_token"])["sessions"]
        ended = fetch(api + "/sessions?ended=true", token=tokens["access_token"])["sessions"]
        (home,) = (tmp_path / "tmp").iterdir()
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()} == {0o600}
        assert stop(process, signal.SIGTERM) == (0, "", "")
    others = [session for session in active if not session["current"]]
    assert len(others) >= 9
    assert len({session["location"]["country_code"] for session in others}) >= 6
    assert {session["device"]["type"] for session in others} >= {"desktop", "mobile", "tablet"}
    assert "Acme iOS app" in {session["name"] for session in others}
    assert all(session["expires_in"] > 3600 for session in others)
    assert {session["end_reason"] for session in ended} == {
        "expired_inactive",
        "password_changed",
        "refresh_reuse",
        "reported",
        "signed_out",
        "terminated_by_admin",
        "terminated_by_user",
    }
    assert not list((tmp_path / "tmp").iterdir())
    assert [file.name for file in tmp_path.iterdir()] == ["tmp"]


def test_a_demo_that_is_stopped_while_it_fills_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--port", "0", TMPDIR=str(tmp_path)) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Filling the demo\n"
        status, out, err = stop(process, signal.SIGINT)
    assert (status, out) == (0, "")
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_a_demo_may_be_kept_in_a_new_database_and_only_there(tmp_path: Path) -> None:
    kept = ("demo", "--port", "0", "--database-url", "sqlite:///kept.db")
    with started(tmp_path, *kept) as process:
        assert READY.fullmatch(line(process))
        assert line(process) == "E-mail:   demo@example.com\n"
        assert re.fullmatch(r"Password: [a-z0-9-]+\n", line(process))
        status, _, err = stop(process, signal.SIGINT)
    assert status == 0
    assert "Made the account Acme: 14 users" in err
    before = (tmp_path / "kept.db").read_bytes()
    with started(tmp_path, *kept) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "kept.db exists already" in err
    assert (tmp_path / "kept.db").read_bytes() == before
