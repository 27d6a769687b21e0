"""What is it: a User-Agent and its client hints in, a device that a person recognises out.

ua-parser's rules read the User-Agent; the overlay here corrects what browsers have frozen in it
(User-Agent reduction, https://www.chromium.org/updates/ua-reduction/) from User-Agent Client Hints
(https://wicg.github.io/ua-client-hints/). A version that is known to be frozen is left out: a wrong
number is worse than none.

Everything a client sends is hostile. Nothing raises, nothing gets through unbounded; names are
still text, to be escaped where they are shown.
"""

import functools
import re
from collections.abc import Mapping
from typing import Final

from ua_parser import OS, BestAvailableResolver, Domain, UserAgent, load_builtins
from ua_parser.core import Resolver

from lastcall.device.model import Device, DeviceType

USER_AGENT_LIMIT: Final = 2048
"""Characters of a User-Agent that are looked at."""

HINT_LIMIT: Final = 512
"""Characters of one client hint that are looked at."""

NAME_LIMIT: Final = 64
"""Characters of an operating system's or a browser's name."""

ACCEPT_CH: Final = "Sec-CH-UA-Platform-Version, Sec-CH-UA-Full-Version-List, Sec-CH-UA-Form-Factors"
"""The value of the response headers `Accept-CH` and, to have them on the first request already,
`Critical-CH`. The other hints read here are sent unasked. The model is not asked for: nothing here
needs it."""


_SYSTEMS = {
    "Mac OS X": "macOS",
    "Chrome OS": "ChromeOS",
    "Chromium OS": "ChromeOS",
    "ATV OS X": "tvOS",
    "WatchOS": "watchOS",
    "Web0S": "webOS",
} | dict.fromkeys(
    (
        "Arch Linux",
        "BackTrack",
        "CentOS",
        "Debian",
        "Fedora",
        "Gentoo",
        "Kubuntu",
        "Linux Mint",
        "Lubuntu",
        "Mageia",
        "Mandriva",
        "PCLinuxOS",
        "Puppy",
        "Red Hat",
        "SUSE",
        "Slackware",
        "Ubuntu",
        "openSUSE",
    ),
    "Linux",
)

_HINTED_SYSTEMS = {
    "Android": "Android",
    "Chrome OS": "ChromeOS",
    "Chromium OS": "ChromeOS",
    "Linux": "Linux",
    "Windows": "Windows",
    "iOS": "iOS",
    "macOS": "macOS",
}

_BROWSERS = {
    "Android": "Android Browser",
    "Android WebView": "WebView",
    "Chrome Mobile WebView": "WebView",
    "Google": "Google app",
    "Google Chrome": "Chrome",
    "HeadlessChrome": "Headless Chrome",
    "IE": "Internet Explorer",
    "IE Mobile": "Internet Explorer",
    "Microsoft Edge": "Edge",
    "Microsoft Edge WebView2": "Edge",
    "MiuiBrowser": "Mi Browser",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "WebView",
    "OperaMobile": "Opera",
    "Slack Desktop Client": "Slack",
    "YaBrowser": "Yandex Browser",
}
_BROWSER_SUFFIX = re.compile(r"(?<! for)(?: (?:Mobile|iOS|Android|Tablet))+$")

# Brands that say which engine or shell it is; a more exact name, from a brand or the User-Agent,
# goes before them.
_GENERIC_BRANDS = {"Yowser": 1, "Google Chrome": 2, "Android WebView": 2, "Chromium": 3}
_GENERIC_BROWSERS = frozenset({None, "Chrome", "WebView"})

_FORM_FACTORS: dict[str, DeviceType] = {
    "Desktop": "desktop",
    "Mobile": "mobile",
    "Tablet": "tablet",
    "Automotive": "unknown",
    "EInk": "unknown",
    "Watch": "unknown",
    "XR": "unknown",
}

