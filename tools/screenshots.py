"""Photograph every page: wide, narrow and dark, of the demo's data in a real browser.

Usage: python -m tools.screenshots FOLDER
"""

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from lastcall.cli.demo_cast import OWNER
from lastcall.cli.demo_fill import Demo
from lastcall.clock import SystemClock, system_entropy
from lastcall.settings import Settings
from tests.pages.people import Kit, Person
from tests.pages.serving import Running, serving
from tests.pages.tour import tour
from tools.find_browser import FLAGS, find

PASSWORD: Final = "velvet-otter-marble-47"  # noqa: S105  of a demo that is gone when this ends
HERE: Final = Kit(
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36",
    "81.2.69.160",
)
STYLES: Final[dict[str, dict[str, Any]]] = {
    "wide": {"viewport": {"width": 1440, "height": 900}},
    "narrow": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
}
TALL: Final = (
    "sessions", "sessions-terminated", "ended", "users", "user", "activity", "audit", "services",
)  # fmt: skip
"""Pages that are shown to their end."""


async def fill(settings: Settings) -> None:
    """Fill a database with the demo."""
    story = Demo(settings, PASSWORD, SystemClock().now(), system_entropy)
    async for _ in story.play():
        pass


def photograph(browser: Browser, style: str, folder: Path) -> None:
    """Take a picture of every page in one style."""
    size: ViewportSize = STYLES[style]["viewport"]
    with ExitStack() as stack:
        home, nowhere = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        site = stack.enter_context(serving(home, fill=fill))
        empty = stack.enter_context(serving(nowhere))

        def sit(at: Running) -> Person:
            return Person.sit_down(browser, at, HERE, **STYLES[style])

        for name, person in tour(site, empty, sit, OWNER, PASSWORD):
            person.page.mouse.move(0, 0)
            if name in TALL:
                whole = person.page.evaluate("document.documentElement.scrollHeight")
                person.page.set_viewport_size({"width": size["width"], "height": whole})
            picture = folder / f"{name}-{style}.png"
            person.page.screenshot(path=picture, animations="disabled")
            person.page.set_viewport_size(size)


def main(folder: str) -> int:
    """Write the pictures into a folder."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    path = find(os.environ)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for style in STYLES:
            photograph(browser, style, target)
        browser.close()
    print(f"{len(list(target.glob('*.png')))} pictures in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
