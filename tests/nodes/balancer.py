"""A load balancer as one is in front of nodes: it keeps connections, asks each node whether it is
ready, and sends a request once."""

import asyncio
import random
from typing import Final

import httpx

PROBE_SECONDS: Final = 0.1
IDLE_SECONDS: Final = 2.0
"""After how long it uses a connection no more: sooner than a node closes it (docs/operating.md)."""


class Balancer:
    """Sends to the nodes that were ready when they were last asked, and on to another one where a
    node refuses to be connected to: nothing has been sent there. `probing`: it asks; else it goes
    by refusals alone, and tries again where there was one before."""

    def __init__(self, ports: list[int], choose: random.Random, *, probing: bool = True) -> None:
        self.lost: list[str] = []
        """Requests that a node had taken and not answered, or answered that it can't."""
        self.sent = 0
        self._ports = ports
        self._ready = {*ports}
        self._choose = choose
        limits = httpx.Limits(max_connections=None, keepalive_expiry=IDLE_SECONDS)
        self._http = httpx.AsyncClient(timeout=30, limits=limits)
        self._probing = asyncio.create_task(self._probe()) if probing else None

    async def request(
        self, method: str, path: str, body: object = None, token: str = ""
    ) -> httpx.Response | None:
        """Ask any node; None where the answer is lost, or that it can't be told."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        untried = [*self._ports]
        self.sent += 1
        while untried:
            port = self._choose.choice([*self._ready & {*untried}] or untried)
            untried.remove(port)
            try:
                answer = await self._http.request(
                    method, f"http://127.0.0.1:{port}/api/v1/{path}", json=body, headers=headers
                )
            except httpx.ConnectError:
                continue
            except httpx.HTTPError as error:
                self.lost.append(f"{method} {path}: {error!r}")
                return None
            if answer.status_code >= 500:
                self.lost.append(f"{method} {path}: {answer.text}")
            return answer
        self.lost.append(f"{method} {path}: no node takes it")
        return None

    async def close(self) -> None:
        """Ask and send nothing more."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await self._http.aclose()

    async def _probe(self) -> None:
        """Ask each again and again."""
        async with httpx.AsyncClient(timeout=30) as http:
            while True:
                for port in self._ports:
                    try:
                        answer = await http.get(f"http://127.0.0.1:{port}/readyz")
                        ready = answer.is_success
                    except httpx.HTTPError:
                        ready = False
                    (self._ready.add if ready else self._ready.discard)(port)
                await asyncio.sleep(PROBE_SECONDS)
