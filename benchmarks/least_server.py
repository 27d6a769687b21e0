"""The least that a refresh can take: lastcall's web server, a statement that all who wait share,
and a signature. No rule decides, no token is proved, and nothing is told of the session.

Run as `python -m benchmarks.least_server DATABASE_URL` on a database that `CREATE` has filled;
prints its port when it listens.
"""

import asyncio
import sys
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from benchmarks.floor_server import serve
from lastcall.access import sign
from lastcall.cli.worker import LimitedProtocol
from lastcall.clock import system_entropy
from lastcall.digests import encode
from lastcall.stores.postgres.hosts import connect

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

CREATE: Final = """
    CREATE TABLE sessions (
        id text PRIMARY KEY, secret bytea NOT NULL, previous bytea, generation bigint NOT NULL
    ) WITH (fillfactor = 50);
    INSERT INTO sessions SELECT number::text, sha256('first'), NULL, 1
        FROM generate_series(0, 31) AS number;
"""
"""32 sessions, "0" to "31"."""
FIRST: Final = "first"
"""The secret of each."""
_REFRESH: Final = """
    UPDATE sessions SET secret = successor, previous = secret, generation = generation + 1
    FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS given (id, shown, successor)
    WHERE sessions.id = given.id AND secret = shown
    RETURNING sessions.id, generation
"""
_CONNECTIONS: Final = 2
_SIGNED: Final = b"." * 450
"""As long as an access token without its signature."""

_read = msgspec.json.Decoder(dict[str, str]).decode
_write = msgspec.json.Encoder().encode


class App:
    """Refreshes, whatever the path."""

    def __init__(self, database_url: str) -> None:
        self._key = generate_private_key(SECP256R1())
        self._waiting: list[tuple[str, bytes, bytes, asyncio.Future[None]]] = []
        self._idle: list[asyncio.Future[None]] = []
        self._connect = partial(connect, database_url)
        self._workers: list[asyncio.Task[None]] = []

    async def __call__(self, _scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        name, secret = _read((await receive())["body"])["refresh_token"].split(".")
        successor = encode(system_entropy(32))
        await self._rotate(
            name, sha256(secret.encode()).digest(), sha256(successor.encode()).digest()
        )
        body = _write(
            {
                "access_token": f"{_SIGNED.decode()}.{encode(sign(_SIGNED, self._key))}",
                "refresh_token": f"{name}.{successor}",
            }
        )
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _rotate(self, name: str, shown: bytes, successor: bytes) -> None:
        if not self._workers:
            self._workers = [asyncio.create_task(self._work()) for _ in range(_CONNECTIONS)]
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((name, shown, successor, done))
        if self._idle:
            self._idle.pop().set_result(None)
        await done

    async def _work(self) -> None:
        raw = await self._connect()
        while True:
            while not self._waiting:
                self._idle.append(asyncio.get_running_loop().create_future())
                await self._idle[-1]
            names, shown, successors, futures = zip(*self._waiting, strict=True)
            self._waiting.clear()
            if len(await raw.fetch(_REFRESH, names, shown, successors)) != len(names):
                raise LookupError("one of them showed another's secret")
            for future in futures:
                future.set_result(None)


if __name__ == "__main__":
    serve(App(sys.argv[1]), LimitedProtocol)
