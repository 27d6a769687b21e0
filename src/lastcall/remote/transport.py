"""How a request of an application reaches a server."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from lastcall.errors import Unavailable
from lastcall.remote.addresses import Address
from lastcall.remote.asking import Asking, NoAnswer, NotAsked, Reply, trust_of


class Transport(Protocol):
    """Brings a request to a server: over the network, or within this process."""

    def send(self, method: str, path: str, body: bytes, seconds: float) -> Reply:
        """Send JSON and wait for the answer, so many seconds at most. Raises Unavailable."""

    async def asend(self, method: str, path: str, body: bytes, seconds: float) -> Reply:
        """Do the same, and never block the loop. Raises Unavailable."""


class Network:
    """Asks the servers in turn; the next one only where the one before was told nothing, or says
    that it has changed nothing."""

    def __init__(
        self,
        addresses: list[Address],
        key: str,
        ssl_context: ssl.SSLContext | None,
        clock: Callable[[], float],
    ) -> None:
        self._addresses = addresses
        self._asking = Asking(key, trust_of(ssl_context), clock)
        self._clock = clock

    def send(self, method: str, path: str, body: bytes, seconds: float) -> Reply:
        """Send JSON and wait for the answer; so many seconds for each server. Raises
        Unavailable."""
        problem = ""
        for address in self._addresses:
            until = self._clock() + seconds
            try:
                reply = self._asking.ask(address, method, path, "application/json", body, until)
            except NotAsked as error:
                problem = f"{address} can't be reached ({error})"
            except NoAnswer as error:
                text = f"{address} gave no answer ({error}); what was asked may have been done"
                raise Unavailable(text) from error
            else:
                if reply.status != 503:
                    return reply
                problem = f"{address} is not available"
        raise Unavailable(problem)

    async def asend(self, method: str, path: str, body: bytes, seconds: float) -> Reply:
        """Do the same on a thread."""
        return await asyncio.to_thread(self.send, method, path, body, seconds)
