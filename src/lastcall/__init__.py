"""Session management for Python web applications and APIs.

What an application that checks tokens needs is here; `lastcall[server]` brings the server.
"""

from typing import TYPE_CHECKING

from lastcall.errors import Error, InvalidToken, SessionEnded, Unavailable

if TYPE_CHECKING:
    from lastcall.verifier.client import Verifier
    from lastcall.verifier.session import Session

__all__ = ["Error", "InvalidToken", "Session", "SessionEnded", "Unavailable", "Verifier"]


def __getattr__(name: str) -> object:
    """Import what is heavy with its first use: who catches an error needs no cryptography."""
    match name:
        case "Verifier":
            from lastcall.verifier.client import Verifier

            return Verifier
        case "Session":
            from lastcall.verifier.session import Session

            return Session
        case _:
            raise AttributeError(f"module 'lastcall' has no attribute {name!r}")