# RFC 8941 lists of strings, each with a version as its parameter; read for what is in them.
_BRAND = re.compile(r'"((?:[^"\\]|\\.)*+)"\s*+;\s*+v\s*+=\s*+"([0-9]{1,5})?')
_STRING = re.compile(r'"([^"\\]*+)"')
_DOTTED = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){0,3}")
_TRAILING_ZEROS = re.compile(r"(?:\.0+)+$")
# RFC 9110, section 10.1.5: the first product is the application that asks.
_PRODUCT = re.compile(r"(?!Mozilla|Opera|Dalvik)([A-Za-z][A-Za-z0-9_.-]{1,40})/([0-9]{1,5})")
_TV = re.compile(
    r"(?i:smart-?tv|google ?tv|android ?tv|apple ?tv|tvos|hbbtv|web0s|bravia|crkey|roku"
    r"|netcast|viera)|\bTV\b|\bAFT[A-Z0-9]{1,6}\b"
)
# CUBOT makes telephones. A headset's browser is neither a tablet's nor a telephone's.
_NO_KNOWN_TYPE = re.compile(r"(?i:(?<!cu)bot\b|spider|crawler)|\bVR\b")


def recognise(user_agent: str | None, hints: Mapping[str, str]) -> Device:
    """Read a device off the `User-Agent` header and the client hints (`HINT_HEADERS`, lower case).

    Hints go before the User-Agent, which is frozen in most browsers. Never raises; what isn't known
    is `None`, the type "unknown". Versions hold digits and dots only: the browser's its major one
    ("142"), the system's as far as it isn't zero ("15.3.1", "14"). An iPad that asks for desktop
    sites can't be told from a Macintosh.
    """
    ua = _printable((user_agent or "")[:USER_AGENT_LIMIT])
    parsed_browser, parsed_os = _parse(ua)
    os = _system(ua, parsed_os, hints)
    browser, browser_version = _browser(ua, parsed_browser, hints)
    return Device(
        type=_device_type(ua, os, hints),
        os=os,
        os_version=_system_version(ua, os, parsed_os, hints),
        browser=browser,
        browser_version=browser_version,
    )


@functools.cache
def _resolver() -> Resolver:
    # Compiling the rules takes a few tenths of a second: at the first sign-in, not at import.
    return BestAvailableResolver(load_builtins())


def _parse(ua: str) -> tuple[UserAgent | None, OS | None]:
    result = _resolver()(ua, Domain.USER_AGENT | Domain.OS)
    return result.user_agent, result.os


def _system(ua: str, parsed: OS | None, hints: Mapping[str, str]) -> str | None:
    hinted = _STRING.match(_hint(hints, "sec-ch-ua-platform"))
    os = _HINTED_SYSTEMS.get(hinted[1]) if hinted else None
    if os is None and parsed is not None and parsed.family != "Other":
        os = _SYSTEMS.get(parsed.family) or _name(parsed.family)
    return "iPadOS" if os == "iOS" and "iPad" in ua else os


def _system_version(
    ua: str, os: str | None, parsed: OS | None, hints: Mapping[str, str]
) -> str | None:
    if os is None or os == "Linux":
        # What Linux tells is its kernel's version, or that of a distribution merged into "Linux".
        return None
    hinted = _STRING.match(_hint(hints, "sec-ch-ua-platform-version"))
    if hinted and _DOTTED.fullmatch(hinted[1]):
        return _windows_release(hinted[1]) if os == "Windows" else _short(hinted[1])
    if parsed is None:
        return None
    version = ".".join(filter(None, (parsed.major, parsed.minor, parsed.patch)))
    if not _DOTTED.fullmatch(version) or _is_frozen(ua, os, version):
        return None
    return _short(version)


def _is_frozen(ua: str, os: str, version: str) -> bool:
    """Whether browsers send this version whatever the real one is."""
    match os:
        case "Windows":
            return version == "10"
        case "macOS":
            # "10_15_7" everywhere, "10.15" in Firefox, which said "10.16" for a while.
            return version.startswith(("10.15", "10.16"))
        case "Android":
            return "Android 10; K" in ua
        case "iOS" | "iPadOS":
            # Since Safari 26; a Safari 18 that says so is telling the truth.
            return version in ("18.6", "18.7") and "like Mac OS X" in ua and "Version/18" not in ua
        case "ChromeOS":
            return True
        case _:
            return False


