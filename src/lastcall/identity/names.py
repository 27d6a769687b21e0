"""Names of people, organisations and keys."""

import unicodedata
from typing import Final

from lastcall.errors import FieldError, InvalidRequest

NAME_LENGTH: Final = 200
"""Longest name, in characters."""


def check_name(text: str, field: str) -> str:
    """Give a name as it is kept: trimmed, printable, not empty, not too long.

    Raises InvalidRequest.
    """
    name = text.strip()
    if not name:
        raise InvalidRequest(FieldError(field, "missing", "this needs a name"))
    if len(name) > NAME_LENGTH:
        text = f"at most {NAME_LENGTH} characters"
        raise InvalidRequest(FieldError(field, "too_long", text))
    if not name.isprintable():
        raise InvalidRequest(FieldError(field, "not_text", "this holds characters of no name"))
    return name


def fold(text: str) -> str:
    """Give a text in the form in which texts are compared and searched."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
