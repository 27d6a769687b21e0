"""The pages in the reader's language: whole, in its forms, and with room for its words."""

import re
from collections.abc import Iterator
from dataclasses import replace
from gettext import NullTranslations
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from lastcall.sessions.model import Client, SignIn
from lastcall.web import translation
from lastcall.web.translation import LANGUAGES
from tests.pages.conftest import Sit
from tests.pages.people import MAC, PHONE, SESSIONS, WINDOWS, Person
from tests.pages.serving import EMAIL, PASSWORD, Running, serving
from tests.pages.tour import tour
from tools import messages

OPEN, CLOSE = "\u200b", "\u00ad"
"""Around each text of the catalogs. Not to be seen, so that the tour finds its way by the words;
reports show them as brackets."""
MARKED = re.compile(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}")

DATA = re.compile(
    r"\b(?:lastcall|Acme|Ada Lovelace|AL|[\w.]+@example\.com|Nora New|Grace Hopper"
    r"|shop|warehouse|Macintosh|Windows|iPhone|macOS|iOS|Safari|Firefox)\b"
)
"""What pages say in every language: names of the product, of people and of things. What a test
reports belongs here only if somebody has typed it in, or it is called so everywhere."""

SAID = """() => {
    const said = [];
    const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
    // app.js writes times, in the language that the next tests look at; codes are for programs.
    while (walker.nextNode()) {
        const node = walker.currentNode;
        if (!node.parentElement.closest("script, style, time, code")) said.push(node.data);
    }
    const names = ["alt", "aria-description", "aria-label", "aria-roledescription",
                   "aria-valuetext", "placeholder", "title"];
    for (const element of document.querySelectorAll("*")) for (const name of names) {
        if (element.localName !== "time") said.push(element.getAttribute(name) ?? "");
    }
    for (const button of document.querySelectorAll("input:is([type=submit], [type=button])")) {
        said.push(button.value);
    }
    return said;
}"""


class Marks(NullTranslations):
    """A language that puts marks around the texts of the catalogs; others stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        texts = messages.extract()
        self.known = {
            form for text in texts for form in ([text] if isinstance(text, str) else text)
        }

    def gettext(self, message: str) -> str:
        """Mark a text."""
        return f"{OPEN}{message}{CLOSE}" if message in self.known else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Mark the form for a number."""
        return self.gettext(super().ngettext(msgid1, msgid2, n))


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages' English, with marks."""
    english = LANGUAGES["en"]
    language = replace(
        english,
        texts=Marks(),
        date=f"{OPEN}{english.date}{CLOSE}",
        countries={code: f"{OPEN}{code}{CLOSE}" for code in LANGUAGES["de"].countries},
    )
    monkeypatch.setitem(translation.LANGUAGES, "en", language)


