"""Bring the catalogs of the pages' texts up to date: take what Python and the templates hold, keep
what is translated, drop what is gone, compile. Says what wants a translation.

Usage: python -m tools.messages

The same texts give the same bytes on every machine: no dates, no places in the code.
"""

import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PAGES: Final = Path(__file__).parents[1] / "src" / "lastcall" / "web"
METHODS: Final = [("**.py", "python"), ("**.html", "jinja2")]
KEYWORDS: Final = {
    **dict.fromkeys(("_", "gettext", "mark"), None),
    **dict.fromkeys(("ngettext", "mark_plural"), (1, 2)),
}
KEPT_HEADERS: Final = (
    *("Language", "Plural-Forms"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
)
COMMENT: Final = "# `make messages` keeps this file; translate what has an empty msgstr."


class Translation(Catalog):
    """A catalog whose header says nothing of who made it, when and where."""

    def __init__(self, tag: str) -> None:
        super().__init__(locale=tag.replace("-", "_"), fuzzy=False, header_comment=COMMENT)

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """What a reader of the catalog needs."""
        return [(name, value) for name, value in super().mime_headers if name in KEPT_HEADERS]


def extract(folder: Path = PAGES) -> set[str | tuple[str, str]]:
    """Give every text for readers in a folder; one with a plural as both its forms."""
    options = {"**.html": {"silent": "false"}}
    found = extract_from_dir(folder, METHODS, options, KEYWORDS, strip_comment_tags=False)
    return {text for _, _, text, _, _ in found}  # type: ignore[misc]


def languages(pages: Path = PAGES) -> Iterator[tuple[str, Path]]:
    """Give each language that has a catalog, or should, and the folder of the catalog."""
    for folder in sorted((pages / "locale").iterdir()):
        if folder.is_dir() and folder.name != "en":
            yield folder.name, folder / "LC_MESSAGES"


def load(tag: str, folder: Path) -> Catalog:
    """Read a catalog as it stands; an empty one where there is none."""
    path = folder / "lastcall.po"
    if not path.exists():
        return Translation(tag)
    with path.open("rb") as file:
        return read_po(file, locale=tag.replace("-", "_"))


def updated(tag: str, old: Catalog, texts: set[str | tuple[str, str]]) -> Translation:
    """Give a catalog of these texts, with the translations that an old one has of them."""
    new = Translation(tag)
    for text in sorted(texts, key=str):
        known = old.get(text if isinstance(text, str) else text[0])
        same = known is not None and known.id == text
        new.add(
            text,
            known.string if same and known else None,
            user_comments=known.user_comments if same and known else (),
            flags=known.flags & {"fuzzy"} if same and known else (),
        )
    return new


def untranslated(catalog: Catalog) -> list[Message]:
    """Give the messages that want a translation."""
    messages = (message for message in catalog if message.id)
    return [message for message in messages if message.fuzzy or not all(forms(message))]


def forms(message: Message) -> Sequence[str]:
    """Give the translation's forms: one, or as many as the language has plurals."""
    string = message.string
    return [string or ""] if isinstance(string, str | None) else string


def written(catalog: Catalog) -> tuple[bytes, bytes]:
    """Give the bytes of a catalog's `.po` and `.mo`."""
    text, compiled = BytesIO(), BytesIO()
    write_po(text, catalog, width=100, no_location=True, sort_output=True)
    write_mo(compiled, catalog)
    return text.getvalue(), compiled.getvalue()


def main() -> int:
    """Bring every catalog up to date."""
    texts = extract()
    for tag, folder in languages():
        catalog = updated(tag, load(tag, folder), texts)
        folder.mkdir(exist_ok=True)
        for name, content in zip(("lastcall.po", "lastcall.mo"), written(catalog), strict=True):
            (folder / name).write_bytes(content)
        wanting = untranslated(catalog)
        print(f"{tag}: {len(catalog) - len(wanting)} of {len(catalog)} texts are translated")
        for message in wanting:
            print(f"  {message.id}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
