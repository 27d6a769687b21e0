"""Who and what the demo is about: people, devices and places. Plain data, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lastcall.events import EndReason
from lastcall.identity.model import Role
from lastcall.sessions.model import ClientType

ORGANISATION: Final = "Acme"
OWNER: Final = "demo@example.com"
PROMOTED: Final = "ravi@example.com"
"""Who became an administrator after they had joined."""
PASSWORD_CHANGED: Final = 26.0
"""How many days ago the owner changed their password, which ended all but one session."""

_SAFARI: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the demo's account. Who has not `joined` has an open invitation."""

    email: str
    name: str
    role: Role = "member"
    joined: bool = True
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Gear:
    """What somebody signs in with."""

    user_agent: str
    hints: Mapping[str, str] = field(default_factory=dict, hash=False)
    client: ClientType = "browser"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A session: begun and last used so many days ago; `end` is why it is over, if it is."""

    email: str
    gear: Gear
    ip: str
    begun: float
    last: float
    end: EndReason | None = None


PEOPLE: Final = (
    Person(OWNER, "Dana Demo", "owner"),
    Person("ravi@example.com", "Ravi Menon", "admin"),
    Person("amelie@example.com", "Amélie Laurent"),
    Person("bjorn@example.com", "Björn Lindqvist"),
    Person("carla@example.com", "Carla Rossi"),
    Person("daniel@example.com", "Daniel Okafor"),
    Person("emi@example.com", "Emi Tanaka"),
    Person("felix@example.com", "Felix Wagner"),
    Person("grace@example.com", "Grace Kelly-Byrne"),
    Person("hugo@example.com", "Hugo Martínez"),
    Person("isabel@example.com", "Isabel Souza"),
    Person("jack@example.com", "Jack Thompson", suspended=True),
    Person("kiran@example.com", "Kiran Shah"),
    Person("lena@example.com", "Lena Novak", joined=False),
)


def _chromium(platform: str, version: str, brand: str = "Google Chrome") -> dict[str, str]:
    mobile = platform == "Android"
    return {
        "sec-ch-ua": f'"Chromium";v="156", "{brand}";v="156", "Not)A;Brand";v="8"',
        "sec-ch-ua-mobile": "?1" if mobile else "?0",
        "sec-ch-ua-platform": f'"{platform}"',
        "sec-ch-ua-platform-version": f'"{version}"',
        "sec-ch-ua-form-factors": '"Mobile"' if mobile else '"Desktop"',
    }


def _chrome(system: str, extra: str = "", mobile: str = "") -> str:
    return (
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/156.0.0.0 {mobile}Safari/537.36{extra}"
    )


CHROME_MAC: Final = Gear(_chrome("Macintosh; Intel Mac OS X 10_15_7"), _chromium("macOS", "26.1.0"))
CHROME_WINDOWS: Final = Gear(_chrome("Windows NT 10.0; Win64; x64"), _chromium("Windows", "19.0.0"))
EDGE_WINDOWS: Final = Gear(
    _chrome("Windows NT 10.0; Win64; x64", " Edg/156.0.0.0"),
    _chromium("Windows", "19.0.0", "Microsoft Edge"),
)
CHROMEBOOK: Final = Gear(
    _chrome("X11; CrOS x86_64 14541.0.0"), _chromium("Chrome OS", "16463.58.0")
)
ANDROID: Final = Gear(
    _chrome("Linux; Android 10; K", mobile="Mobile "), _chromium("Android", "16.0.0")
)
ANDROID_TABLET: Final = Gear(
    _chrome("Linux; Android 10; K"),
    {
        **_chromium("Android", "15.0.0"),
        "sec-ch-ua-mobile": "?0",
        "sec-ch-ua-form-factors": '"Tablet"',
    },
)
SAFARI_MAC: Final = Gear(
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Version/26.1 Safari/605.1.15"
)
IPHONE: Final = Gear(
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) {_SAFARI} "
    "Version/26.1 Mobile/15E148 Safari/604.1"
)
IPAD: Final = Gear(
    f"Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X) {_SAFARI} "
    "Version/26.1 Mobile/15E148 Safari/604.1"
)
FIREFOX_LINUX: Final = Gear(
    "Mozilla/5.0 (X11; Linux x86_64; rv:155.0) Gecko/20100101 Firefox/155.0"
)
FIREFOX_WINDOWS: Final = Gear(
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:155.0) Gecko/20100101 Firefox/155.0"
)
APP: Final = Gear("Acme/4.12 (iPhone; iOS 26.1; Scale/3.00)", client="native", name="Acme iOS app")
SERVICE: Final = Gear("acme-export/2.3 python-httpx/0.28", client="service", name="Nightly export")

MINUTE: Final = 1 / (24 * 60)

VISITS: Final = (
    # The owner's, active now: many devices, many countries.
    Visit(OWNER, CHROME_MAC, "81.2.69.142", 26.4, 2 * MINUTE),
    Visit(OWNER, IPHONE, "90.84.1.1", 12.2, 21 * MINUTE),
    Visit(OWNER, CHROME_WINDOWS, "80.128.10.20", 8.9, 3.1 / 24),
    Visit(OWNER, IPAD, "62.163.20.3", 19.3, 9.4 / 24),
    Visit(OWNER, FIREFOX_LINUX, "130.60.1.1", 5.6, 14.2 / 24),
    Visit(OWNER, ANDROID, "126.72.10.5", 2.3, 46 * MINUTE),
    Visit(OWNER, EDGE_WINDOWS, "73.162.44.10", 1.4, 18.7 / 24),
    Visit(OWNER, APP, "2001:630:212::8", 3.5, 7 * MINUTE),
    Visit(OWNER, SERVICE, "88.198.1.1", 6.1, 20.5 / 24),
    Visit(OWNER, ANDROID_TABLET, "200.147.3.1", 0.8, 5.5 / 24),
    # The owner's, over.
    Visit(OWNER, CHROME_WINDOWS, "81.2.69.160", 34.0, 26.7, "password_changed"),
    Visit(OWNER, SAFARI_MAC, "151.38.1.2", 30.2, 26.3, "password_changed"),
    Visit(OWNER, CHROME_MAC, "81.2.69.142", 39.4, 34.1, "signed_out"),
    Visit(OWNER, FIREFOX_WINDOWS, "2.136.10.11", 24.8, 22.9, "expired_inactive"),
    Visit(OWNER, CHROMEBOOK, "24.48.0.1", 21.2, 17.6, "terminated_by_user"),
    Visit(OWNER, ANDROID, "41.60.232.5", 16.5, 15.9, "refresh_reuse"),
    Visit(OWNER, FIREFOX_LINUX, "197.248.10.4", 14.1, 13.0, "terminated_by_admin"),
    Visit(OWNER, IPHONE, "90.84.1.1", 13.1, 12.3, "signed_out"),
    Visit(OWNER, EDGE_WINDOWS, "1.128.10.20", 9.7, 8.2, "reported"),
    Visit(OWNER, CHROME_WINDOWS, "49.207.10.1", 3.9, 3.2, "terminated_by_user"),
    # Everybody else's.
    Visit("ravi@example.com", CHROME_MAC, "49.207.10.1", 15.3, 11 * MINUTE),
    Visit("ravi@example.com", ANDROID, "49.207.10.1", 9.1, 1.2 / 24),
    Visit("ravi@example.com", FIREFOX_LINUX, "49.207.10.1", 22.0, 18.4, "signed_out"),
    Visit("amelie@example.com", SAFARI_MAC, "90.84.1.1", 11.0, 33 * MINUTE),
    Visit("amelie@example.com", IPHONE, "90.84.1.1", 6.4, 2.2 / 24),
    Visit("bjorn@example.com", FIREFOX_LINUX, "78.73.5.5", 4.7, 4.8 / 24),
    Visit("bjorn@example.com", ANDROID, "85.230.1.1", 2.9, 15 * MINUTE),
    Visit("bjorn@example.com", CHROME_WINDOWS, "78.73.5.5", 18.0, 16.1, "expired_inactive"),
    Visit("carla@example.com", CHROME_WINDOWS, "151.38.1.2", 7.7, 6.3 / 24),
    Visit("carla@example.com", IPAD, "151.38.1.2", 3.3, 10.9 / 24),
    Visit("daniel@example.com", EDGE_WINDOWS, "81.2.69.160", 5.2, 54 * MINUTE),
    Visit("daniel@example.com", ANDROID, "197.248.10.4", 12.6, 10.0, "terminated_by_admin"),
    Visit("emi@example.com", CHROME_MAC, "126.72.10.5", 9.9, 8.6 / 24),
    Visit("emi@example.com", IPHONE, "210.130.1.1", 4.1, 28 * MINUTE),
    Visit("emi@example.com", APP, "210.130.1.1", 1.9, 3.7 / 24),
    Visit("felix@example.com", FIREFOX_WINDOWS, "88.198.1.1", 6.8, 1.9 / 24),
    Visit("felix@example.com", ANDROID, "80.128.10.20", 2.1, 17.3 / 24),
    Visit("felix@example.com", CHROME_WINDOWS, "80.128.10.20", 39.7, 9.8, "expired_absolute"),
    Visit("grace@example.com", CHROMEBOOK, "109.255.30.2", 3.0, 12.1 / 24),
    Visit("grace@example.com", IPHONE, "89.100.1.1", 8.4, 5 * MINUTE),
    Visit("hugo@example.com", CHROME_WINDOWS, "2.136.10.11", 10.3, 7.0 / 24),
    Visit("hugo@example.com", ANDROID_TABLET, "2.136.10.11", 5.0, 2.4, "signed_out"),
    Visit("isabel@example.com", CHROME_MAC, "200.147.3.1", 1.1, 39 * MINUTE),
    Visit("isabel@example.com", ANDROID, "177.67.82.10", 6.6, 4.1 / 24),
    Visit("jack@example.com", CHROME_WINDOWS, "203.2.218.10", 11.5, 7.3, "user_suspended"),
    Visit("jack@example.com", IPHONE, "1.128.10.20", 9.2, 7.4, "user_suspended"),
    Visit("kiran@example.com", CHROME_MAC, "99.224.1.1", 2.6, 16 * MINUTE),
    Visit("kiran@example.com", APP, "99.224.1.1", 14.4, 13.9 / 24),
)

GUESSES: Final = (
    (9.31, OWNER),
    (9.309, OWNER),
    (2.6, "grace@example.com"),
    (1.05, OWNER),
)
"""Wrong passwords: so many days ago, for whom."""

# Easy to spell and to type.
_WORDS: Final = """
acorn amber anchor anvil apple apron arrow aspen autumn bagel bamboo banjo barley basil
beacon birch biscuit breeze bridge bronze bucket button cactus camel candle canoe canyon
carpet castle cedar cello chalk cherry cider cinder circle citrus clover cobalt comet
copper coral cotton crayon cricket crystal daisy dapper desert dolphin domino donkey
eagle early ember fabric falcon fennel ferry fiddle finch flame flint forest fossil
fresco garden garlic gentle ginger glacier goblet granite grape hamlet harbor harvest
hazel heron hollow honey indigo island ivory jacket jasmine jigsaw juniper kettle kitten
ladder lagoon lantern laurel lemon lilac linen lizard lobster lotus magnet maple marble
meadow mellow melon mirror mosaic muffin nectar needle nickel nutmeg oasis ocean olive
onion orange orchid otter oyster paddle panda paper parrot pebble pepper piano pickle
pigeon pillow pocket pollen poplar prairie pumpkin quartz quiver rabbit radish raven
ribbon river rocket saddle saffron salmon satin sesame shadow silver sparrow spruce
squash summer sunset tango teapot thistle ticket timber tomato topaz tulip tunnel turtle
umber valley vanilla velvet violet violin waffle wagon walnut walrus willow window
winter yonder zephyr
"""
WORDS: Final = tuple(_WORDS.split())
