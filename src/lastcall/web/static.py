"""The pages' own files, under addresses that change with their content; and one for the pages of
applications, under one that stays."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from starlette.responses import Response

from lastcall.digests import digest, encode
from lastcall.errors import NotFound
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
}
"""What has another ending is not served."""
_FOREVER: Final = "public, max-age=31536000, immutable"
_AN_HOUR: Final = "public, max-age=3600"
LIBRARY: Final = "lastcall.js"


@dataclass(frozen=True, slots=True)
class File:
    """One file, as it is served."""

    address: str
    content: bytes
    media_type: str


def _load() -> Mapping[str, File]:
    files = {}
    for file in resources.files("lastcall.web").joinpath("static").iterdir():
        media_type = _TYPES.get(f".{file.name.rpartition('.')[2]}")
        if file.is_file() and media_type:
            content = file.read_bytes()
            version = encode(digest(content))[:12]
            files[file.name] = File(f"/static/{version}/{file.name}", content, media_type)
    return files


_FILES: Final = _load()
_BY_ADDRESS: Final = {file.address: file for file in _FILES.values()}


def address(name: str) -> str:
    """Give the path of a file, below the one where the server stands."""
    return _FILES[name].address


async def serve(call: Call[None, None, None]) -> Response:
    """Give a file; its address names its content, so that it may be kept for ever."""
    file = _BY_ADDRESS.get(f"/static/{call.path('version')}/{call.path('name')}")
    if file is None:
        raise NotFound
    return Response(file.content, 200, {"cache-control": _FOREVER}, file.media_type)


async def serve_library(_call: Call[None, None, None]) -> Response:
    """Give `lastcall.js`."""
    file = _FILES[LIBRARY]
    return Response(file.content, 200, {"cache-control": _AN_HOUR}, file.media_type)


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=f"/{LIBRARY}",
        caller=ANYONE,
        handler=serve_library,
        summary="What an application's pages import",
    ),
    Endpoint(
        method="GET",
        path="/static/{version}/{name}",
        caller=ANYONE,
        handler=serve,
        summary="A file of the pages",
    ),
]
