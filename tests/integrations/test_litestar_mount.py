"""What Litestar passes on to an application that it has mounted."""

from typing import Any

import httpx
from litestar import Litestar

from lastcall.integrations.litestar import mount


async def test_a_mounted_application_is_told_each_path_as_it_was_asked_for() -> None:
    """By Litestar's own mounts, `/auth/sign-in` is `/sign-in/`, of nowhere."""
    told = []

    async def inner(scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401
        told.append((scope["path"], scope["root_path"], scope["query_string"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(Litestar([mount("/auth", inner)]))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for path in ("/auth/sign-in?next=/", "/auth/a%20b/", "/auth", "/auth/"):
            await client.get(path)
    assert told == [
        ("/auth/sign-in", "/auth", b"next=/"),
        ("/auth/a b/", "/auth", b""),
        ("/auth", "/auth", b""),
        ("/auth/", "/auth", b""),
    ]
