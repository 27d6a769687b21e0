"""What a request needs to know of the server that it came to."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from lastcall.credentials import own_origins
from lastcall.http.cookies import Cookies
from lastcall.integrations.core import Gate
from lastcall.node import Node
from lastcall.verifier.checking import Checker

KEY: Final = "lastcall.site"
"""Where the scope of a request holds it."""


@dataclass(frozen=True, slots=True)
class Site:
    """The node, and what follows from its settings."""

    node: Node
    cookies: Cookies
    origins: frozenset[str]
    gate: Gate
    """Decides for applications that ask through a proxy."""
    draining: bool = False
    """Whether the server is being stopped: it is ready for nobody who does not ask it already."""

    @classmethod
    def of(cls, node: Node, verifier: Checker) -> "Site":
        """Work out what follows from a node's settings."""
        public_url = node.settings.public_url
        gate = Gate(verifier, public_url=public_url)
        return cls(node, Cookies(node.settings.secure), own_origins(public_url), gate)


def site_of(request: HTTPConnection) -> Site:
    """Give the site that a request came to."""
    site: Site = request.scope[KEY]
    return site


def base_path(request: HTTPConnection) -> str:
    """Give the path under which the server stands, without a slash at its end: that of the public
    URL or, where that has none, the one that an application mounted it under."""
    root: str = request.scope.get("root_path", "")
    return site_of(request).node.settings.base_path or root.rstrip("/")
