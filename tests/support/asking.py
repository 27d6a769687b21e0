"""Requests of raw bytes to an application in this process, as no client library would send them."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def code(self) -> object:
        """A problem's code; None for a page or an empty answer."""
        if self.headers.get(b"content-type") != b"application/problem+json":
            return None
        return json.loads(self.body)["code"]

    def expect_sound(self) -> "Answer":
        """Hold that the server was not at fault, and that a refusal says what it is."""
        assert self.status < 500, self
        if self.status >= 400:
            page = self.headers[b"content-type"].startswith(b"text/html")
            assert page or self.code, self
        return self


class Asker:
    """Asks an application, each time from another address, so that no limit of one is met."""

    def __init__(self, app: ASGIApp, loop: asyncio.Runner) -> None:
        self._app = app
        self._loop = loop
        self._numbers = count(1)

    def __call__(
        self, method: str, target: bytes, headers: Headers = (), body: bytes = b""
    ) -> Answer:
        """Send one request; `target` is the path and the query as they stand in its first line."""
        return self._loop.run(self._ask(method, target, headers, body))

    async def _ask(self, method: str, target: bytes, headers: Headers, body: bytes) -> Answer:
        raw_path, _, query = target.partition(b"?")
        number = next(self._numbers)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"localhost:8000"), *headers],
            "server": ("127.0.0.1", 8000),
            "client": (f"198.18.{number // 250 % 250}.{number % 250 + 1}", 50000),
        }
        came = iter([{"type": "http.request", "body": body, "more_body": False}])
        sent: list[Message] = []

        async def receive() -> Message:
            return next(came, {"type": "http.disconnect"})

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *rest = sent
        parts = [message.get("body", b"") for message in rest]
        return Answer(start["status"], dict(start["headers"]), b"".join(parts))
