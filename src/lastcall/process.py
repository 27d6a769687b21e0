"""What people are told of this process, on the page Services."""

import os
import platform
import socket
from typing import Final

MAX_LENGTH: Final = 200
"""Longest name of a process, in characters."""


def agent() -> str:
    """Name this process as its host knows it."""
    return f"{socket.gethostname()} {os.getpid()}, Python {platform.python_version()}"[:MAX_LENGTH]
