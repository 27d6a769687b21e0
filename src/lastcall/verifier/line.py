"""One connection to a server's feed, from its socket up."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from lastcall.leases.messages import LONGEST, SUBPROTOCOL, ProtocolError, Welcome
from lastcall.remote.addresses import Address

CONNECT_SECONDS: Final = 5.0
"""How long an attempt to connect may take."""

# The library's own logger would write the headers, and with them the key. This one no application
# reaches: whoever configures logging enables all loggers that have a name.
_quiet: Final = logging.Logger("lastcall.verifier.quiet")  # noqa: LOG001
_quiet.disabled = True

_TURNS: Final = 5
"""How often the loop turns until it has seen the end of a connection. asyncio itself forgets one
whose TLS handshake was cancelled before its first step."""


@dataclass(eq=False, slots=True)
class Line:
    """A connection: where it leads, and its socket, which a forked child closes without a word."""

    address: Address
    plain: socket.socket = field(repr=False)
    connection: ClientConnection = field(repr=False)
    greeting: Welcome | None = None
    """What it has said already, to who goes over to it."""

    @classmethod
    async def open(
        cls, address: Address, key: str, ssl_context: Callable[[], ssl.SSLContext]
    ) -> Self:
        """Connect with a key. Raises OSError, WebSocketException, ProtocolError, ValueError for a
        redirect, which is not followed: the key is for this server."""
        # It may wait here, and needs no other thread: whom it follows meanwhile, if any, is going.
        plain = socket.create_connection((address.host, address.port), CONNECT_SECONDS)  # noqa: ASYNC251, RUF100
        try:
            plain.setblocking(False)
            connection = await _shake_hands(address, plain, key, ssl_context)
        except BaseException:
            await _let_go(plain)
            raise
        line = cls(address, plain, connection)
        if connection.subprotocol != SUBPROTOCOL:
            await line.close()
            raise ProtocolError("the server speaks another protocol")
        return line

    async def close(self) -> None:
        """End it, in order if the other side is there."""
        try:
            with contextlib.suppress(Exception):
                await self.connection.close()
        finally:
            self.connection.transport.abort()  # also where it is stopped while it closes
            await _let_go(self.plain)


async def _shake_hands(
    address: Address, plain: socket.socket, key: str, ssl_context: Callable[[], ssl.SSLContext]
) -> ClientConnection:
    return await connect(
        f"{'wss' if address.secure else 'ws'}://{address.netloc}{address.path}/feed",
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers={"Authorization": f"Bearer {key}"},
        user_agent_header=None,
        compression=None,
        proxy=None,
        open_timeout=CONNECT_SECONDS,
        close_timeout=1,
        ping_interval=None,  # silence is noticed by who follows
        max_size=LONGEST,
        logger=_quiet,
        sock=plain,
        ssl=ssl_context() if address.secure else None,
    )


async def _let_go(plain: socket.socket) -> None:
    with contextlib.suppress(OSError):
        plain.shutdown(socket.SHUT_RDWR)
    for _turn in range(_TURNS):
        await asyncio.sleep(0)
    plain.close()
