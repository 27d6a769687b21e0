"""Where a list goes on: the last row's time and id, opaque to whoever carries it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from lastcall.digests import decode, encode
from lastcall.errors import FieldError, InvalidRequest
from lastcall.stores.base import Cursor

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORM: Final = re.compile(r"(?P<at>[0-9]{1,18})\.(?P<id>[a-z0-9_]{0,80})")


def write(cursor: Cursor) -> str:
    """Write a cursor."""
    at = (cursor.at - _START) // timedelta(microseconds=1)
    return encode(f"{at}.{cursor.id}".encode("ascii"))


def read(text: str) -> Cursor:
    """Read a cursor. Raises InvalidRequest."""
    try:
        match = _FORM.fullmatch(decode(text[:200]).decode("ascii"))
        if match is not None:
            return Cursor(_START + timedelta(microseconds=int(match["at"])), match["id"])
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(FieldError("before", "invalid", "give a `next` as it came, unchanged"))
