"""The data files: places and devices are as good as the data that they come from are new."""

from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Final

from lastcall.device.place import Locator, PlaceDataError
from lastcall.doctor.check import Check, ok, problem, warning

CITY_OLD: Final = timedelta(days=183)
RULES_OLD: Final = timedelta(days=365)
_RULES: Final = "ua-parser-builtins"
_COUNTRIES: Final = "iptocc"


def examine(city_db: Path | None, now: datetime) -> tuple[Check, ...]:
    """Check each kind of data: whether it opens, and its age."""
    return _cities(city_db, now), _countries(now), _devices(now)


def rules_built() -> datetime | None:
    """Give the month of the user-agent rules, whose version it is."""
    try:
        return datetime.strptime(metadata.version(_RULES)[:6], "%Y%m").replace(tzinfo=UTC)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _cities(path: Path | None, now: datetime) -> Check:
    name = "city data"
    if path is None:
        return ok(name, "none: sessions show their country")
    try:
        locator = Locator.open(path)
    except PlaceDataError as error:
        found, _, advice = str(error).partition(". ")
        return problem(name, found, advice)
    built, source = locator.built, locator.source
    locator.close()
    if built is not None and now - built > CITY_OLD:
        return warning(
            name,
            f"{path} was built on {built:%Y-%m-%d}, {(now - built).days} days ago; addresses have "
            "moved since",
            "Fetch a newer one and rename it over the file of LASTCALL_CITY_DB.",
        )
    return ok(name, source.partition(", iptocc")[0])


def _countries(now: datetime) -> Check:
    name = "country data"
    try:
        found = metadata.distribution(_COUNTRIES)
    except metadata.PackageNotFoundError:
        return problem(name, f"{_COUNTRIES} is missing", "Run: pip install 'lastcall[server]'")
    said = f"{_COUNTRIES} {found.version}"
    try:
        # The data are in the package, which says nothing of their age: they are no newer than this.
        file = Path(str(found.locate_file(_COUNTRIES))) / "__init__.py"
        came = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError):
        return ok(name, said)
    if now - came > RULES_OLD:
        return warning(
            name,
            f"{said} was installed {(now - came).days} days ago",
            f"Run: pip install --upgrade {_COUNTRIES}",
        )
    return ok(name, f"{said}, installed {came:%Y-%m-%d}")


def _devices(now: datetime) -> Check:
    name = "device rules"
    built = rules_built()
    if built is None:
        return ok(name, "can't tell their age")
    if now - built > RULES_OLD:
        return warning(
            name,
            f"{_RULES} is of {built:%Y-%m}: newer browsers may show as unknown",
            f"Run: pip install --upgrade {_RULES}",
        )
    return ok(name, f"{_RULES} of {built:%Y-%m}")
