"""Where a verifier's servers are: https, or plain http within this machine."""

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from lastcall.errors import SettingsError


class Address(NamedTuple):
    """A server: its path is without a slash at its end."""

    secure: bool
    host: str
    port: int
    netloc: str
    path: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read a URL. Raises SettingsError."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")  # as whoever looks it up does
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        secure = parts.scheme == "https"
        if not host or not (secure or (parts.scheme == "http" and _is_own(host))):
            raise SettingsError(
                "a server's address must be https://, or http:// of this machine (localhost)"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise SettingsError("a server's address has no user, no query and no fragment")
        if not text.isascii() or not text.isprintable() or " " in text:
            raise SettingsError("a server's address is in ASCII")
        return cls(
            secure, host, port or (443 if secure else 80), parts.netloc, parts.path.rstrip("/")
        )

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.netloc}{self.path}"


def _is_own(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
