"""User-Agents and client hints as browsers send them, and what a device may be at all."""

from lastcall.device.agent import NAME_LIMIT
from lastcall.device.model import Device

SAFARI = "Mozilla/5.0 ({}) AppleWebKit/605.1.15 (KHTML, like Gecko) {}"
WINDOWS = "Windows NT 10.0; Win64; x64"
MAC = "Macintosh; Intel Mac OS X 10_15_7"
LINUX = "X11; Linux x86_64"
PHONE = "Linux; Android 10; K"
IPHONE = "iPhone; CPU iPhone OS 18_7 like Mac OS X"


def chrome(system: str, more: str = "", *, mobile: bool = False, version: int = 142) -> str:
    """The User-Agent of a Chrome."""
    words = f"Chrome/{version}.0.0.0 {'Mobile ' if mobile else ''}Safari/537.36{more}"
    return f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) {words}"


def firefox(system: str, version: int = 145, engine: str = "20100101") -> str:
    """The User-Agent of a Firefox."""
    return f"Mozilla/5.0 ({system}; rv:{version}.0) Gecko/{engine} Firefox/{version}.0"


def hints(
    platform: str,
    version: str,
    brand: str = "Google Chrome",
    brand_version: str = "142.0.7444.60",
    *,
    mobile: bool = False,
    form: str | None = None,
) -> dict[str, str]:
    """What Chromium sends, quoted and with a made-up brand in the middle."""
    return {
        "sec-ch-ua": f'"Chromium";v="142", "Not_A Brand";v="99", "{brand}";v="142"',
        "sec-ch-ua-mobile": "?1" if mobile else "?0",
        "sec-ch-ua-platform": f'"{platform}"',
        "sec-ch-ua-platform-version": f'"{version}"',
        "sec-ch-ua-full-version-list": '"Chromium";v="142.0.7444.60", '
        f'"Not_A Brand";v="99.0.0.0", "{brand}";v="{brand_version}"',
    } | ({"sec-ch-ua-form-factors": f'"{form}"'} if form else {})


