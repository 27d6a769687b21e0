"""What a session runs on and where it is: the values, without the data behind them."""

from dataclasses import dataclass
from typing import Final, Literal

HINT_HEADERS: Final = (
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-ch-ua-platform-version",
    "sec-ch-ua-full-version-list",
    "sec-ch-ua-form-factors",
)
"""The request headers worth keeping, to read a session again when the rules are better."""

DeviceType = Literal["desktop", "mobile", "tablet", "tv", "unknown"]

_THINGS = {
    "macOS": "Macintosh",
    "iOS": "iPhone",
    "iPadOS": "iPad",
    "ChromeOS": "Chromebook",
    "tvOS": "Apple TV",
    "watchOS": "Apple Watch",
}


@dataclass(frozen=True, slots=True)
class Device:
    """What a session runs on, as far as its client says so. `None` is "not known"."""

    type: DeviceType
    os: str | None
    os_version: str | None
    browser: str | None
    browser_version: str | None

    @property
    def label(self) -> str:
        """Browser and system in one: "Chrome on macOS", "Chrome", "macOS" or "Unknown device"."""
        return " on ".join(filter(None, (self.browser, self.os))) or "Unknown device"

    @property
    def name(self) -> str:
        """What a person calls the thing: "Macintosh", "iPhone", "Android tablet"."""
        if self.os == "Android" and self.type in ("tablet", "tv"):
            return "Android tablet" if self.type == "tablet" else "Android TV"
        return _THINGS.get(self.os, self.os) if self.os else "Unknown device"


@dataclass(frozen=True, slots=True)
class Place:
    """An approximate place. `country` is its English name, `country_code` ISO 3166-1 alpha-2.

    `reason` is `None` when at least the country is known, else why it isn't: "private_address" (not
    an address of the public Internet), "no_data" (nobody says where it is), "no_address" (not an
    address at all). "anonymous" is reserved.
    """

    city: str | None = None
    region: str | None = None
    country: str | None = None
    country_code: str | None = None
    reason: str | None = None

    @property
    def label(self) -> str:
        """City and country, "London, United Kingdom", the country alone, or "unknown"."""
        if self.country is None:
            return "unknown"
        if self.city is None or self.city == self.country:  # Singapore
            return self.country
        return f"{self.city}, {self.country}"
