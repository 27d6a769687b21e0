"""Where is it: an IP address in, an approximate place out. A hint for people, never evidence.

Without any set-up the country comes from the registries' delegation statistics inside `iptocc`: it
is where the block is registered. With the operator's own city database (MaxMind DB format,
https://maxmind.github.io/MaxMind-DB/) its answer stands, and the registries are asked only about
networks that it doesn't have.
"""

import importlib.metadata
import importlib.resources
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import iptocc
import maxminddb

from lastcall.device.model import Place

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAME_LIMIT: Final = 64
"""Characters of a city's, region's or country's name."""

DB_IP: Final = ("IP Geolocation by DB-IP", "https://db-ip.com/")
"""The words and the link that DB-IP's licence (CC BY 4.0) asks for where its results show."""

_SAMPLE = 1000
_CODE = re.compile("[A-Z]{2}")
_COUNTRIES: Mapping[str, str] = json.loads(
    importlib.resources.files(__package__).joinpath("countries.json").read_text("utf-8")
)


class PlaceDataError(ValueError):
    """The city database can't be used. Give LASTCALL_CITY_DB a readable city or country database in
    MaxMind DB format (`.mmdb`), or leave it out: countries are known without it."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(
            f"The city database {path} {fault}. Give LASTCALL_CITY_DB the path of a "
            "readable city or country database in MaxMind DB format (.mmdb), or leave it out: "
            "countries are known without it."
        )


class Locator:
    """Finds places. Safe to use from several threads; `close` it at the end."""

    def __init__(self, reader: maxminddb.Reader | None, path: Path | None) -> None:
        self._reader = reader
        metadata = reader.metadata() if reader else None
        self._max_version = metadata.ip_version if metadata else 0
        registries = f"iptocc {importlib.metadata.version('iptocc')} (country of registration)"
        self.source = registries
        """Which data, and how old: for the operator."""
        self.built: datetime | None = None
        """When the city database was made."""
        self.attribution: tuple[str, str] | None = None
        """Words and link to show on each page with places, where the data's licence asks for it."""
        if metadata and path:
            self.built = datetime.fromtimestamp(metadata.build_epoch, UTC)
            made = f"{metadata.database_type}, built {self.built.date()}"
            self.source = f"{path.name} ({made}), {registries}"
            provider = f"{metadata.database_type} {path.name}".lower().replace("-", "")
            self.attribution = DB_IP if "dbip" in provider else None

    @classmethod
    def open(cls, city_db: Path | None) -> Self:
        """Open the operator's database, if there is one.

        The file is mapped into memory: replace it by renaming a new one over it, never by writing
        into it. A file that is cut short is refused; what is inside each record is not looked at
        here, and the C reader's trust in it is not complete: check a download's digest.

        Raises:
            PlaceDataError: it can't be read, is damaged, or holds no countries.
        """
        if city_db is None:
            return cls(None, None)
        reader: maxminddb.Reader | None = None
        try:
            # The pure reader: a damaged file can crash the whole process in the C one.
            reader = maxminddb.open_database(city_db, maxminddb.MODE_MMAP)
            if any(_place(record).country for record in _first_records(reader)):
                return cls(reader, city_db)
            fault = "holds no countries"
        except OSError as error:
            fault = f"can't be read ({error.strerror})"
        except Exception:  # noqa: BLE001 - a damaged file shows itself as any of a dozen
            fault = "is damaged or not in MaxMind DB format"
        _close(reader)
        raise PlaceDataError(city_db, fault)

    def locate(self, ip: str | None) -> Place:
        """The place of an address in text form; a zone id is ignored. Never raises."""
        address = _address(ip)
        if address is None:
            return Place(reason="no_address")
        if not address.is_global:
            return Place(reason="private_address")
        if self._reader is not None and address.version <= self._max_version:
            try:
                record = self._reader.get(address)
            except Exception:  # noqa: BLE001 - a place is worth no failed sign-in
                return Place(reason="no_data")
            if record is not None:
                place = _place(record)
                # DB-IP adds a district, "Sydney (Surry Hills)": more than an address can tell.
                if self.attribution == DB_IP and place.city:
                    return replace(place, city=place.city.partition(" (")[0])
                return place
        return _placed(country_code=iptocc.country_code(str(address)))

    def close(self) -> None:
        """Let go of the database. Places asked for later have no data."""
        _close(self._reader)


def _first_records(reader: maxminddb.Reader) -> Iterator[object]:
    """What the first thousand networks say, by look-up: the reader's own iteration trusts the file,
    and takes the process down with a damaged one."""
    bits, address = (
        (32, ipaddress.IPv4Address)
        if reader.metadata().ip_version == 4
        else (128, ipaddress.IPv6Address)
    )
    position = 0
    for _ in range(_SAMPLE):
        record, prefix = reader.get_with_prefix_len(address(position))
        yield record
        position = ((position >> (bits - prefix)) + 1) << (bits - prefix)
        if position >> bits:
            return


def _close(reader: maxminddb.Reader | None) -> None:
    if reader is not None:
        reader.close()


def _address(ip: str | None) -> Address | None:
    try:
        address = ipaddress.ip_address(ip or "")
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # The IPv4 address that it carries (RFC 4291, section 2.5.5.2; RFC 3056), else itself
        # without its zone.
        return address.ipv4_mapped or address.sixtofour or ipaddress.IPv6Address(int(address))
    return address


def _place(record: object) -> Place:
    """Read a record of any layout in use: MaxMind's (nested, names by language), DB-IP's own (the
    same with fewer codes, or plain names), flat."""
    if not isinstance(record, Mapping):
        return Place(reason="no_data")
    regions = record.get("subdivisions")
    if isinstance(regions, list) and regions:
        region = _text(regions[0])
    else:
        region = _first(record, "region", "region_name", "state1", "stateprov", "state")
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, Mapping) else country
    return _placed(
        city=_first(record, "city", "city_name"),
        region=region,
        country=_first(record, "country", "country_name"),
        country_code=_first(record, "country_code", "countryCode") or _text(code),
    )


def _placed(
    city: str | None = None,
    region: str | None = None,
    country: str | None = None,
    country_code: str | None = None,
) -> Place:
    code = country_code if country_code and _CODE.fullmatch(country_code) else None
    # Our own name first: one country has one name, whichever data it comes from.
    name = _COUNTRIES.get(code or "") or country
    if name is None or name == code:
        # Such as "EU", which the registries give to blocks of no one country.
        return Place(reason="no_data")
    return Place(city=city, region=region, country=name, country_code=code)


def _first(record: Mapping[str, object], *keys: str) -> str | None:
    return next(filter(None, (_text(record.get(key)) for key in keys)), None)


def _text(value: object) -> str | None:
    """A plain name, or the English one of several; bounded, without control characters."""
    if isinstance(value, Mapping):
        names = value.get("names")
        value = names.get("en") if isinstance(names, Mapping) else value.get("name")
    if not isinstance(value, str):
        return None
    return "".join(filter(str.isprintable, value[: 4 * NAME_LIMIT]))[:NAME_LIMIT].strip() or None
