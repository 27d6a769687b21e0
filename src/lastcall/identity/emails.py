"""E-mail addresses: checked once, normalised once, compared in one form."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from lastcall.errors import FieldError, InvalidRequest
from lastcall.identity.names import fold

MAX_LENGTH = 254
"""Longest address, in characters."""
_LONGEST = 4 * MAX_LENGTH


def parse_email(text: str, field: str = "email") -> tuple[str, str]:
    """Give an address as it is shown, and the key by which it is compared: Unicode compatibility
    forms folded, case folded, the domain as people read it.

    Raises InvalidRequest.
    """
    try:
        parsed = validate_email(
            unicodedata.normalize("NFKC", text[:_LONGEST]),
            check_deliverability=False,
            globally_deliverable=False,
        )
    except EmailNotValidError as error:
        raise InvalidRequest(FieldError(field, "email", "this is not an e-mail address")) from error
    return parsed.normalized, fold(parsed.normalized)


def email_key(text: str) -> str:
    """Give the key of an address that somebody signs in with; whatever they typed has one."""
    try:
        return parse_email(text)[1]
    except InvalidRequest:
        return ""
