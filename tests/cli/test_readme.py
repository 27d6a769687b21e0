"""The README's commands do what it says, in the order in which it says them."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from tests.conftest import ROOT
from tests.support.servers import EMAIL, PASSWORD, environment, run, serving

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """Give every command of the README that starts with the program, as its arguments."""
    text = (ROOT / "README.md").read_text("utf-8").replace("\\\n", " ")
    lines = [line for block in _BLOCK.findall(text) for line in block.splitlines()]
    parsed = [shlex.split(line, comments=True) for line in lines]
    return [words[1:] for words in parsed if words[:1] == [program]]


def test_every_make_target_of_the_readme_exists() -> None:
    listed = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    ).stdout
    targets = [words[0] for words in commands("make")]
    assert targets == ["demo", "test"]
    assert all(f"make {target} " in listed for target in targets)


def test_the_readme_s_commands_work_in_their_order_beside_a_running_server(
    tmp_path: Path,
) -> None:
    key = ""
    with serving(tmp_path) as server:
        for arguments in commands("lastcall"):
            if arguments == ["serve"]:
                continue
            stdin = ""
            words = list(arguments)
            if words[:2] == ["user", "add"]:
                words, stdin = [*words, "--password-stdin"], PASSWORD + "\n"
            printed = run(tmp_path, *words, stdin=stdin)
            if words[:2] == ["key", "create"]:
                key = printed.strip().splitlines()[-1].split()[-1]
        assert key.startswith("lck_")
        [answer] = [call(words, server.port) for words in commands("curl")]
    assert answer["session"]["current"] is True
    assert EMAIL in json.dumps(commands("lastcall"))


def test_without_a_server_the_first_command_makes_the_database(tmp_path: Path) -> None:
    first = next(words for words in commands("lastcall") if words[:2] == ["user", "add"])
    done = subprocess.run(
        [sys.executable, "-m", "lastcall", *first, "--password-stdin"],
        cwd=tmp_path,
        env=environment(),
        input=PASSWORD,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "owner" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} >= {"lastcall.db", "lastcall.key"}


def call(words: list[str], port: int) -> dict[str, dict[str, object]]:
    """Do what a curl command of the README does, at the server's port."""
    headers: dict[str, str] = {}
    url, body = "", ""
    rest = iter(words)
    for word in rest:
        if word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(rest).replace("a sentence that only you know", PASSWORD)
        elif not word.startswith("-"):
            url = word
    path = urlsplit(f"http://{url}").path
    answer = httpx2.post(f"http://localhost:{port}{path}", headers=headers, content=body)
    assert answer.status_code == 200, answer.text
    said: dict[str, dict[str, object]] = answer.json()
    return said
