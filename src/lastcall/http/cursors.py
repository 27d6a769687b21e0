"""Where a list goes on: after its last row, opaque to whoever carries it, and of no use to a list
of another kind."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from lastcall.digests import decode, encode
from lastcall.errors import FieldError, InvalidRequest
from lastcall.stores.base import Cursor

Kind = Literal["sessions", "users", "records", "keys", "services"]
"""What a list is of."""

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORM: Final = re.compile(r"(?P<kind>[a-z]+):(?P<place>[a-z0-9_.]{1,120})")
_SESSION: Final = re.compile(r"(?P<at>[0-9]{1,18})\.(?P<id>[a-z0-9_]{0,80})")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


class Part(Struct):
    """Which part of a list: from where on, and how many."""

    before: str | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


def write(cursor: Cursor) -> str:
    """Write where a list of sessions goes on."""
    at = (cursor.at - _START) // timedelta(microseconds=1)
    return encode(f"sessions:{at}.{cursor.id}".encode("ascii"))


def read(text: str) -> Cursor:
    """Read where a list of sessions goes on. Raises InvalidRequest."""
    match = _SESSION.fullmatch(read_place("sessions", text))
    if match is None:
        raise _wrong()
    try:
        return Cursor(_START + timedelta(microseconds=int(match["at"])), match["id"])
    except OverflowError as error:
        raise _wrong() from error


def write_place(kind: Kind, place: str | int | None) -> str | None:
    """Write where a list of one kind goes on: the id or number of its last row, if it goes on."""
    return None if place is None else encode(f"{kind}:{place}".encode("ascii"))


def read_place(kind: Kind, text: str) -> str:
    """Read where a list of this kind goes on. Raises InvalidRequest."""
    try:
        match = _FORM.fullmatch(decode(text[:200]).decode("ascii"))
    except ValueError as error:
        raise _wrong() from error
    if match is None or match["kind"] != kind:
        raise _wrong()
    return match["place"]


def read_number(kind: Kind, text: str) -> int:
    """Read where a list of this kind, whose rows are numbered, goes on. Raises InvalidRequest."""
    place = read_place(kind, text)
    if _NUMBER.fullmatch(place) is None:
        raise _wrong()
    return int(place)


def _wrong() -> InvalidRequest:
    return InvalidRequest(FieldError("before", "invalid", "give a `next` as it came, unchanged"))
