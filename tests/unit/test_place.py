"""Where is it: addresses in, approximate places out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastcall.device.model import Place
from lastcall.device.place import DB_IP, NAME_LIMIT, Locator, PlaceDataError
from tests.support.cities import write_database

DATA = Path(__file__).parents[3] / "shared" / "data"
CITIES = DATA / "GeoIP2-City-Test.mmdb"
needs_cities = pytest.mark.skipif(not CITIES.exists(), reason="the test database is not here")

LONDON = Place("London", "England", "United Kingdom", "GB")
NO_DATA = Place(reason="no_data")
REGISTRIES = Locator.open(None)


@pytest.fixture
def cities() -> Iterator[Locator]:
    locator = Locator.open(CITIES)
    yield locator
    locator.close()


@needs_cities
@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("81.2.69.142", LONDON),
        ("::ffff:81.2.69.142", LONDON),
        ("2002:5102:458e::1", LONDON),
        (
            "89.160.20.112",
            Place("Linköping", "Östergötland County", "Sweden", "SE"),
        ),
        ("2a02:ef40::1", Place(country="Russia", country_code="RU")),
        ("2.3.3.1", NO_DATA),
    ],
    ids=["ipv4", "ipv4-mapped", "6to4", "umlauts", "no-city", "continent-only"],
)
def test_a_city_database_tells_the_city(cities: Locator, ip: str, expected: Place) -> None:
    """The operator's database decides, also where it knows only a country or not even that."""
    assert cities.locate(ip) == expected


@needs_cities
def test_a_network_that_the_city_database_lacks_has_its_country_of_registration(
    cities: Locator,
) -> None:
    """On a miss the registries are asked."""
    assert cities.locate("8.8.8.8") == Place(country="United States", country_code="US")


@pytest.mark.parametrize(
    ("ip", "country"),
    [
        ("8.8.8.8", "United States"),
        ("81.2.69.142", "United Kingdom"),
        ("::ffff:81.2.69.142", "United Kingdom"),
        ("2001:4860:4860::8888", "United States"),
        ("2001:4860:4860::8888%eth0", "United States"),
    ],
)
def test_countries_are_known_without_any_file(ip: str, country: str) -> None:
    """With no set-up at all a public address has a country, by its English name."""
    place = REGISTRIES.locate(ip)
    assert (place.country, place.city, place.reason) == (country, None, None)
    assert place.label == country


@pytest.mark.parametrize(
    "ip",
    [
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "127.0.0.1",
        "100.64.0.1",
        "169.254.0.1",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.7",
        "0.1.2.3",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "2002:0a00:0001::1",
    ],
)
def test_an_address_of_no_public_network_is_called_private(ip: str) -> None:
    """Private, loopback, link-local, shared (CGNAT) and documentation addresses are in no place."""
    assert REGISTRIES.locate(ip) == Place(reason="private_address")
    assert REGISTRIES.locate(ip).label == "unknown"


NOT_ADDRESSES = {
    "none": None,
    "empty": "",
    "space": " 8.8.8.8",
    "port": "8.8.8.8:443",
    "brackets": "[2001:4860:4860::8888]",
    "network": "8.8.8.0/24",
    "name": "localhost",
    "unix": "unix:",
    "number": "134744072",
    "zeros": "008.008.008.008",
    "other-digits": "\uff18.\uff18.\uff18.\uff18",
    "nul": "8.8.8.8\0",
    "surrogate": "\ud800",
    "markup": "<script>alert(1)</script>",
    "64-kib": "1" * 65536,
    "64-kib-of-colons": ":" * 65536,
}


@pytest.mark.parametrize("ip", NOT_ADDRESSES.values(), ids=NOT_ADDRESSES.keys())
def test_what_is_no_address_is_said_to_be_none(ip: str | None) -> None:
    """Garbage in the place of an address has a reason of its own and raises nothing."""
    assert REGISTRIES.locate(ip) == Place(reason="no_address")


@pytest.mark.parametrize(
    ("place", "label"),
    [
        (LONDON, "London, United Kingdom"),
        (Place(country="United Kingdom", country_code="GB"), "United Kingdom"),
        (Place("Singapore", None, "Singapore", "SG"), "Singapore"),
        (NO_DATA, "unknown"),
    ],
)
def test_a_label_is_no_more_exact_than_the_data(place: Place, label: str) -> None:
    """City and country, the country alone, or "unknown"."""
    assert place.label == label


RIO = Place("Rio de Janeiro", "Rio de Janeiro", "Brazil", "BR")
LAYOUTS: dict[str, tuple[dict[str, object], Place]] = {
    "maxmind": (
        {
            "city": {"names": {"de": "Rio", "en": "Rio de Janeiro"}},
            "country": {"iso_code": "BR", "names": {"en": "Federative Republic of Brazil"}},
            "subdivisions": [{"iso_code": "RJ", "names": {"en": "Rio de Janeiro"}}],
        },
        RIO,
    ),
    "db-ip": (
        {
            "city": {"names": {"en": "Rio de Janeiro"}},
            "country": {"iso_code": "BR"},
            "subdivisions": [{"names": {"en": "Rio de Janeiro"}}],
        },
        RIO,
    ),
    "flat": (
        {"country_code": "BR", "city": "Rio de Janeiro", "state1": "Rio de Janeiro"},
        RIO,
    ),
    "flat-with-names": (
        {
            "country": "Brazil",
            "country_code": "BR",
            "region": "Rio de Janeiro",
            "city": "Rio de Janeiro",
        },
        RIO,
    ),
    "flat-country-only": ({"country": "BR"}, Place(country="Brazil", country_code="BR")),
    "no-code": ({"country": "Atlantis"}, Place(country="Atlantis")),
    "unknown-code": (
        {"country": {"iso_code": "QQ", "names": {"en": "Atlantis"}}},
        Place(country="Atlantis", country_code="QQ"),
    ),
}


