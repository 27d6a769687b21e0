"""Make what lastcall knows of languages from CLDR: the countries' English names for places
(src/lastcall/device/countries.json), and for each language of the pages its names of countries,
dates and numbers (src/lastcall/web/locale/*/forms.json).

CLDR comes with Babel, which is larger than all that lastcall installs and is therefore wanted only
for development. Run it after Babel has changed, or for a new language after its folder was made:

    .venv/bin/python -m tools.make_locales

The licence notice (Unicode-3.0) is in THIRD_PARTY.md; keep its years in step.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

from babel import Locale

PACKAGE: Final = Path(__file__).parents[1] / "src" / "lastcall"
COUNTRIES: Final = PACKAGE / "device" / "countries.json"
LOCALE: Final = PACKAGE / "web" / "locale"

WORLD_ENGLISH: Final = "en_001"
"""Day before month, as most of the world's readers of English write."""

# Groups of countries, test codes and "unknown": no places that somebody signs in from.
NOT_COUNTRIES: Final = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}


def countries(tag: str) -> dict[str, str]:
    """Give the names of countries by their codes (ISO 3166-1 alpha-2)."""
    territories = Locale.parse(tag, sep="-").territories
    return {
        code: territories[code]
        for code in sorted(territories)
        if re.fullmatch("[A-Z]{2}", code) and code not in NOT_COUNTRIES
    }


def forms(tag: str) -> dict[str, Any]:
    """Give how a language writes dates, numbers and countries. English countries are already the
    places' own."""
    locale = Locale.parse(tag, sep="-")
    dates = Locale.parse(WORLD_ENGLISH) if tag == "en" else locale
    pattern = dates.datetime_skeletons["yMMMd"].pattern
    parts = {"d": "{day}", "MMM": "{month}", "y": "{year}"}
    months = locale.months["format"]["abbreviated"]
    return {
        "date": re.sub("d|MMM|y", lambda found: parts[found[0]], pattern),
        "months": [months[number] for number in range(1, 13)],
        "group": locale.number_symbols["latn"]["group"],
        "countries": {} if tag == "en" else countries(tag),
    }


def files() -> dict[Path, str]:
    """Give every file's content."""
    tags = sorted(folder.name for folder in LOCALE.iterdir() if folder.is_dir())
    contents: dict[Path, Any] = {COUNTRIES: countries("en")}
    contents |= {LOCALE / tag / "forms.json": forms(tag) for tag in tags}
    return {
        path: json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        for path, content in contents.items()
    }


def main() -> None:
    """Write the files anew."""
    for path, text in files().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
