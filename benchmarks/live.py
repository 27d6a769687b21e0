"""Open pages: how soon one is told that its session has ended, and what hundreds of them cost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.client import OverHttp, Refused, always, request
from benchmarks.measure import Case, Turn
from benchmarks.scene import Person, Scene, begin, settings
from lastcall.audit import Origin
from lastcall.identity.model import User
from lastcall.ids import SessionId
from lastcall.live import PER_SESSION
from lastcall.node import Node

TOLD_LENGTH = 5.0
"""The log is looked at four times a second: a turn of the usual length would hold one look."""
ENDS_A_TURN = 10
"""How many sessions a turn ends at most; they have to be there before."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A server with open pages, the same without, and a node that ends sessions of the first."""

    port: int
    quiet_port: int
    node: Node


@asynccontextmanager
async def watched(
    scene: Scene, folder: Path, port: int, quiet_port: int, pages: int
) -> AsyncIterator[Watched]:
    """Keep so many pages open at a server, until the block ends."""
    tokens = [tokens.access_token for tokens in scene.refreshing]
    node = await Node.open(settings(folder))
    open_pages = [
        asyncio.create_task(_keep_open(port, tokens[number // PER_SESSION % len(tokens)]))
        for number in range(pages)
    ]
    try:
        yield Watched(port, quiet_port, node)
    finally:
        for page in open_pages:
            page.cancel()
        failed = await asyncio.gather(*open_pages, return_exceptions=True)
        await node.close()
        for outcome in failed:
            if isinstance(outcome, Refused):
                raise outcome


async def _to_end(node: Node, user: User, number: int) -> list[tuple[SessionId, str]]:
    """Begin sessions that are there to be ended, each with an access token of its own."""
    position = (await node.store.log_end()).position
    begun = [await begin(node.sessions, user, position) for _ in range(number)]
    return [(tokens.session.id, tokens.access_token) for tokens in begun]


async def _open(port: int, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a stream; its first message has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request("GET", "/live", token=token))
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise Refused(head.partition(b"\r\n")[0].decode())
    await reader.readuntil(b":\n\n")
    return reader, writer


async def _keep_open(port: int, token: str) -> None:
    """Be a page: open a stream, and another one when that has ended."""
    while True:
        reader, writer = await _open(port, token)
        with contextlib.closing(writer):
            while await reader.read(1000):
                pass


@dataclass(frozen=True, slots=True)
class _Told:
    """Ends sessions in this process; times how long their pages at the server don't know."""

    name: str
    where: Watched
    sessions: Iterator[tuple[SessionId, str]]

    async def run(self, seconds: float) -> Turn:
        """Work for about so long."""
        latencies: list[float] = []
        until = perf_counter() + seconds
        while not latencies or (perf_counter() < until and len(latencies) < ENDS_A_TURN):
            session_id, token = next(self.sessions)
            await self._wait(session_id, token, latencies)
        return Turn(sum(latencies), latencies)

    async def _wait(self, session_id: SessionId, token: str, latencies: list[float]) -> None:
        reader, writer = await _open(self.where.port, token)
        with contextlib.closing(writer):
            await self.where.node.sessions.endings.sign_out(session_id, Origin(session_id))
            ended = perf_counter()
            await reader.readuntil(b"event: ended")
            latencies.append(perf_counter() - ended)


class _Asking(_Told):
    """The same, but the page asks as soon as the session has ended."""

    async def _wait(self, session_id: SessionId, token: str, latencies: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.where.port)
        with contextlib.closing(writer):
            await self.where.node.sessions.endings.sign_out(session_id, Origin(session_id))
            ended = perf_counter()
            writer.write(request("GET", "/api/v1/session", token=token))
            await reader.readuntil(b"session_ended")
            latencies.append(perf_counter() - ended)


async def cases(where: Watched, person: Person, rounds: int) -> list[Case]:
    """Give the cases, of so many rounds."""
    sessions = iter(await _to_end(where.node, person.user, 2 * ENDS_A_TURN * (rounds + 1)))
    ask = request("GET", "/api/v1/session", token=person.tokens.access_token)

    def check(name: str, port: int) -> OverHttp:
        return OverHttp(name, port, lambda: [always(ask)])

    return [
        Case(
            "live-told",
            1,
            _Told("lastcall", where, sessions),
            (_Asking("asking at once", where, sessions),),
            TOLD_LENGTH,
        ),
        Case(
            "live-session",
            1,
            check("lastcall", where.port),
            (check("no page open", where.quiet_port),),
        ),
    ]