WITHOUT_HINTS = {
    "chrome-windows": (
        chrome(WINDOWS),
        Device("desktop", "Windows", None, "Chrome", "142"),
    ),
    "edge-windows": (
        chrome(WINDOWS, " Edg/142.0.0.0"),
        Device("desktop", "Windows", None, "Edge", "142"),
    ),
    "opera-windows": (
        chrome(WINDOWS, " OPR/124.0.0.0"),
        Device("desktop", "Windows", None, "Opera", "124"),
    ),
    "vivaldi-windows": (
        chrome(WINDOWS, " Vivaldi/7.6.3797.63"),
        Device("desktop", "Windows", None, "Vivaldi", "7"),
    ),
    "yandex-windows": (
        f"Mozilla/5.0 ({WINDOWS}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
        "YaBrowser/25.10.0.0 Safari/537.36",
        Device("desktop", "Windows", None, "Yandex Browser", "25"),
    ),
    "firefox-windows": (
        firefox(WINDOWS),
        Device("desktop", "Windows", None, "Firefox", "145"),
    ),
    "firefox-esr-windows-7-is-not-frozen": (
        firefox("Windows NT 6.1; Win64; x64", 115),
        Device("desktop", "Windows", "7", "Firefox", "115"),
    ),
    "internet-explorer": (
        "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
        Device("desktop", "Windows", None, "Internet Explorer", "11"),
    ),
    "chrome-macos": (chrome(MAC), Device("desktop", "macOS", None, "Chrome", "142")),
    "safari-macos": (
        SAFARI.format(MAC, "Version/26.1 Safari/605.1.15"),
        Device("desktop", "macOS", None, "Safari", "26"),
    ),
    "safari-old-macos-is-not-frozen": (
        SAFARI.format("Macintosh; Intel Mac OS X 10_14_6", "Version/14.1 Safari/605.1.15"),
        Device("desktop", "macOS", "10.14.6", "Safari", "14"),
    ),
    "firefox-macos": (
        firefox("Macintosh; Intel Mac OS X 10.15"),
        Device("desktop", "macOS", None, "Firefox", "145"),
    ),
    "slack-macos": (
        f"Mozilla/5.0 ({MAC}) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.46.99 "
        "Chrome/140.0.0.0 Electron/38.0.0 Safari/537.36 Slack_SSB/4.46.99",
        Device("desktop", "macOS", None, "Slack", "4"),
    ),
    "chrome-linux": (chrome(LINUX), Device("desktop", "Linux", None, "Chrome", "142")),
    "headless-chrome-linux": (
        f"Mozilla/5.0 ({LINUX}) AppleWebKit/537.36 (KHTML, like Gecko) "
        "HeadlessChrome/142.0.0.0 Safari/537.36",
        Device("desktop", "Linux", None, "Headless Chrome", "142"),
    ),
    "firefox-ubuntu": (
        firefox("X11; Ubuntu; Linux x86_64"),
        Device("desktop", "Linux", None, "Firefox", "145"),
    ),
    "firefox-fedora": (
        firefox("X11; Fedora; Linux x86_64"),
        Device("desktop", "Linux", None, "Firefox", "145"),
    ),
    "firefox-freebsd": (
        firefox("X11; FreeBSD amd64"),
        Device("desktop", "FreeBSD", None, "Firefox", "145"),
    ),
    "chrome-chromeos": (
        chrome("X11; CrOS x86_64 14541.0.0"),
        Device("desktop", "ChromeOS", None, "Chrome", "142"),
    ),
    "chrome-android-phone": (
        chrome(PHONE, mobile=True),
        Device("mobile", "Android", None, "Chrome", "142"),
    ),
    "chrome-android-tablet": (chrome(PHONE), Device("tablet", "Android", None, "Chrome", "142")),
    "edge-android": (
        chrome(PHONE, " EdgA/142.0.0.0", mobile=True),
        Device("mobile", "Android", None, "Edge", "142"),
    ),
    "opera-android": (
        chrome(PHONE, " OPR/92.0.0.0", mobile=True),
        Device("mobile", "Android", None, "Opera", "92"),
    ),
    "samsung-android-phone": (
        f"Mozilla/5.0 ({PHONE}) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 "
        "Chrome/136.0.0.0 Mobile Safari/537.36",
        Device("mobile", "Android", None, "Samsung Internet", "29"),
    ),
    "samsung-android-tablet": (
        "Mozilla/5.0 (Linux; Android 15; SM-X910) AppleWebKit/537.36 (KHTML, like Gecko) "
        "SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36",
        Device("tablet", "Android", "15", "Samsung Internet", "28"),
    ),
    "firefox-android-phone": (
        firefox("Android 15; Mobile", engine="145.0"),
        Device("mobile", "Android", "15", "Firefox", "145"),
    ),
    "firefox-android-tablet": (
        firefox("Android 15; Tablet", engine="145.0"),
        Device("tablet", "Android", "15", "Firefox", "145"),
    ),
    "webview-android": (
        "Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/AP4A.250105.002; wv) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.102 Mobile Safari/537.36",
        Device("mobile", "Android", "15", "WebView", "142"),
    ),
    "cubot-phone-is-no-bot": (
        chrome("Linux; Android 9; CUBOT X19", mobile=True),
        Device("mobile", "Android", "9", "Chrome", "142"),
    ),
    "headset": (
        "Mozilla/5.0 (Linux; Android 14; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) "
        "OculusBrowser/40.0.0 Chrome/138.0.0.0 VR Safari/537.36",
        Device("unknown", "Android", "14", "Oculus Browser", "40"),
    ),
    "safari-26-iphone-is-frozen": (
        SAFARI.format(IPHONE, "Version/26.1 Mobile/15E148 Safari/604.1"),
        Device("mobile", "iOS", None, "Safari", "26"),
    ),
    "safari-18-iphone-tells-the-truth": (
        SAFARI.format(
            "iPhone; CPU iPhone OS 18_6 like Mac OS X",
            "Version/18.6 Mobile/15E148 Safari/604.1",
        ),
        Device("mobile", "iOS", "18.6", "Safari", "18"),
    ),
    "safari-17-iphone": (
        SAFARI.format(
            "iPhone; CPU iPhone OS 17_5_1 like Mac OS X",
            "Version/17.5 Mobile/15E148 Safari/604.1",
        ),
        Device("mobile", "iOS", "17.5.1", "Safari", "17"),
    ),
    "chrome-iphone": (
        SAFARI.format(IPHONE, "CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1"),
        Device("mobile", "iOS", None, "Chrome", "142"),
    ),
    "firefox-iphone": (
        SAFARI.format(IPHONE, "FxiOS/145.0 Mobile/15E148 Safari/605.1.15"),
        Device("mobile", "iOS", None, "Firefox", "145"),
    ),
    "edge-iphone": (
        SAFARI.format(IPHONE, "Version/26.0 EdgiOS/142.0.3595.66 Mobile/15E148 Safari/605.1.15"),
        Device("mobile", "iOS", None, "Edge", "142"),
    ),
    "webview-iphone": (
        SAFARI.format("iPhone; CPU iPhone OS 18_6_2 like Mac OS X", "Mobile/15E148"),
        Device("mobile", "iOS", "18.6.2", "WebView", None),
    ),
    "facebook-iphone": (
        SAFARI.format(
            "iPhone; CPU iPhone OS 18_6_2 like Mac OS X",
            "Mobile/15E148 [FBAN/FBIOS;FBAV/530.0.0.43.106;FBDV/iPhone16,1;FBSV/18.6.2]",
        ),
        Device("mobile", "iOS", "18.6.2", "Facebook", "530"),
    ),
    "safari-ipad": (
        SAFARI.format("iPad; CPU OS 18_7 like Mac OS X", "Version/26.1 Mobile/15E148 Safari/604.1"),
        Device("tablet", "iPadOS", None, "Safari", "26"),
    ),
    "chrome-ipad": (
        SAFARI.format(
            "iPad; CPU OS 17_7_2 like Mac OS X", "CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1"
        ),
        Device("tablet", "iPadOS", "17.7.2", "Chrome", "142"),
    ),
    "samsung-tv": (
        "Mozilla/5.0 (SMART-TV; LINUX; Tizen 8.0) AppleWebKit/537.36 (KHTML, like Gecko) "
        "108.0.5359.1/8.0 TV Safari/537.36",
        Device("tv", "Tizen", "8", "Safari", None),
    ),
    "lg-tv": (
        chrome("Web0S; Linux/SmartTV", " WebAppManager", version=120),
        Device("tv", "webOS", None, "Chrome", "120"),
    ),
    "android-tv": (
        chrome("Linux; Android 12; BRAVIA 4K UR2 Build/STT2"),
        Device("tv", "Android", "12", "Chrome", "142"),
    ),
    "fire-tv": (
        "Mozilla/5.0 (Linux; Android 9; AFTKA) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Silk/140.3.1 like Chrome/140.0.0.0 Safari/537.36",
        Device("tv", "Android", "9", "Amazon Silk", "140"),
    ),
    "apple-tv": ("AppleTV11,1/11.1", Device("tv", "tvOS", None, None, None)),
    "native-ios-application": (
        "AcmeApp/7 (com.example.acme; build:7; iOS 18.6.2) Alamofire/5.10.2",
        Device("mobile", "iOS", "18.6.2", "AcmeApp", "7"),
    ),
    "native-android-application": (
        "Dalvik/2.1.0 (Linux; U; Android 15; Pixel 9 Build/AP4A)",
        Device("unknown", "Android", "15", None, None),
    ),
    "curl": ("curl/8.15.0", Device("unknown", None, None, "curl", "8")),
    "python-requests": (
        "python-requests/2.32.5",
        Device("unknown", None, None, "Python Requests", "2"),
    ),
    "python-httpx": ("python-httpx/0.28.1", Device("unknown", None, None, "python-httpx", "0")),
    "bot": (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        Device("unknown", None, None, "Googlebot", "2"),
    ),
    "nonsense": ("%s %d \\ ;;; ((((", Device("unknown", None, None, None, None)),
    "empty": ("", Device("unknown", None, None, None, None)),
    "none": (None, Device("unknown", None, None, None, None)),
}


def assert_bounded(device: Device) -> None:
    """Require short, plain names and versions, and a type that we know."""
    for name in (device.os, device.browser):
        if name is not None:
            assert 0 < len(name) <= NAME_LIMIT
            assert name.isprintable()
            assert not set(name) & set('<>"{}[]\\`$=;')
    for version in (device.os_version, device.browser_version):
        if version is not None:
            assert 0 < len(version) <= 23
            assert set(version) <= set("0123456789.")
    assert device.type in ("desktop", "mobile", "tablet", "tv", "unknown")
