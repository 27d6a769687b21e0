"""The documentation's site: its links lead somewhere, and it loads nothing from elsewhere."""

import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import ROOT
from tools import make_http_api, site


class Page(HTMLParser):
    """A page's places, its links, and what a browser loads with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names."""
        given = dict(attrs)
        if given.get("id"):
            self.places.add(given["id"] or "")
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        elif tag in {"script", "img", "iframe"} and given.get("src"):
            self.loads.append(given["src"] or "")
        elif tag == "link" and given.get("rel") != "canonical" and given.get("href"):
            self.loads.append(given["href"] or "")

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text.append(data)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site."""
    folder = tmp_path_factory.mktemp("site")
    site.build(folder)
    return folder


@pytest.fixture(scope="module")
def pages(built: Path) -> dict[str, Page]:
    """The site's pages, by their paths."""
    return {
        f"/{file.relative_to(built).as_posix().removesuffix('index.html')}": Page(
            file.read_text("utf-8")
        )
        for file in built.glob("**/*.html")
        if file.name != "404.html"
    }


def test_every_link_of_the_site_leads_to_a_page_and_a_place_of_it(
    pages: dict[str, Page], built: Path
) -> None:
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = posixpath.normpath(posixpath.join(path, parts.path)) if parts.path else path
            if parts.path.endswith("/") or parts.path in {".", ".."}:
                there = there.rstrip("/") + "/"
            known = there in pages or (built / there.lstrip("/")).is_file()
            place = unquote(parts.fragment)
            if not known or (place and there in pages and place not in pages[there].places):
                wrong.append((path, link))
    assert len(pages) > 40
    assert not wrong


def test_the_site_loads_nothing_from_elsewhere(pages: dict[str, Page], built: Path) -> None:
    loaded = {urlsplit(one).netloc for page in pages.values() for one in page.loads}
    styles = [file.read_text("utf-8") for file in built.glob("**/*.css")]
    assert sum(len(page.loads) for page in pages.values()) > 40
    assert styles
    assert loaded == {""}
    assert not [
        one
        for style in styles
        for one in re.findall(r"(?:url\(|@import\s+)[\"']?(https?:|//)", style)
    ]


def test_the_first_screen_says_what_lastcall_is(pages: dict[str, Page]) -> None:
    assert "lastcall is session management for Python web applications and APIs." in pages["/"].text


def test_every_page_of_docs_is_in_the_navigation() -> None:
    def files(entries: object) -> Iterator[str]:
        match entries:
            case str(name):
                yield name
            case list(several):
                for one in several:
                    yield from files(one)
            case dict(named):
                for one in named.values():
                    yield from files(one)
            case _:
                raise AssertionError(entries)

    listed = set(files(site.configuration()["nav"]))
    docs = ROOT / "docs"
    assert listed >= {file.relative_to(docs).as_posix() for file in docs.glob("**/*.md")}


# The repository


def repository_pages() -> list[Path]:
    """The pages that people read in the repository."""
    own = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")]
    return [
        *own,
        *(
            file
            for where in ("docs", "examples", "vectors")
            for file in sorted((ROOT / where).glob("**/*.md"))
        ),
    ]


def places(page: Path) -> set[str]:
    """The places of a page, as code hosts name them after its headings."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_link_in_the_repository_leads_to_a_file_and_a_place_in_it() -> None:
    wrong, count = [], 0
    for page in repository_pages():
        prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose):
            name, _, place = link.partition("#")
            there = (page.parent / name).resolve() if name else page
            count += 1
            if not there.exists() or (place and place not in places(there)):
                wrong.append(f"{page.relative_to(ROOT)}: {link}")
    assert count > 50
    assert not wrong


def test_the_page_of_the_http_api_says_what_the_server_says() -> None:
    text = make_http_api.PAGE.read_text("utf-8")
    assert make_http_api.MARK in text
    assert make_http_api.written(text) == text, "run `python -m tools.make_http_api`"
