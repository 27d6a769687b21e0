"""The connections of a node's verifiers: each has a bounded queue, and is cut where it is full."""

import asyncio
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lastcall.ids import AccountId, KeyId
from lastcall.leases.messages import FromNode, write

QUEUE: Final = 1000
"""How many messages may wait for a verifier, besides a snapshot: it reads too slowly for more."""
MOST: Final = 5000
"""How many verifiers a node serves."""

GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
REPLACED: Final = 4000
TOO_SLOW: Final = 4001
REVOKED: Final = 4002

CLOSES: Final = {
    GOING_AWAY: "the node is going",
    PROTOCOL_ERROR: "the message is not of this protocol, or not there",
    REPLACED: "another connection of the same verifier took its place",
    TOO_SLOW: "too many messages wait to be read",
    REVOKED: "the key was revoked",
}
"""Why a connection is closed, by the WebSocket code that says so."""


@dataclass(eq=False, slots=True)
class Connection:
    """One verifier's connection: whose key opened it, and what waits to be sent."""

    number: int
    account_id: AccountId
    key_id: KeyId
    key_name: str
    ip: str | None
    opened_at: datetime
    agent: str | None = None
    """What its verifier calls its process."""
    queue: deque[str] = field(default_factory=deque)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    parts: int = 0
    """How many of what waits is a snapshot's, which all share."""
    close_code: int | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """It has been cut."""

    def put(self, text: str, *, part: bool) -> None:
        """Have a message sent after those that wait; or be cut for not reading them."""
        if self.close_code is not None:
            return
        self.queue.append(text)
        self.parts += part
        if len(self.queue) - self.parts > QUEUE:
            self.cut(TOO_SLOW)
        self.wake.set()

    def cut(self, code: int) -> None:
        """Close the connection; what waits is not sent any more."""
        if self.close_code is None:
            self.close_code = code
            self.queue.clear()
            self.wake.set()
            self.over.set()

    async def deliver(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Send what waits, in order, until the connection is cut or this is cancelled: `send` may
        wait forever for a verifier that doesn't read."""
        while self.close_code is None:
            while self.queue:
                text = self.queue.popleft()
                if not self.queue:
                    self.parts = 0
                await send(text)
            self.wake.clear()
            await self.wake.wait()

    async def ended(self) -> int:
        """Wait until the connection is cut; give the close code."""
        await self.over.wait()
        assert self.close_code is not None  # noqa: S101  for the type checker: `cut` sets it
        return self.close_code


class Encoder:
    """Writes each message once, for however many connections it goes to, now and as long as it is
    kept for those who come later."""

    def __init__(self) -> None:
        self._written: dict[int, tuple[weakref.ref[FromNode], str]] = {}

    def text(self, message: FromNode) -> str:
        """Give the message as it is sent."""
        name = id(message)
        known = self._written.get(name)
        if known is None:

            def forget(_: object) -> None:
                del self._written[name]

            known = (weakref.ref(message, forget), write(message).decode())
            self._written[name] = known
        return known[1]
