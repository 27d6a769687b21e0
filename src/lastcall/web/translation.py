"""The reader's language: which one it is, its texts in gettext's words, its dates and numbers.

A language is a folder of `locale`: `forms.json`, which `tools/make_locales.py` makes from CLDR, and
but for English, in which the texts stand in the code, a gettext catalog.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from gettext import GNUTranslations, NullTranslations
from importlib import resources
from typing import Final, Self

from starlette.requests import Request

DEFAULT: Final = "en"
HEADER_LIMIT: Final = 512
"""Characters of an `Accept-Language` header that are looked at."""

_RANGE: Final = re.compile(
    r"\s*(?P<tag>[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*"
    r"(?:;\s*[qQ]=(?P<q>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Language:
    """A language that the pages speak."""

    tag: str
    """As in `<html lang>` (BCP 47)."""
    texts: NullTranslations
    date: str
    """How day, month and year go together."""
    months: tuple[str, ...]
    group: str
    """What stands between a number's thousands."""
    countries: Mapping[str, str]
    """Names by ISO 3166-1 alpha-2 codes; empty where they are those that the places have."""

    @classmethod
    def load(cls, tag: str) -> Self:
        """Read a language from the package."""
        folder = resources.files("lastcall.web").joinpath("locale", tag)
        forms = json.loads(folder.joinpath("forms.json").read_text("utf-8"))
        texts = NullTranslations()
        if tag != DEFAULT:
            with folder.joinpath("LC_MESSAGES", "lastcall.mo").open("rb") as file:
                texts = GNUTranslations(file)
        return cls(
            tag, texts, forms["date"], tuple(forms["months"]), forms["group"], forms["countries"]
        )


def _load() -> dict[str, Language]:
    folders = resources.files("lastcall.web").joinpath("locale").iterdir()
    tags = sorted(folder.name for folder in folders if folder.is_dir())
    return {tag: Language.load(tag) for tag in tags}


LANGUAGES: Final = _load()
"""By their tags."""
_READER: Final = ContextVar("reader", default=LANGUAGES[DEFAULT])


def choose(accepted: str) -> Language:
    """Choose by an `Accept-Language` header (RFC 9110, section 12.5.4), by look-up (RFC 4647,
    section 3.4): "de-AT" finds German. What can't be read is passed over; English is the last
    resort."""
    ranges: list[tuple[float, str]] = []
    for part in accepted[:HEADER_LIMIT].split(","):
        found = _RANGE.fullmatch(part)
        if found is not None:
            ranges.append((float(found["q"] or 1), found["tag"].lower()))
    refused = {tag for quality, tag in ranges if not quality}
    names = {tag.lower(): tag for tag in (DEFAULT, *LANGUAGES)}
    offered = {low: LANGUAGES[tag] for low, tag in names.items() if low not in refused}
    ranges.sort(key=lambda each: -each[0])  # stable: of equals, the first
    for quality, tag in ranges:
        if quality and tag == "*" and offered:
            return next(iter(offered.values()))
        while quality and tag:
            if tag in offered:
                return offered[tag]
            tag = tag.rpartition("-")[0]  # noqa: PLW2901  shorter and shorter, as RFC 4647 says
    return LANGUAGES[DEFAULT]


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Speak a language until the block ends."""
    token = _READER.set(language)
    try:
        yield
    finally:
        _READER.reset(token)


def reading(request: Request) -> AbstractContextManager[None]:
    """Speak the language that a request asks for until the block ends."""
    return speaking(choose(",".join(request.headers.getlist("accept-language"))))


def language() -> Language:
    """Give the reader's language."""
    return _READER.get()


def gettext(text: str) -> str:
    """Give a text in the reader's language."""
    # A catalog keeps its header under the empty text.
    return language().texts.gettext(text) if text else ""


def ngettext(one: str, many: str, count: int) -> str:
    """Give the form of a text that goes with a count, in the reader's language."""
    return language().texts.ngettext(one, many, count)


def mark(text: str) -> str:
    """Name a text for the catalogs where it is translated later than where it stands."""
    return text


def mark_plural(one: str, many: str) -> tuple[str, str]:
    """Name both forms of a text, as `mark` does."""
    return one, many


def number(value: int) -> str:
    """Write a number: "10,000", "10.000"."""
    return f"{value:,}".replace(",", language().group)
