"""What is it: User-Agents and client hints in, devices that people recognise out."""

import pytest

from lastcall.device.agent import ACCEPT_CH, recognise
from lastcall.device.model import HINT_HEADERS, Device
from tests.support.agents import LINUX, MAC, PHONE, WINDOWS, WITHOUT_HINTS, chrome, hints


@pytest.mark.parametrize(
    ("user_agent", "expected"), WITHOUT_HINTS.values(), ids=WITHOUT_HINTS.keys()
)
def test_a_user_agent_alone_tells_no_more_than_it_knows(
    user_agent: str | None, expected: Device
) -> None:
    """Names and versions are right, and a version that is frozen is left out."""
    assert recognise(user_agent, {}) == expected


WITH_HINTS = {
    "chrome-windows-11": (
        chrome(WINDOWS),
        hints("Windows", "15.0.0"),
        Device("desktop", "Windows", "11", "Chrome", "142"),
    ),
    "first-windows-11": (
        chrome(WINDOWS),
        hints("Windows", "13.0.0"),
        Device("desktop", "Windows", "11", "Chrome", "142"),
    ),
    "edge-windows-10": (
        chrome(WINDOWS, " Edg/142.0.0.0"),
        hints("Windows", "10.0.0", "Microsoft Edge", "142.0.3595.53"),
        Device("desktop", "Windows", "10", "Edge", "142"),
    ),
    "windows-8.1": (
        chrome("Windows NT 6.3; Win64; x64", version=109),
        hints("Windows", "0.3.0"),
        Device("desktop", "Windows", "8.1", "Chrome", "142"),
    ),
    "a-windows-nobody-knows": (
        chrome(WINDOWS),
        hints("Windows", "12.0.0"),
        Device("desktop", "Windows", None, "Chrome", "142"),
    ),
    "brave-macos": (
        chrome(MAC),
        hints("macOS", "26.1.0", "Brave"),
        Device("desktop", "macOS", "26.1", "Brave", "142"),
    ),
    "vivaldi-that-calls-itself-chrome": (
        chrome(MAC),
        hints("macOS", "15.3.1", "Vivaldi", "7.6.3797.63"),
        Device("desktop", "macOS", "15.3.1", "Vivaldi", "7"),
    ),
    "opera-linux": (
        chrome(LINUX, " OPR/124.0.0.0"),
        hints("Linux", "6.12.0", "Opera", "124.0.5705.15"),
        Device("desktop", "Linux", None, "Opera", "124"),
    ),
    "chromium-linux": (
        chrome(LINUX),
        {"sec-ch-ua": '"Chromium";v="142", "(Not(A:Brand";v="8"'},
        Device("desktop", "Linux", None, "Chromium", "142"),
    ),
    "yandex-with-its-helper-brand": (
        chrome(WINDOWS),
        {"sec-ch-ua": '"Chromium";v="140", "Yowser";v="2.5", "YaBrowser";v="25.10"'},
        Device("desktop", "Windows", None, "Yandex Browser", "25"),
    ),
    "electron-application-keeps-its-name": (
        f"Mozilla/5.0 ({MAC}) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.46.99 "
        "Chrome/140.0.0.0 Electron/38.0.0 Safari/537.36 Slack_SSB/4.46.99",
        {"sec-ch-ua": '"Not=A?Brand";v="24", "Chromium";v="140"'},
        Device("desktop", "macOS", None, "Slack", "4"),
    ),
    "webview-android": (
        chrome(PHONE, mobile=True),
        hints("Android", "16.0.0", "Android WebView", mobile=True),
        Device("mobile", "Android", "16", "WebView", "142"),
    ),
    "chrome-android-phone": (
        chrome(PHONE, mobile=True),
        hints("Android", "16.0.0", mobile=True, form="Mobile"),
        Device("mobile", "Android", "16", "Chrome", "142"),
    ),
    "chrome-android-tablet": (
        chrome(PHONE),
        hints("Android", "15.0.0", form="Tablet"),
        Device("tablet", "Android", "15", "Chrome", "142"),
    ),
    "samsung-android": (
        f"Mozilla/5.0 ({PHONE}) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 "
        "Chrome/136.0.0.0 Mobile Safari/537.36",
        hints("Android", "15.0.0", "Samsung Internet", "29.0.1.2", mobile=True),
        Device("mobile", "Android", "15", "Samsung Internet", "29"),
    ),
    "windows-tablet": (
        chrome(WINDOWS),
        hints("Windows", "15.0.0", form="Tablet"),
        Device("tablet", "Windows", "11", "Chrome", "142"),
    ),
    "headset": (
        chrome(PHONE),
        hints("Android", "14.0.0", form="XR"),
        Device("unknown", "Android", "14", "Chrome", "142"),
    ),
    "chromeos": (
        chrome("X11; CrOS x86_64 14541.0.0"),
        hints("Chrome OS", "16433.41.0"),
        Device("desktop", "ChromeOS", "16433.41", "Chrome", "142"),
    ),
    "malformed-hints-are-as-good-as-none": (
        chrome(MAC),
        {
            "sec-ch-ua": '"Brave;v="1',
            "sec-ch-ua-platform": "macOS",
            "sec-ch-ua-platform-version": '"15.0; rm -rf"',
            "sec-ch-ua-full-version-list": "",
            "sec-ch-ua-form-factors": '"Toaster"',
            "sec-ch-ua-mobile": "yes",
        },
        Device("desktop", "macOS", None, "Chrome", "142"),
    ),
    "hints-without-a-user-agent": (
        None,
        hints("macOS", "26.0.0"),
        Device("desktop", "macOS", "26", "Chrome", "142"),
    ),
}


@pytest.mark.parametrize(
    ("user_agent", "sent", "expected"), WITH_HINTS.values(), ids=WITH_HINTS.keys()
)
def test_client_hints_correct_what_the_user_agent_has_frozen(
    user_agent: str | None, sent: dict[str, str], expected: Device
) -> None:
    """Hints go before the User-Agent, as far as they are well formed."""
    assert recognise(user_agent, sent) == expected


@pytest.mark.parametrize(
    ("device", "label", "name"),
    [
        (Device("desktop", "macOS", "15", "Chrome", "142"), "Chrome on macOS", "Macintosh"),
        (Device("desktop", "Windows", "11", None, None), "Windows", "Windows"),
        (Device("unknown", None, None, "curl", "8"), "curl", "Unknown device"),
        (Device("unknown", None, None, None, None), "Unknown device", "Unknown device"),
        (Device("mobile", "iOS", None, "Safari", "26"), "Safari on iOS", "iPhone"),
        (Device("tablet", "iPadOS", None, "Safari", "26"), "Safari on iPadOS", "iPad"),
        (Device("mobile", "Android", None, "Chrome", "1"), "Chrome on Android", "Android"),
        (Device("tablet", "Android", None, "Edge", "1"), "Edge on Android", "Android tablet"),
        (Device("tv", "Android", None, None, None), "Android", "Android TV"),
        (Device("desktop", "ChromeOS", None, None, None), "ChromeOS", "Chromebook"),
        (Device("desktop", "FreeBSD", None, None, None), "FreeBSD", "FreeBSD"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_device_has_the_names_that_people_use(device: Device, label: str, name: str) -> None:
    """The label says browser and system, the name what the thing is called."""
    assert (device.label, device.name) == (label, name)


def test_what_is_asked_for_is_what_is_kept() -> None:
    """Each hint that the server asks a browser for is among those that it reads."""
    assert {name.lower() for name in ACCEPT_CH.split(", ")} <= set(HINT_HEADERS)
