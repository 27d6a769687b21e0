"""`/feed`: what verifiers follow, over one WebSocket connection (RFC 6455), see `docs/feed.md`."""

import asyncio
import contextlib
import logging
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from lastcall.errors import Error, Forbidden
from lastcall.feed.connections import CLOSES, PROTOCOL_ERROR, Connection
from lastcall.http import problems
from lastcall.http.address import client_address
from lastcall.http.guard import require_service
from lastcall.http.site import KEY, Site
from lastcall.leases.messages import SUBPROTOCOL

log = logging.getLogger("lastcall.feed")

PATH: Final = "/feed"
CLOSE_SECONDS: Final = 1.0
"""How long a verifier may take to read that its connection is closed."""


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one verifier, for as long as it follows."""
    request = HTTPConnection(scope)
    site: Site = scope[KEY]
    leases = site.node.leases
    await receive()  # the handshake's own message
    try:
        if "origin" in request.headers:
            raise Forbidden("the feed is for services, not for pages")
        key = await require_service(request, "verify")
        ip = client_address(request, site.node.settings.trusted_proxies)
        if SUBPROTOCOL not in scope["subprotocols"]:
            raise Forbidden(f"this server speaks {SUBPROTOCOL}")
        with leases.connected(key, ip) as connection:
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            await _serve(connection, site, receive, send)
    except Error as error:
        await refuse(error, scope, receive, send)


async def _serve(connection: Connection, site: Site, receive: Receive, send: Send) -> None:
    async def say(text: str) -> None:
        await send({"type": "websocket.send", "text": text})

    hearing = asyncio.create_task(_hear(connection, site, receive))
    saying = asyncio.create_task(connection.deliver(say))
    ending = asyncio.create_task(connection.ended())
    tasks = (hearing, saying, ending)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if (code := connection.close_code) is not None:
        # Who doesn't read can't be told, and isn't waited for (rule 9).
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await WebSocketClose(code, CLOSES[code])({"type": "websocket"}, receive, send)


async def _hear(connection: Connection, site: Site, receive: Receive) -> None:
    """Pass on what the verifier says, until the connection ends."""
    while True:
        message: Message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is None:
            connection.cut(PROTOCOL_ERROR)
            return
        site.node.leases.heard(connection, text)


async def refuse(error: Error, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the handshake with a problem, where the server can; else close it."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await problems.answer(error)(scope, receive, send)
    else:
        await WebSocketClose()(scope, receive, send)
