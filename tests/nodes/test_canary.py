"""Whoever breaks off harms nobody else: each answer that is read is its reader's own."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.nodes.site import CLIENT, Begun, Site, eventually
from tests.support.servers import Server

USERS: Final = 200
ACTS: Final = 12
CUT: Final = 0.4
"""Which share of the requests is broken off."""
CONNECTIONS: Final = (
    "SELECT array_agg(state ORDER BY state) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'lastcall'"
)
POOL: Final = 14
"""How many connections a node has at most (docs/operating.md)."""

Kind = Literal["session", "sessions", "refresh"]
KINDS: Final[tuple[Kind, ...]] = ("session", "sessions", "refresh")


def request(method: str, path: str, token: str, body: object = None) -> bytes:
    """Write a request."""
    raw = b"" if body is None else json.dumps(body).encode()
    head = f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(raw)}\r\n"
    head += f"Authorization: Bearer {token}\r\n" if token else ""
    head += "Content-Type: application/json\r\n" if raw else ""
    return f"{head}Connection: close\r\n\r\n".encode() + raw


class BrokenOffError(Exception):
    """The client has gone."""


async def send(port: int, raw: bytes, cut: random.Random | None) -> dict[str, Any]:
    """Send a request; give what is answered. With `cut`, be gone at any point of either. Raises
    BrokenOffError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if cut is not None:
            await _break_off(reader, writer, raw, cut)
        writer.write(raw)
        answer = await reader.read()
    finally:
        writer.transport.abort()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer
    assert f"content-length: {len(body)}".encode() in head.lower()
    found: dict[str, Any] = json.loads(body)
    return found


async def _break_off(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes, cut: random.Random
) -> None:
    where = cut.choice(("in the request", "before the answer", "in the answer"))
    writer.write(raw[: cut.randrange(len(raw))] if where == "in the request" else raw)
    await writer.drain()
    if where == "before the answer":
        await asyncio.sleep(cut.choice((0, 0, 0.001, 0.01)))
    if where == "in the answer":
        await reader.readexactly(cut.randrange(1, 400))
    if cut.random() < 0.5:
        writer.close()
    raise BrokenOffError


@dataclass
class User:
    """Asks for things whose answer says whose it is, and looks."""

    name: str
    own: Begun

    async def act(self, port: int, kind: Kind, cut: random.Random | None) -> None:
        """Ask for one of them. A refresh that was broken off is shown again at once, as a client
        must: it gets what it was not told."""
        match kind:
            case "session":
                told = await send(port, request("GET", "/session", self.own.access), cut)
                assert (told["id"], told["user"]["external_id"]) == (self.own.id, self.name)
            case "sessions":
                told = await send(port, request("GET", "/sessions", self.own.access), cut)
                assert [one["id"] for one in told["sessions"]] == [self.own.id]
            case "refresh":
                raw = request("POST", "/refresh", "", {"refresh_token": self.own.refresh})
                try:
                    told = await send(port, raw, cut)
                except BrokenOffError:
                    await self.act(port, "refresh", None)
                    raise
                assert told["session"]["id"] == self.own.id
                self.own = Begun(self.own.id, told["access_token"], told["refresh_token"])


async def begin(node: Server, key: str, number: int) -> User:
    """Sign a user in."""
    name = f"canary-{number}"
    raw = request("POST", "/sessions", key, {"user": {"external_id": name}, **CLIENT})
    told = await send(node.port, raw, None)
    return User(name, Begun(told["session"]["id"], told["access_token"], told["refresh_token"]))


async def test_no_answer_goes_to_another_whoever_breaks_off(site: Site) -> None:
    """Of 200 users over the few connections of a node to its database."""
    counts: Counter[str] = Counter()

    async def use(user: User, seed: int) -> None:
        choose, kinds = random.Random(seed), list(KINDS)
        for _ in range(ACTS):
            kind = choose.choice(kinds)
            try:
                await user.act(node.port, kind, choose if choose.random() < CUT else None)
                counts[kind] += 1
            except BrokenOffError:
                counts["broken off"] += 1
                # What was broken off may be looked at only now: after two more refreshes its token
                # would be a thief's.
                if kind == "refresh":
                    kinds.remove(kind)

    with site.node() as node:
        users = await asyncio.gather(
            *(begin(node, site.sessions_key, number) for number in range(USERS))
        )
        await asyncio.gather(*(use(user, seed) for seed, user in enumerate(users)))
        assert min(counts.values()) > USERS, counts
        for kind in KINDS:
            await asyncio.gather(*(user.act(node.port, kind, None) for user in users))
        assert len(site.value(CONNECTIONS)) <= POOL
        # The node looks at the log by itself, too.
        eventually(lambda: {*site.value(CONNECTIONS)} == {"idle"}, "every connection is idle")
