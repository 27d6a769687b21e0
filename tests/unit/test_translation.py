"""Which language a reader gets, and what differs by language beside the texts."""

from datetime import UTC, datetime

import pytest

from lastcall.device.model import Device, Place
from lastcall.web import times, words
from lastcall.web.translation import LANGUAGES, choose, gettext, language, number, speaking

GERMAN = LANGUAGES["de"]
NOW = datetime(2026, 11, 3, 12, 4, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de-Latn-DE-1996", "de"),
        ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("fr-CH, fr;q=0.9, de;q=0.8, en;q=0.7", "de"),
        ("fr, it;q=0.5", "en"),
        ("en;q=0.5, de;q=0.501", "de"),
        ("de , en", "de"),
        ("en ;q=0.2 , de; q=0.3", "de"),
        ("en;q=0.2,de;Q=0.3", "de"),
        ("*", "en"),
        ("fr, *;q=0.5", "en"),
        ("de;q=0.5, *", "en"),
        ("en;q=0, *", "de"),
        ("de;q=0, *;q=0.1", "en"),
        ("*;q=0, de", "de"),
        ("en;q=0, de;q=0, *", "en"),
        ("de;q=0.0, de-AT", "en"),
        ("deutsch", "en"),
        ("de_DE", "en"),
        ("de;q=1.5, en;q=0.1", "en"),
        ("de;q=0.1234, en;q=0.1", "en"),
        ("de;level=1, en;q=0.1", "en"),
        (",,;q=1,de", "de"),
        (" " * 600 + "de", "en"),
    ],
)
def test_the_language_is_the_readers_first_that_there_is(accepted: str, tag: str) -> None:
    """RFC 9110, section 12.5.4; RFC 4647, section 3.4; what can't be read counts as not there."""
    assert choose(accepted).tag == tag


def test_a_language_is_spoken_until_its_block_ends() -> None:
    with speaking(GERMAN):
        assert language() is GERMAN
        assert gettext("Sign out") == "Abmelden"
    assert gettext("Sign out") == "Sign out"


def test_nothing_stays_nothing_in_every_language() -> None:
    for each in LANGUAGES.values():
        with speaking(each):
            assert gettext("") == ""


def test_times_are_written_as_the_reader_writes_them() -> None:
    assert times.utc(NOW) == "3 Nov 2026, 12:04 UTC"
    with speaking(GERMAN):
        assert times.utc(NOW) == "3. Nov. 2026, 12:04 UTC"
        assert times.utc(NOW.replace(month=3)) == "3. März 2026, 12:04 UTC"


def test_numbers_are_grouped_as_the_reader_groups_them() -> None:
    assert [number(value) for value in (0, 999, 10_000, -1_234_567)] == [
        *("0", "999", "10,000", "-1,234,567")
    ]
    with speaking(GERMAN):
        assert [number(value) for value in (999, 10_000, 1_234_567)] == [
            *("999", "10.000", "1.234.567")
        ]


@pytest.mark.parametrize(
    ("place", "english", "german"),
    [
        (
            Place("London", "England", "United Kingdom", "GB"),
            "London, United Kingdom",
            "London, Vereinigtes Königreich",
        ),
        (Place(country="Germany", country_code="DE"), "Germany", "Deutschland"),
        (Place("Singapore", None, "Singapore", "SG"), "Singapore", "Singapur"),
        (Place("Atlantis", None, "Oz"), "Atlantis, Oz", "Atlantis, Oz"),
        (Place(country="Oz", country_code="QZ"), "Oz", "Oz"),
        (Place(reason="no_data"), "unknown", "unbekannt"),
    ],
)
def test_places_have_the_readers_names(place: Place, english: str, german: str) -> None:
    assert words.place(place) == english == place.label
    with speaking(GERMAN):
        assert words.place(place) == german


@pytest.mark.parametrize(
    ("device", "english", "german"),
    [
        (
            Device("desktop", "macOS", "15", "Chrome", "142"),
            "Chrome on macOS",
            "Chrome unter macOS",
        ),
        (Device("desktop", None, None, "Chrome", "142"), "Chrome", "Chrome"),
        (Device("desktop", "macOS", None, None, None), "macOS", "macOS"),
        (Device("unknown", None, None, None, None), "Unknown device", "Unbekanntes Gerät"),
    ],
)
def test_devices_are_put_as_the_reader_puts_them(device: Device, english: str, german: str) -> None:
    assert words.device(device) == english == device.label
    with speaking(GERMAN):
        assert words.device(device) == german


def test_a_thing_without_a_name_of_its_own_is_translated() -> None:
    tablet = Device("tablet", "Android", "16", "Chrome", "142")
    assert words.thing(tablet) == "Android tablet"
    with speaking(GERMAN):
        assert words.thing(tablet) == "Android-Tablet"
        assert words.thing(Device("desktop", "macOS", None, None, None)) == "Macintosh"
        assert words.thing(Device("unknown", None, None, "curl", "8")) == ""
