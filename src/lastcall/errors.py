"""The whole tree of errors, split by who is at fault.

A message says what to do and holds no secret.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


class Error(Exception):
    """Anything that lastcall refuses or fails to do."""

    code: str = "error"


# What a verifier raises (python-api.md).


class InvalidToken(Error):
    """The token is not one of ours, or is past its time: get a new one, or sign in.

    `code` is `token_invalid`, or `token_expired` where a refresh is what is needed.
    """

    def __init__(self, code: str = "token_invalid") -> None:
        self.code = code
        super().__init__(
            "a refresh is needed" if code == "token_expired" else "the token is not valid"
        )


class SessionEnded(Error):
    """The token is genuine and its session has ended: sign in again.

    `reason` is an end reason of the HTTP API; `ended_at` an aware UTC time, or None where it is
    not known. `by_kind` and `by_name` say who ended it, where that is known.
    """

    code = "session_ended"

    def __init__(
        self,
        reason: str | None = None,
        ended_at: datetime | None = None,
        by_kind: str | None = None,
        by_name: str | None = None,
    ) -> None:
        self.reason = reason
        self.ended_at = ended_at
        self.by_kind = by_kind
        self.by_name = by_name
        super().__init__(f"the session has ended: {reason}" if reason else "the session has ended")


class Unavailable(Error):
    """Something needed can't be reached or is overloaded. Nothing was changed; try again.

    `retry_after` is in seconds.
    """

    code = "unavailable"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(message)


# What the server refuses a caller (http-api.md, problem codes).


class Refused(Error):
    """The caller may not do this, or not now."""

    text: ClassVar[str] = "refused"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.text)


class InvalidCredentials(Refused):
    """Wrong password, unknown user and suspended user: one answer for all (ASVS 6.3.8)."""

    code = "invalid_credentials"
    text = "the e-mail address or the password is wrong"


class TokenMissing(Refused):
    """The call needs a token and came without."""

    code = "token_missing"
    text = "this needs an access token"


class ReauthenticationRequired(Refused):
    """A fresh proof is needed (RFC 9470); `max_age` is in seconds."""

    code = "reauthentication_required"
    text = "this needs a fresh proof of who you are"

    def __init__(self, max_age: int) -> None:
        self.max_age = max_age
        super().__init__()


class CsrfFailed(Refused):
    """Cookies were used from another site."""

    code = "csrf_failed"
    text = "the request came from another site"


class Forbidden(Refused):
    """Not the caller's role or scope."""

    code = "forbidden"
    text = "this is not yours to do"


class NotFound(Refused):
    """No such thing, or not the caller's to know."""

    code = "not_found"
    text = "there is no such thing"


class Conflict(Refused):
    """The state moved on meanwhile, or a rule of the data stands against it."""

    code = "conflict"
    text = "the state has changed meanwhile; look again"


class LastOwner(Conflict):
    """The account would be left without an owner, and nobody in it could mend that."""

    text = "this is the last owner; make somebody else an owner first"


class RateLimited(Refused):
    """Too often; `retry_after` is in seconds, `limit` is the name of what was exceeded, if any."""

    code = "rate_limited"
    text = "too many attempts; wait a little"

    def __init__(self, retry_after: int, limit: str = "") -> None:
        self.retry_after = retry_after
        self.limit = limit
        super().__init__()


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: where it is, a stable code and a text in English."""

    field: str
    code: str
    message: str


class InvalidRequest(Refused):
    """The body or a parameter is wrong; `errors` names each place.

    `readable` is False where the body could not be read at all.
    """

    code = "invalid_request"
    text = "the request is not valid"

    def __init__(self, *errors: FieldError, readable: bool = True) -> None:
        self.errors = errors
        self.readable = readable
        super().__init__("; ".join(error.message for error in errors) or None)


# What stands against starting or operating.


class SettingsError(Error):
    """A setting is wrong; the message names it and says what it takes."""

    code = "settings"


class SecretFileError(SettingsError):
    """The secret file is missing, unreadable, open to others, or not this database's."""


class StoreError(Error):
    """The database can't be used as it is."""

    code = "store"


class SchemaOlder(StoreError):
    """The database is from an older lastcall: run `lastcall migrate`."""


class SchemaNewer(StoreError):
    """The database is from a newer lastcall: upgrade lastcall; a database is never taken back."""


class LostRace(StoreError):
    """What a write rested on has changed since it was read: read and decide again, once."""
