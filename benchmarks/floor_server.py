"""The floor over HTTP: a raw ASGI application on the same server, in one thread.

Run as `python -m benchmarks.floor_server DATABASE`; prints its port when it listens.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from uvicorn import Config, Server

from benchmarks.floor import Floor

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Work = Callable[[list[str]], bytes]


class App:
    """Does what the path says, with the rest of the path; and answers what comes of it."""

    def __init__(self, floor: Floor) -> None:
        self._works: dict[str, Work] = {
            "bare": lambda _: b"{}",
            "refresh": lambda names: floor.refresh(names[0]),
            "sign-in": lambda _: floor.verify_password(),
            "session": lambda names: floor.see(names[0]),
            "sessions": lambda names: floor.see_all(names[0]),
            "terminate": lambda names: floor.terminate(names[0], names[1]),
        }

        self._listening: set[Send] = set()
        self._silent: set[Send] = set()
        """Those of them that have not answered."""

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, or serve one WebSocket."""
        if scope["type"] == "websocket":
            await self._follow(scope["path"], receive, send)
            return
        while scope["method"] == "POST" and (await receive()).get("more_body"):
            pass
        _, work, *names = scope["path"].split("/")
        body = self._works[work](names)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _follow(self, path: str, receive: "Receive", send: "Send") -> None:
        """Pass what one WebSocket says to all those that listen; and, once all of them have
        answered, the last answer to that one."""
        await receive()
        await send({"type": "websocket.accept"})
        if path == "/listen":
            self._listening.add(send)
        else:
            self._speaker = send
        while (message := await receive())["type"] != "websocket.disconnect":
            if path == "/listen":
                self._silent.discard(send)
                to = set() if self._silent else {self._speaker}
            else:
                to = self._silent = self._listening.copy()
            for one in tuple(to):
                await one({"type": "websocket.send", "text": message["text"]})
        self._listening.discard(send)


def serve(app: "ASGIApp", http: type[asyncio.Protocol] | Literal["httptools"]) -> None:
    """Say on which port, and serve until a signal ends it."""
    config = Config(
        app,
        http=http,
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        Server(config).run([listener])


if __name__ == "__main__":
    serve(App(Floor(Path(sys.argv[1]))), "httptools")
