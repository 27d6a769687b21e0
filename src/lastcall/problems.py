"""Refusals on the wire: problem details (RFC 9457), and the one table of which status each has.

For the server and for the applications that refuse with its words; no framework is needed.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from lastcall.errors import (
    Conflict,
    CsrfFailed,
    Error,
    Forbidden,
    InvalidCredentials,
    InvalidRequest,
    InvalidToken,
    LostRace,
    NotFound,
    RateLimited,
    ReauthenticationRequired,
    Refused,
    SessionEnded,
    TokenMissing,
    Unavailable,
)

MEDIA_TYPE: Final = "application/problem+json"


class UnsupportedMediaType(Refused):
    """The body is of another type than this call takes."""

    code = "unsupported_media_type"
    text = "the body must be JSON: Content-Type: application/json"


class TooLarge(Refused):
    """The body is over the limit."""

    code = "too_large"
    text = "the body is too large"


class MethodNotAllowed(Refused):
    """The path takes other methods; `allow` lists them."""

    code = "method_not_allowed"
    text = "the path takes other methods"

    def __init__(self, allow: str) -> None:
        self.allow = allow
        super().__init__()


class UpgradeRequired(Refused):
    """The path speaks WebSocket alone (RFC 9110, section 15.5.22)."""

    code = "upgrade_required"
    text = "this is a WebSocket: ask for an upgrade"


STATUS: Final[dict[type[Error], int]] = {
    InvalidRequest: 422,
    UpgradeRequired: 426,
    UnsupportedMediaType: 415,
    MethodNotAllowed: 405,
    TooLarge: 413,
    InvalidCredentials: 401,
    TokenMissing: 401,
    InvalidToken: 401,
    SessionEnded: 401,
    ReauthenticationRequired: 401,
    CsrfFailed: 403,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    LostRace: 409,
    RateLimited: 429,
    Unavailable: 503,
}
"""Everything else is the server's own fault: 500."""


class ProblemField(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    code: str
    message: str


class EndedBy(msgspec.Struct, frozen=True):
    """Who ended a session; the name is for people."""

    kind: str
    name: str | None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Problem details. `code` is stable; `detail` is English, for people. `error` is OAuth's word,
    from OAuth's endpoints."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    error: str | UnsetType = UNSET
    errors: tuple[ProblemField, ...] | UnsetType = UNSET
    reason: str | UnsetType | None = UNSET
    ended_at: datetime | UnsetType | None = UNSET
    ended_by: EndedBy | UnsetType | None = UNSET
    max_age: int | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET


def status_of(error: Error) -> int:
    """Give the status of a refusal."""
    if isinstance(error, InvalidRequest) and not error.readable:
        return 400
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def problem_of(error: Exception) -> Problem:
    """Write an error as a problem; one that nobody foresaw says nothing of itself (ASVS 16.5.1)."""
    status = status_of(error) if isinstance(error, Error) else 500
    if not isinstance(error, Error) or status == 500:
        text = "something went wrong here; it has been logged"
        return Problem(title=title(500), status=500, detail=text, code="internal")
    extra: dict[str, object] = {}
    match error:
        case InvalidRequest():
            fields = (ProblemField(at.field, at.code, at.message) for at in error.errors)
            extra = {"errors": tuple(fields)}
        case SessionEnded():
            by = EndedBy(error.by_kind, error.by_name) if error.by_kind else None
            extra = {"reason": error.reason, "ended_at": error.ended_at, "ended_by": by}
        case ReauthenticationRequired():
            extra = {"max_age": error.max_age}
        case RateLimited() | Unavailable():
            extra = {"retry_after": error.retry_after}
        case _:
            pass
    code = Conflict.code if isinstance(error, LostRace) else error.code
    detail = Conflict.text if isinstance(error, LostRace) else str(error)
    problem = Problem(title=title(status), status=status, detail=detail, code=code)
    return msgspec.structs.replace(problem, **extra)


def headers_of(error: Exception) -> dict[str, str]:
    """Give the headers that belong to an error. None of them ever sets a cookie: the loser of a
    race between tabs must not sign out the winner."""
    match error:
        case ReauthenticationRequired():
            # RFC 9470, section 3.
            challenge = _challenge("insufficient_user_authentication", str(error))
            return {"www-authenticate": f'{challenge}, max_age="{error.max_age}"'}
        case InvalidToken() | SessionEnded():
            # RFC 6750, section 3.1.
            return {"www-authenticate": _challenge("invalid_token", str(error))}
        case TokenMissing() | InvalidCredentials():
            return {"www-authenticate": 'Bearer realm="lastcall"'}
        case RateLimited() | Unavailable():
            return {"retry-after": str(error.retry_after)}
        case MethodNotAllowed():
            return {"allow": error.allow}
        case UpgradeRequired():
            return {"upgrade": "websocket", "connection": "upgrade"}
        case _:
            return {}


def _challenge(error: str, description: str) -> str:
    return f'Bearer realm="lastcall", error="{error}", error_description="{description}"'


def title(status: int) -> str:
    """Give a status in words."""
    return HTTPStatus(status).phrase
