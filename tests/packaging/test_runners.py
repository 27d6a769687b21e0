"""The built wheel served by programs that install and run in one go. They fetch what it needs."""

import os
import re
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import pytest

from tests.support.servers import environment

_STYLE = re.compile(r'href="(/static/[^"]*\.css)"')


def fetch(url: str) -> tuple[str, str]:
    """Get a page's media type and text."""
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  a server of our own
        return answer.headers.get_content_type(), answer.read().decode()


def runner(name: str, folder: Path, wanted: str) -> list[str]:
    """Give the command that runs `lastcall` with `pipx` or with `uvx`."""
    if name == "uvx":
        return [sys.executable, "-m", "uv", "tool", "run", "--from", wanted, "lastcall"]
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "pipx"], check=True)
    return [python, "-m", "pipx", "run", "--spec", wanted, "lastcall"]


@pytest.mark.soak
@pytest.mark.parametrize("name", ["pipx", "uvx"])
def test_a_page_with_its_style_is_served_on_a_fresh_database(
    name: str, wheel: Path, tmp_path: Path
) -> None:
    command = runner(name, tmp_path / "runner", f"lastcall[server] @ {wheel.as_uri()}")
    here = tmp_path / "here"
    here.mkdir()
    with subprocess.Popen(
        [*command, "serve", "--port", "0"],
        cwd=here,
        env={**environment(), "PIPX_HOME": str(tmp_path / "pipx")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("lastcall is ready at ").strip()
            assert url.startswith("http://localhost:")
            kind, page = fetch(url + "/sign-in")
            assert kind == "text/html"
            style = _STYLE.search(page)
            assert style is not None
            assert fetch(url + style[1])[0] == "text/css"
            assert (here / "lastcall.db").exists()
        finally:
            os.killpg(process.pid, 9)