@pytest.mark.parametrize(("record", "expected"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_each_layout_of_city_databases_is_read(
    tmp_path: Path, record: dict[str, object], expected: Place
) -> None:
    """Nested, DB-IP's own and flat records mean the same place."""
    locator = Locator.open(write_database(tmp_path / "city.mmdb", record))
    assert locator.locate("8.8.8.8") == expected
    locator.close()


def test_hostile_names_in_a_database_stay_bounded(tmp_path: Path) -> None:
    """Control and direction characters are dropped and names cut, whatever the database says."""
    record: dict[str, object] = {"country_code": "BR", "city": "\0\u202e\x1b[1mRio\n" + "o" * 100}
    locator = Locator.open(write_database(tmp_path / "city.mmdb", record))
    city = locator.locate("8.8.8.8").city
    assert city is not None
    assert city == ("[1mRio" + "o" * 100)[:NAME_LIMIT]
    locator.close()


def test_a_damaged_record_has_no_data(tmp_path: Path) -> None:
    """A look-up that finds damage says "no data" instead of raising."""
    path = write_database(tmp_path / "city.mmdb", {"country": "BR"}, upper=0xFFFFFF)
    locator = Locator.open(path)
    assert locator.locate("8.8.8.8").country == "Brazil"
    assert locator.locate("200.1.2.3") == NO_DATA
    locator.close()


def test_a_database_of_ipv4_leaves_ipv6_to_the_registries(tmp_path: Path) -> None:
    """An IPv6 address is a miss in a database that holds IPv4 only."""
    locator = Locator.open(write_database(tmp_path / "city.mmdb", {"country": "BR"}))
    assert locator.locate("2001:4860:4860::8888").country == "United States"
    assert locator.locate("200.160.2.3").country == "Brazil"  # by its registration
    locator.close()


def test_a_closed_locator_has_no_data(tmp_path: Path) -> None:
    """Looking up after `close` raises nothing."""
    locator = Locator.open(write_database(tmp_path / "city.mmdb", {"country": "BR"}))
    locator.close()
    assert locator.locate("8.8.8.8") == NO_DATA


@pytest.mark.parametrize(
    ("file", "kind"),
    [("dbip-city-lite.mmdb", "City"), ("city.mmdb", "DBIP-City-Lite (compat=City)")],
    ids=["by-file-name", "by-type"],
)
def test_db_ip_is_given_credit_and_its_districts_are_left_out(
    tmp_path: Path, file: str, kind: str
) -> None:
    """With DB-IP's data there are words and a link to show, and a city is no more than a city."""
    record: dict[str, object] = {"country": "AU", "city": "Sydney (Surry Hills)"}
    locator = Locator.open(write_database(tmp_path / file, record, kind=kind))
    assert locator.attribution == DB_IP
    assert locator.locate("8.8.8.8").label == "Sydney, Australia"
    locator.close()


def test_other_data_asks_for_no_credit_on_pages(tmp_path: Path) -> None:
    """Only DB-IP's data carries an attribution."""
    locator = Locator.open(write_database(tmp_path / "city.mmdb", {"country": "BR"}))
    assert locator.attribution is None
    assert REGISTRIES.attribution is None
    locator.close()


def test_the_source_says_which_data_and_how_old(tmp_path: Path) -> None:
    """An operator sees each file's name, kind and date, and the registries' release."""
    locator = Locator.open(write_database(tmp_path / "city.mmdb", {"country": "BR"}))
    assert locator.source.startswith("city.mmdb (Test-City, built 2023-11-14), iptocc ")
    assert REGISTRIES.source.startswith("iptocc 3.")
    locator.close()


def test_a_database_that_cannot_be_used_is_refused_with_advice(tmp_path: Path) -> None:
    """A missing, foreign, damaged or countryless file is named, with what to do."""
    text = tmp_path / "text.mmdb"
    text.write_text("not a database")
    empty = tmp_path / "empty.mmdb"
    empty.touch()
    networks = write_database(tmp_path / "asn.mmdb", {"autonomous_system_number": 64496})
    unions = write_database(tmp_path / "eu.mmdb", {"country": "EU"})
    timeless = write_database(tmp_path / "time.mmdb", {"country": "BR"}, epoch=2**63)
    for path, fault in [
        (tmp_path / "missing.mmdb", "can't be read (No such file or directory)"),
        (tmp_path, ""),
        (text, "is damaged"),
        (empty, "is damaged"),
        (networks, "holds no countries"),
        (unions, "holds no countries"),
        (timeless, "is damaged"),
    ]:
        with pytest.raises(PlaceDataError) as caught:
            Locator.open(path)
        assert f"The city database {path} {fault}" in str(caught.value)
        assert "Give LASTCALL_CITY_DB" in str(caught.value)


@needs_cities
def test_a_database_without_its_end_is_refused(tmp_path: Path) -> None:
    """A download that broke off is found out when it is opened, wherever it did."""
    whole = CITIES.read_bytes()
    path = tmp_path / "city.mmdb"
    for length in range(0, len(whole) - 10, 500):
        path.write_bytes(whole[:length])
        with pytest.raises(PlaceDataError):
            Locator.open(path)


@given(st.one_of(st.text(st.characters()), st.ip_addresses().map(str)))
def test_any_text_has_a_place_or_a_reason(ip: str) -> None:
    """Nothing raises, and exactly one of country and reason is there."""
    place = REGISTRIES.locate(ip)
    assert (place.country is None) != (place.reason is None)
    assert place.reason in (None, "private_address", "no_data", "no_address")
