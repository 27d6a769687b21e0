"""A real browser and a real server for every test of the pages."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.conftest import ROOT
from tests.pages.people import Person
from tests.pages.serving import Running, serving
from tools.find_browser import FLAGS, find

Sit = Callable[..., Person]


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Start the browser that `make setup` found."""
    known = ROOT / ".venv" / "chromium-path"
    path = known.read_text() if known.exists() else find(os.environ)
    with sync_playwright() as playwright:
        options = [*FLAGS, *flags]
        opened = playwright.chromium.launch(executable_path=path or None, args=options)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The tests' browser. It ends with the file: while Playwright runs, nothing else can have an
    event loop in this thread."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Running]:
    """A server with an account and its owner, Ada."""
    with serving(tmp_path) as running:
        running.add_owner()
        yield running


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without"])
def javascript(request: pytest.FixtureRequest) -> bool:
    """Whether the browsers run JavaScript; the test is run both ways."""
    return bool(request.param)


def put_down(page: Page) -> None:
    """Leave a page. To close one that is just leaving by itself may never end."""
    for _ in range(3):
        with suppress(Error):  # its own way out came first
            page.goto("about:blank")
            return


@pytest.fixture
def sit(browser: Browser) -> Iterator[Sit]:
    """Opens browsers. At the end none may have complained, and nothing may have left the site."""
    people: list[Person] = []

    def sit_down(site: Running, *args: object, **more: object) -> Person:
        people.append(partial(Person.sit_down, browser, site)(*args, **more))  # type: ignore[arg-type]
        return people[-1]

    yield sit_down
    for person in people:
        for page in person.page.context.pages:
            put_down(page)
        person.page.context.close()
        assert not person.complaints
        assert not person.strangers
