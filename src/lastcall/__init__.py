"""Session management for Python web applications and APIs.

What an application that checks tokens needs is here; `lastcall[server]` brings the server.
"""

from lastcall.errors import Error, InvalidToken, SessionEnded, Unavailable

__all__ = ["Error", "InvalidToken", "SessionEnded", "Unavailable"]