def _windows_release(platform_version: str) -> str | None:
    """The Windows that people know, from the version of its API contract."""
    major, _, rest = platform_version.partition(".")
    if int(major) == 0:
        return {"1": "7", "2": "8", "3": "8.1"}.get(rest.partition(".")[0])
    if int(major) <= 10:
        return "10"
    return "11" if int(major) >= 13 else None


def _browser(
    ua: str, parsed: UserAgent | None, hints: Mapping[str, str]
) -> tuple[str | None, str | None]:
    name, version = _parsed_browser(ua, parsed)
    brands = _brands(hints)
    if not brands:
        return name, version
    brand, brand_version = min(brands, key=lambda brand: _GENERIC_BRANDS.get(brand[0], 0))
    if brand in _GENERIC_BRANDS and name not in _GENERIC_BROWSERS:
        return name, version
    return _tidy(brand), brand_version


def _parsed_browser(ua: str, parsed: UserAgent | None) -> tuple[str | None, str | None]:
    is_browser = ua.startswith(("Mozilla/", "Opera/"))
    if parsed and parsed.family != "Other" and (is_browser or parsed.family != "Android"):
        major = parsed.major or ""
        return _tidy(parsed.family), major if _DOTTED.fullmatch(major) else None
    product = _PRODUCT.match(ua)
    return (product[1], product[2]) if product else (None, None)


def _brands(hints: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """The brands of the fuller list that came, each with its major version, without the made-up one
    (GREASE)."""
    for header in ("sec-ch-ua-full-version-list", "sec-ch-ua"):
        found = [(_name(raw), version) for raw, version in _BRAND.findall(_hint(hints, header))]
        brands = [
            (name, version or None) for name, version in found if name and not _is_made_up(name)
        ]
        if brands:
            return brands
    return []


def _is_made_up(brand: str) -> bool:
    return "".join(filter(str.isalpha, brand)).lower() == "notabrand"


def _device_type(ua: str, os: str | None, hints: Mapping[str, str]) -> DeviceType:
    for factor in _STRING.findall(_hint(hints, "sec-ch-ua-form-factors")):
        if factor in _FORM_FACTORS:
            return _FORM_FACTORS[factor]
    if _NO_KNOWN_TYPE.search(ua):
        return "unknown"
    if os == "tvOS" or _TV.search(ua):
        return "tv"
    if os == "iPadOS":
        return "tablet"
    is_browser = ua.startswith(("Mozilla/", "Opera/"))
    if os == "iOS" or _hint(hints, "sec-ch-ua-mobile") == "?1" or (is_browser and "Mobi" in ua):
        return "mobile"
    if os == "Android":
        # A browser's convention; an application's User-Agent says nothing either way.
        return "tablet" if is_browser else "unknown"
    if os in ("Windows", "macOS", "ChromeOS") or (is_browser and (os == "Linux" or "X11" in ua)):
        return "desktop"
    return "unknown"


def _hint(hints: Mapping[str, str], name: str) -> str:
    return hints.get(name, "")[:HINT_LIMIT].strip()


def _tidy(browser: str) -> str | None:
    return _BROWSERS.get(browser) or _name(_BROWSER_SUFFIX.sub("", browser))


def _name(text: str) -> str | None:
    """Only what stands in real names: no markup, control or direction characters, no emoji."""
    kept = "".join(char for char in text if char.isalnum() or char in " .,-_+&!()/@'^")
    return " ".join(kept[:NAME_LIMIT].split()) or None


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    # Lone surrogates are among these; the parser takes none.
    return "".join(char if char.isprintable() else " " for char in text)


def _short(version: str) -> str:
    return _TRAILING_ZEROS.sub("", version)
