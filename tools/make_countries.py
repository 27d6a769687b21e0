"""Make src/lastcall/device/countries.json: ISO 3166-1 alpha-2 codes to English names, from CLDR.

CLDR comes with Babel, which is larger than all that lastcall installs and is therefore wanted only
for development. Run it after Babel has changed:

    .venv/bin/python -m tools.make_countries

The licence notice (Unicode-3.0) is in THIRD_PARTY.md; keep its years in step.
"""

import json
import re
from pathlib import Path

from babel import Locale

TARGET = Path(__file__).parents[1] / "src" / "lastcall" / "device" / "countries.json"

# Groups of countries, test codes and "unknown": no places that somebody signs in from.
NOT_COUNTRIES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}


def main() -> None:
    """Write the file anew."""
    territories = Locale("en").territories
    countries = {
        code: territories[code]
        for code in sorted(territories)
        if re.fullmatch("[A-Z]{2}", code) and code not in NOT_COUNTRIES
    }
    TARGET.write_text(json.dumps(countries, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