@pytest.fixture
def both(site: Running, tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    """A site with sessions, and one without an account."""

    async def sign_in() -> None:
        for kit in (WINDOWS, PHONE):
            seen = SignIn(kit.user_agent, {}, kit.ip)
            await site.node.identity.sign_in(EMAIL, PASSWORD, Client("browser"), seen)
        unknown = SignIn(None, {}, None)
        await site.node.identity.sign_in(EMAIL, PASSWORD, Client("native"), unknown)

    site.run(sign_in())
    folder = tmp_path / "empty"
    folder.mkdir()
    with serving(folder) as empty:
        yield site, empty


def missed(texts: list[str]) -> list[str]:
    """Give the texts with words that are neither marked nor data."""
    found = []
    for text in texts:
        rest = text
        while MARKED.search(rest):  # one may stand in another: "Ended by an application"
            rest = MARKED.sub("", rest)
        if re.search(r"[^\W\d_]", DATA.sub("", rest)):
            found.append(" ".join(text.replace(OPEN, "⟦").replace(CLOSE, "⟧").split()))
    return found


@pytest.mark.usefixtures("marked")
def test_every_word_of_every_page_comes_from_a_catalog(
    both: tuple[Running, Running], sit: Sit
) -> None:
    for name, person in tour(*both, sit, EMAIL, PASSWORD):
        said = person.page.evaluate(SAID)
        assert any(MARKED.search(text) for text in said), name
        assert missed(said) == [], name


def test_a_word_without_a_mark_is_seen() -> None:
    marked = [f"{OPEN}Ended by {OPEN}an application{CLOSE}{CLOSE} · lastcall", "81.2.69.142", " "]
    assert missed(marked) == []
    assert missed([*marked, f"Ended by {OPEN}an application{CLOSE}"]) == [
        "Ended by ⟦an application⟧"
    ]


def in_german(person: Person) -> Page:
    """Open the page that somebody is at in another tab, in German."""
    page = person.page.context.new_page()
    browser = {"userAgent": page.evaluate("navigator.userAgent"), "acceptLanguage": "de-DE"}
    page.context.new_cdp_session(page).send("Emulation.setUserAgentOverride", browser)
    page.goto(person.page.url)
    return page


def test_german_words_have_room_at_any_width(both: tuple[Running, Running], sit: Sit) -> None:
    """Nothing to scroll for sideways, neither on a page nor in what opens on it."""
    for name, person in tour(*both, sit, EMAIL, PASSWORD):
        page = in_german(person)
        assert page.locator("html[lang=de]").count() == 1, name
        for width in (360, 820, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            too_wide = page.evaluate(
                """() => {
                    document.querySelectorAll("details").forEach((each) => each.open = true);
                    for (const dialog of document.querySelectorAll("dialog")) {
                        dialog.close();
                        dialog.showModal();
                        if (dialog.scrollWidth > dialog.clientWidth) return "a dialog";
                        dialog.close();
                    }
                    for (const button of document.querySelectorAll(".button")) {
                        if (button.scrollWidth > button.clientWidth) return "a button";
                    }
                    return document.documentElement.scrollWidth > innerWidth ? "the page" : "";
                }"""
            )
            assert not too_wide, f"{too_wide} of {name} scrolls sideways at {width} px"
        page.close()


def test_somebody_with_a_german_browser_reads_german(
    site: Running, sit: Sit, javascript: bool
) -> None:
    sit(site, WINDOWS).signs_in()
    ada = sit(site, MAC, locale="de-DE", java_script_enabled=javascript)
    ada.goes_to("/sign-in")
    page = ada.page
    expect(page).to_have_title("Anmelden · lastcall")
    expect(page.get_by_role("heading", level=1)).to_have_text("Anmelden")
    page.get_by_label("E-Mail-Adresse").fill(EMAIL)
    for password, shown in (("falsch", True), (PASSWORD, False)):
        page.get_by_role("textbox", name="Passwort").fill(password)
        with page.expect_navigation():
            page.get_by_role("button", name="Anmelden", exact=True).click()
        expect(page.get_by_text("Die E-Mail-Adresse oder das Passwort ist falsch.")).to_have_count(
            int(shown)
        )
    ada.is_at(SESSIONS)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sitzungen")
    own, windows = ada.rows
    at = r"\d\d\.\d\d\.20\d\d, \d\d:\d\d" if javascript else r"\d{1,2}\. \S+ 20\d\d, \d\d:\d\d UTC"
    for row, country in ((own, "Vereinigtes Königreich"), (windows, "Deutschland")):
        assert country in row
        assert "jetzt" in row
        assert re.search(r"in (23 Stunden|1 Tag) \| bei Nichtnutzung", row)
        assert re.search(at, row), row
    assert "Abmelden" in own
    page.get_by_role("row", name="Windows").get_by_role("link", name="Sitzung beenden").click()
    asked = page.get_by_role("dialog") if javascript else page.locator("main")
    expect(asked.get_by_role("heading")).to_have_text("Diese Sitzung beenden?")
    asked.get_by_role("button", name="Sitzung beenden").click()
    expect(page.locator("#result")).to_contain_text("Überall abgemeldet. 1 Sitzung beendet.")
    ada.goes_to(f"{SESSIONS}?ended=true")
    assert "Beendet von Safari on macOS aus" in ada.rows[0]


ACCEPT = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize("language", [None, "de-AT, en;q=0.5", "fr"])
@pytest.mark.parametrize("path", ["/sign-in", "/nowhere", "/setup?token=x", "/sign-out"])
def test_a_page_says_its_language_and_that_another_reader_may_get_another(
    site: Running, path: str, language: str | None
) -> None:
    """Of error pages too. RFC 9110, sections 8.5 and 12.5.5."""
    headers = ACCEPT | ({"Accept-Language": language} if language else {})
    answer = httpx.get(site.url + path, headers=headers)
    tag = "de" if language and language.startswith("de") else "en"
    assert answer.headers["content-language"] == tag
    assert answer.headers["vary"] == "accept-language"
    assert f'<html lang="{tag}">' in answer.text


def test_several_headers_count_as_one(site: Running) -> None:
    headers = [("Accept-Language", "fr"), ("Accept-Language", "de;q=0.5")]
    answer = httpx.get(site.url + "/sign-in", headers=headers)
    assert answer.headers["content-language"] == "de"


def test_programs_read_english(site: Running) -> None:
    answer = httpx.get(site.url + "/api/v1/session", headers={"Accept-Language": "de"})
    assert "content-language" not in answer.headers
    assert answer.json()["title"] == "Unauthorized"
