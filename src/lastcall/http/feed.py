"""`/feed`: what verifiers follow, over one WebSocket connection (RFC 6455), see `docs/feed.md`."""

import asyncio
import contextlib
import logging

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

PATH = "/feed"


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
        await _refuse(error, scope, receive, send)


async def _serve(connection: Connection, site: Site, receive: Receive, send: Send) -> None:
    async def say(text: str) -> None:
        await send({"type": "websocket.send", "text": text})

    hearing = asyncio.create_task(_hear(connection, site, receive))
    saying = asyncio.create_task(connection.deliver(say))
    try:
        await asyncio.wait((hearing, saying), return_when=asyncio.FIRST_COMPLETED)
        if saying.done() and not saying.cancelled() and saying.exception() is None:
            code = saying.result()
            with contextlib.suppress(Exception):
                await WebSocketClose(code, CLOSES[code])({"type": "websocket"}, receive, send)
    finally:
        for task in (hearing, saying):
            task.cancel()
        await asyncio.gather(hearing, saying, return_exceptions=True)


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


async def _refuse(error: Error, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the handshake with a problem, where the server can; else close it."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await problems.answer(error)(scope, receive, send)
    else:
        await WebSocketClose()(scope, receive, send)
