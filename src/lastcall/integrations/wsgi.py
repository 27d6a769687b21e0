"""A request of WSGI, whatever the framework."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from lastcall.integrations.core import Asked

_IN_PATHS: Final = "/:@!$&'()*+,;="


def asked_by(environ: Mapping[str, Any], target: Callable[[], str]) -> Asked:
    """Show a request. A header that came several times is one here, joined by the web server: as a
    token, an origin or a site it is none that is good."""

    def headers(name: str) -> list[str]:
        value = environ.get("HTTP_" + name.upper().replace("-", "_"))
        return [] if value is None else [value]

    method = environ["REQUEST_METHOD"]
    return Asked(method, headers("authorization"), headers("cookie"), target, headers)


def target(environ: Mapping[str, Any]) -> str:
    """Give the path and query, as near to how they were sent as WSGI tells."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    quoted = quote(path, safe=_IN_PATHS, encoding="latin-1")
    return f"{quoted}?{query}" if query else quoted
