"""Find a Chromium to test with: an installed one, else Playwright's own, else the system's package.

Each candidate is started once: what can't show a page is no browser.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from playwright.sync_api import Error, sync_playwright

VARIABLE: Final = "LASTCALL_TEST_CHROMIUM"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES: Final = (
    "/usr/bin/chromium",
    "/snap/bin/chromium",
    "/opt/google/chrome/chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
)
FLAGS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # Chromium's sandbox can't start as root, nor in most containers
)
OWN: Final = "Playwright's own Chromium"
PLAYWRIGHT_SECONDS: Final = 300
"""After which fetching Playwright's own browser is given up."""
ADVICE: Final = f"""\
The tests need Chromium or Chrome, and none could be found or installed. Either
  - install one (Debian, Ubuntu: apt-get install chromium), or
  - let Playwright fetch one: .venv/bin/playwright install --with-deps chromium, or
  - say where one is: {VARIABLE}=/path/to/chromium make test"""


class NoBrowserError(Exception):
    """There is no browser to test with; the message says what to do."""


def installed(environ: Mapping[str, str]) -> Iterator[str]:
    """Paths where a browser may be, the likeliest first.

    Raises:
        NoBrowserError: LASTCALL_TEST_CHROMIUM names a file that doesn't exist.
    """
    named = environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise NoBrowserError(f"{VARIABLE} names {named}, which is no file.")
        yield named
        return
    for name in NAMES:
        found = shutil.which(name, path=environ.get("PATH", os.defpath))
        if found:
            yield found
    yield from (place for place in PLACES if Path(place).is_file())


def starts(path: str | None) -> bool:
    """Whether the browser at that path (None: Playwright's own) shows a page."""
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            shown: bool = browser.new_page().evaluate("1 + 1") == 2
            browser.close()
    except Error as error:
        reason = error.message.strip().splitlines()[0]
        print(f"{path or OWN} does not start: {reason}", file=sys.stderr)
        return False
    return shown


def fetch_with_playwright() -> bool:
    """Let Playwright download its own Chromium; whether that went well."""
    print("No Chromium is installed; fetching Playwright's own ...", file=sys.stderr)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    try:
        done = subprocess.run(command, timeout=PLAYWRIGHT_SECONDS, stdout=sys.stderr, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def install_with_apt() -> bool:
    """Install the system's package, where this is Debian or Ubuntu and we are root."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return False
    print("Installing the system's Chromium with apt-get ...", file=sys.stderr)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return all(
        subprocess.run(command, env=environ, stdout=sys.stderr, check=False).returncode == 0
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        )
    )


def find(environ: Mapping[str, str]) -> str | None:
    """The path of a browser that starts; None is Playwright's own.

    Raises:
        NoBrowserError: there is none, and none could be installed.
    """
    for path in installed(environ):
        if starts(path):
            return path
    if VARIABLE in environ:
        raise NoBrowserError(f"{VARIABLE} names {environ[VARIABLE]}, which does not start.")
    if fetch_with_playwright() and starts(None):
        return None
    if install_with_apt():
        for path in installed(environ):
            if starts(path):
                return path
    raise NoBrowserError(ADVICE)


def main(answer: str) -> int:
    """Write the browser's path into the file `answer`, nothing for Playwright's own; 1 if none."""
    try:
        path = find(os.environ)
    except NoBrowserError as error:
        print(error, file=sys.stderr)
        return 1
    Path(answer).write_text(path or "")
    print(f"The tests' browser: {path or OWN}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
