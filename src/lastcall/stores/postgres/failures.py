"""What a failure of PostgreSQL means: for the caller, for the connection, for another try."""

import socket
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError

from lastcall.errors import Unavailable

_TEXTS: Final[dict[str, str]] = {
    "25006": "the database is read only: it is a standby, or was told to be",
    "28000": "the database refuses this user: check the user in LASTCALL_DATABASE_URL",
    "28P01": "the database refuses the password in LASTCALL_DATABASE_URL",
    "3D000": "there is no such database on the server: make it with `createdb`",
    "42501": "the database refuses this to its user: make the user the database's owner",
    "53100": "the database server's disk is full: make room",
    "53200": "the database server is out of memory",
    "53300": "the database server has no connection left: raise max_connections",
    "55P03": "the database is busy with other transactions",
    "57014": "the database took too long",
    "57P01": "the database server is being stopped",
    "57P03": "the database server is starting or stopping",
}
"""By SQLSTATE (PostgreSQL's documentation, appendix A)."""


class Unknown(Exception):
    """It failed while it was committed: whether that was done can't be told."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__()


class Warned(Exception):
    """The server has done it, and warns that it may be lost: no standby was heard of."""


_OF_CONNECTIONS: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_AGAIN: Final = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock: the whole transaction was rolled back by the server."""


_UNREACHED: Final[dict[type[BaseException], str]] = {
    ConnectionRefusedError: "nothing listens there",
    FileNotFoundError: "there is no such socket",
    TimeoutError: "it does not answer",
    asyncpg.TargetServerAttributeNotMatched: "no primary is among its hosts",
    socket.gaierror: "its name is not known",
}
"""What befell a connection, for people."""


def cause(error: BaseException) -> BaseException:
    """Give the driver's own error."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def state(error: BaseException) -> str:
    """Give the server's SQLSTATE; "" where the server has said nothing."""
    return getattr(cause(error), "sqlstate", None) or ""


def is_failure(error: BaseException) -> bool:
    """Tell a failure of the database from an error of the work: its guards, its data."""
    found = cause(error)
    if isinstance(found, asyncpg.PostgresError):
        # 22: what was given can't be kept; 23: a constraint. Both are the work's own.
        return state(found)[:2] not in ("22", "23")
    return isinstance(found, _OF_CONNECTIONS)


def may_try_again(error: BaseException) -> bool:
    """Whether the server has rolled the whole transaction back and would take it another time."""
    return state(error) in _AGAIN


def is_refused(error: BaseException) -> bool:
    """Whether the server has answered that it did not do it. One that ends the connection, or
    itself, with what it says may have done it."""
    return getattr(cause(error), "severity_en", None) == "ERROR"


def is_gone(error: BaseException) -> bool:
    """Whether the connection, and not the statement, has failed."""
    found = cause(error)
    if isinstance(found, asyncpg.PostgresError):
        return state(found)[:2] in ("08", "57") and state(found) != "57014"
    return isinstance(found, _OF_CONNECTIONS)


def unavailable(error: BaseException, *, unknown: bool = False) -> Unavailable:
    """Say what a failure means for the caller. `unknown`: the connection was lost, or a standby not
    heard of, while this was committed (instant-logout, rule 15)."""
    number = state(error)
    text = _TEXTS.get(number)
    if isinstance(error, Warned):
        text = f"the database warns: {error}"
    if text is None and number:
        text = f"the database failed: {number}"
    if text is None:
        kind = type(cause(error))
        why = next((_UNREACHED[one] for one in kind.__mro__ if one in _UNREACHED), kind.__name__)
        text = f"the database can't be reached: {why}"
    if unknown:
        text = f"{text}; whether this was done is unknown"
    problem = Unavailable(text)
    problem.__cause__ = error
    return problem
