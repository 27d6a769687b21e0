"""Session management for Python web applications and APIs.

What an application that checks tokens needs is here; `lastcall[server]` brings the server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from lastcall.errors import Error, InvalidToken, SessionEnded, Unavailable

if TYPE_CHECKING:
    from lastcall.remote.model import Client
    from lastcall.remote.sessions import Sessions
    from lastcall.verifier.client import Verifier
    from lastcall.verifier.session import Session

__all__ = [
    "Client",
    "Error",
    "InvalidToken",
    "Session",
    "SessionEnded",
    "Sessions",
    "Unavailable",
    "Verifier",
]

_HOMES: Final = {
    "Client": "lastcall.remote.model",
    "Session": "lastcall.verifier.session",
    "Sessions": "lastcall.remote.sessions",
    "Verifier": "lastcall.verifier.client",
}


def __getattr__(name: str) -> object:
    """Import what is heavy with its first use: who catches an error needs no cryptography."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lastcall' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Show the public names, and no others."""
    return sorted(__all__)
