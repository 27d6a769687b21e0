"""`python -m benchmarks.confirmation`: how long a termination takes until it is confirmed, with so
many verifiers, beside a bare broadcast to as many WebSockets; and what they cost the server."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from websockets.asyncio.client import ClientConnection, connect

from benchmarks import report, servers
from benchmarks.client import OverHttp, Refused, User, always, load, loop, request
from benchmarks.measure import Case, Outcome, Turn, compare
from benchmarks.scene import DATABASE, Scene, fill, settings
from benchmarks.websocket import WebSocket
from lastcall.clock import lease_clock, system_entropy
from lastcall.digests import encode
from lastcall.identity.administration import OPERATOR
from lastcall.leases.messages import SUBPROTOCOL, FromVerifier, read_from_node, write
from lastcall.leases.verifier import VerifierSide
from lastcall.node import Node
from lastcall.settings import Settings

NUMBERS = (1, 10, 100, 1000)
"""How many verifiers follow."""
ENDS_A_SECOND = 400
"""How many sessions a turn may end in a second; they have to be there before."""
RENEW_SECONDS = 0.5
"""How often the verifiers look whether it is time to renew."""
TOGETHER = 50
"""How many connect at once."""


class Follower:
    """A verifier: lastcall's own decisions on a connection of the load's client."""

    def __init__(self) -> None:
        self.side = VerifierSide(encode(system_entropy(16)))
        self._socket: WebSocket | None = None

    async def connect(self, port: int, key: str) -> None:
        """Follow a server."""
        headers = {"authorization": f"Bearer {key}", "sec-websocket-protocol": SUBPROTOCOL}
        self._socket = await WebSocket.connect(port, "/feed", headers, self._hear)
        self._say(self.side.opened())

    def tick(self) -> None:
        """Renew the lease if it is time to. Raises Refused where the connection is gone."""
        if self._socket is not None and self._socket.failure:
            raise Refused(self._socket.failure)
        self._say(self.side.tick(lease_clock()))

    def close(self) -> None:
        """Stop following."""
        if self._socket is not None:
            self._socket.close()

    def _hear(self, data: bytes) -> None:
        now = lease_clock()
        self._say(self.side.receive(read_from_node(data), now))
        self._say(self.side.tick(now))

    def _say(self, messages: Sequence[FromVerifier]) -> None:
        for message in messages:
            if self._socket is not None:
                self._socket.send(write(message))


@asynccontextmanager
async def following(port: int, key: str, number: int) -> AsyncIterator[None]:
    """Have so many verifiers follow a server, each with a lease, until the block ends."""
    followers = [Follower() for _ in range(number)]
    for start in range(0, number, TOGETHER):
        part = followers[start : start + TOGETHER]
        await asyncio.gather(*(follower.connect(port, key) for follower in part))

    async def renew() -> None:
        while True:
            for follower in followers:
                follower.tick()
            await asyncio.sleep(RENEW_SECONDS)

    renewing = asyncio.create_task(renew())
    try:
        while not all(follower.side.leased(lease_clock()) for follower in followers):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        for follower in followers:
            follower.close()


@dataclass(frozen=True, slots=True)
class Terminating:
    """Ends one session after another, each once the last one is confirmed."""

    name: str
    port: int
    token: str
    sessions: Iterator[str]
    verifiers: int

    async def run(self, seconds: float) -> Turn:
        """Work for about so long."""

        def ask() -> bytes | None:
            name = next(self.sessions, None)
            path = f"/api/v1/sessions/{name}?wait=30"
            return None if name is None else request("DELETE", path, token=self.token)

        def hear(body: bytes) -> None:
            found = json.loads(body)
            if found["state"] != "confirmed" or found["verifiers"] != self.verifiers:
                raise Refused(f"not confirmed by all: {found}")

        return await load(self.port, [User(ask, hear)], seconds)


class Broadcasting:
    """Has a bare server say something to so many WebSockets, until the last of them has it: those
    of the load's client, as the verifiers here, or those of the library that verifiers use. Or, of
    the former, until the server has told that all have answered."""

    def __init__(self, name: str, sockets: int, *, answered: bool = False) -> None:
        self.name = name
        self._number = sockets
        self._answered = answered
        self._left = 0
        self._over = asyncio.Event()
        self._stack = AsyncExitStack()

    async def connect(self, port: int, *, library: bool) -> None:
        """Open the connections."""
        for _ in range(self._number):
            if library:
                url = f"ws://localhost:{port}/listen"
                one = await self._stack.enter_async_context(connect(url, compression=None))
                listening = asyncio.create_task(self._listen(one))
                self._stack.callback(listening.cancel)
            else:
                socket = await WebSocket.connect(port, "/listen", {}, self._hear)
                if self._answered:
                    socket.hear = partial(self._answer, socket)
                self._stack.callback(socket.close)
        told = self._told if self._answered else len
        self._speaker = await WebSocket.connect(port, "/say", {}, told)
        self._stack.callback(self._speaker.close)

    async def run(self, seconds: float) -> Turn:
        """Work for about so long."""
        latencies: list[float] = []
        started = perf_counter()
        while not latencies or perf_counter() < started + seconds:
            self._left = self._number
            self._over.clear()
            before = perf_counter()
            self._speaker.send(_MESSAGE)
            await self._over.wait()
            latencies.append(perf_counter() - before)
        return Turn(perf_counter() - started, latencies)

    async def close(self) -> None:
        """Close the connections."""
        await self._stack.aclose()

    async def _listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            self._hear(message)

    def _answer(self, socket: WebSocket, _: object) -> None:
        socket.send(_ANSWER)

    def _told(self, _: object) -> None:
        self._over.set()

    def _hear(self, _: object) -> None:
        self._left -= 1
        if not self._left:
            self._over.set()


_MESSAGE = json.dumps(
    {
        "type": "events",
        "after": 4711,
        "position": ["Zm9yIHRoZSBi", "1.Zm9yIHRoZSBi", 4712],
        "floor": 0,
        "events": [
            {
                "seq": 4712,
                "kind": "session_ended",
                "at": 1764158400,
                "session": "s_c1_" + 26 * "0",
                "reason": "terminated_by_user",
            }
        ],
    }
).encode()
"""As long as what lastcall sends for a termination."""
_ANSWER = b'{"type":"ack","position":["Zm9yIHRoZSBi","1.Zm9yIHRoZSBi",4712]}'
"""As long as what a verifier answers."""


async def service_key(where: Settings) -> str:
    """Make a service key that may follow."""
    node = await Node.open(where)
    try:
        account = (await node.store.list_accounts())[0]
        return (await node.services.create(account.id, "benchmark", ("verify",), OPERATOR))[1]
    finally:
        await node.close()


async def measure(
    folder: Path, numbers: Sequence[int], rounds: int, seconds: float, tell: Callable[[str], None]
) -> list[Outcome]:
    """Make the databases, and run the rounds for each number of verifiers."""
    tell("filling the database")
    ends = max(5, int(ENDS_A_SECOND * seconds)) * (rounds + 1)
    scene = await fill(folder, 2, ends * len(numbers))
    key = await service_key(settings(folder))
    sessions: Iterator[str] = iter(scene.ending.others)
    outcomes = []
    with servers.lastcall(scene.copy("quiet")) as quiet:
        for number in numbers:
            tell(f"{number} verifiers")
            outcomes += await _with(scene, number, key, sessions, quiet, rounds, seconds, tell)
    return outcomes


async def _with(
    scene: Scene, number: int, key: str, sessions: Iterator[str], quiet: int, rounds: int,
    seconds: float, tell: Callable[[str], None],
) -> list[Outcome]:  # fmt: skip
    folder = scene.copy(f"confirmation-{number}")
    token = scene.ending.tokens.access_token
    ask = request("GET", "/api/v1/session", token=scene.few.tokens.access_token)
    bare = Broadcasting("broadcast", number)
    usual = Broadcasting("broadcast to websockets", number)
    answered = Broadcasting("broadcast, answered", number, answered=True)

    def check(name: str, port: int) -> OverHttp:
        return OverHttp(name, port, lambda: [always(ask)])

    database = folder / DATABASE
    with (
        servers.lastcall(folder) as port,
        servers.floor(database) as floor,
        servers.floor(database) as other,
        servers.floor(database) as third,
    ):
        try:
            await bare.connect(floor, library=False)
            await usual.connect(other, library=True)
            await answered.connect(third, library=False)
            async with following(port, key, number):
                own = Terminating("lastcall", port, token, sessions, number)
                cases = [
                    Case(f"confirmed-{number}", 1, own, (bare, usual, answered)),
                    Case(
                        f"followed-{number}",
                        1,
                        check("lastcall", port),
                        (check("nobody follows", quiet),),
                    ),
                ]
                return await compare(cases, rounds, seconds, tell)
        finally:
            await bare.close()
            await usual.close()
            await answered.close()


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confirmation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn lasts; 1")
    parser.add_argument("--verifiers", type=int, action="append", help="how many; 1 to 1000")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(given)
    numbers = options.verifiers or NUMBERS

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with TemporaryDirectory(prefix="lastcall-bench-") as place, loop() as runner:
        folder = Path(place, "scene")
        folder.mkdir()
        facts = report.machine(folder)
        try:
            outcomes = runner.run(measure(folder, numbers, options.rounds, options.seconds, tell))
        except (Refused, servers.NotStarted) as error:
            tell(f"the run was given up: {error}")
            return 1
    if options.json:
        print(json.dumps({"machine": facts, "results": report.data(outcomes)}))
    else:
        print(f"\n{report.table(outcomes)}\n\n{report.describe(facts)}\n\n{report.HOW_TO_READ}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
