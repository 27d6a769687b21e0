"""`python -m benchmarks.postgres`: lastcall on a PostgreSQL of its own, which waits for the disk at
each commit, beside what `pgbench` reaches there; and what one refresh takes beside its parts.

`pgbench -N` is PostgreSQL's own simple transaction: an UPDATE by key, a SELECT, and an INSERT.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks import report, servers
from benchmarks.client import OverHttp, User, always, loop, request
from benchmarks.in_process import refreshing
from benchmarks.least_server import CREATE, FIRST
from benchmarks.measure import Calls, Case, Contender, Outcome, Side, Tasks, Turn, compare
from benchmarks.over_http import API, Refreshing, ending, first
from benchmarks.scene import CLIENTS, Scene, fill
from lastcall.clock import SystemClock, system_entropy
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.settings import Settings
from lastcall.stores import rows
from lastcall.stores.postgres.hosts import connect
from lastcall.stores.postgres.refreshing import REFRESH
from tools.postgres import Cluster

NUMBERS = (1, 8, CLIENTS)
WORKERS = (1, 2)
ALONE = 4
"""One refresh alone is measured in more and shorter rounds: the disk moves it."""
ENDS_A_SECOND = 500
"""How many sessions are there to be ended in a second of a turn."""
CACHE = {"shared_buffers": "128MB"}
"""PostgreSQL's own default; that of tests would not hold pgbench's table."""
SIGNED = bytes(450)
"""As much as an access token's signature is over."""
HOW_TO_READ = """\
ratio: lastcall's rate over that of pgbench -N with as many clients, within one round; the median of
the rounds, and from which to which. All of it, and the client that asks, shares the processors.
Rates are medians of the rounds; p50 and p99 are milliseconds, as a client sees them.
"1w", "2w": lastcall serve with one worker process, with two; "node": without HTTP, in the process
of the benchmark. "the least": a shared statement and a signature behind the same web server, in one
process, which proves no token, decides nothing and tells nothing of the session."""


@dataclass(frozen=True, slots=True)
class Pgbench:
    """PostgreSQL's own benchmark, with as many clients, over the unix socket."""

    cluster: Cluster
    clients: int
    name: str = "pgbench -N"

    async def run(self, seconds: float) -> Turn:
        """Work for about so long, in whole seconds, or for a few transactions."""
        return await asyncio.to_thread(self._run, round(seconds))

    def _run(self, seconds: int) -> Turn:
        log = self.cluster.folder / "pgbench"
        said = self.cluster.run(
            *("pgbench", "-N", "-n", "-M", "prepared", "-c", str(self.clients)),
            *(("-T", str(seconds)) if seconds else ("-t", "10")),
            *("-l", "--log-prefix", str(log), *connection(self.cluster)),
        )
        # A line of its log: the client, the number of its transaction, the latency in µs, ...
        latencies = []
        for file in self.cluster.folder.glob("pgbench.*"):
            latencies += [int(line.split()[2]) / 1e6 for line in file.read_text().splitlines()]
            file.unlink()
        rate = next(line.split()[2] for line in said.splitlines() if line.startswith("tps = "))
        return Turn(len(latencies) / float(rate), latencies)


def connection(cluster: Cluster) -> tuple[str, ...]:
    """Tell PostgreSQL's programs how to reach it."""
    return ("-h", str(cluster.folder), "-p", str(cluster.port), "-U", "postgres", "postgres")


def clients_of(scene: Scene, ends_a_turn: int) -> dict[str, Callable[[int], list[User]]]:
    """Give, by operation, what makes the clients of a turn."""
    users = [Refreshing(tokens.refresh_token).user for tokens in scene.refreshing]
    listed = request("GET", f"{API}/sessions", token=scene.few.tokens.access_token)
    return {
        "refresh": lambda number: users[:number],
        "list-10": lambda number: [always(listed)] * number,
        "terminate": ending(scene.ending, ends_a_turn),
    }


def cases(
    cluster: Cluster, scene: Scene, port: int, least: int, workers: int, ends_a_turn: int
) -> Iterator[Case]:
    """Give the cases against a server that has a database to itself."""
    users = [Refreshing(f"{number}.{FIRST}").user for number in range(CLIENTS)]
    for name, clients in clients_of(scene, ends_a_turn).items():
        for number in NUMBERS:
            own = OverHttp("lastcall", port, partial(clients, number))
            floors: tuple[Contender, ...] = (Pgbench(cluster, number),)
            if name == "refresh" and workers == 1:
                floors += (OverHttp("the least", least, first(users, number)),)
            yield Case(f"{name} {workers}w", number, own, floors)


def in_process(cluster: Cluster, scene: Scene, node: Node) -> Iterator[Case]:
    """Give the cases without HTTP, in this process."""
    operations = [refreshing(node, tokens.refresh_token) for tokens in scene.refreshing]
    for number in NUMBERS:
        own = Tasks("lastcall", operations[:number])
        yield Case("node.refresh", number, own, (Pgbench(cluster, number),))


def one_alone(
    scene: Scene, port: int, floor: int, raw: "asyncpg.Connection[asyncpg.Record]"
) -> Case:
    """Give the case of one refresh at a time, beside the parts that it can't do without."""
    key = generate_private_key(SECP256R1())
    algorithm = ECDSA(SHA256())
    client = Refreshing(scene.refreshing[0].refresh_token).user
    sessions = cycle([_Bare(raw, tokens) for tokens in scene.refreshing[1:]])
    return Case(
        "one refresh",
        1,
        OverHttp("lastcall", port, lambda: [client]),
        (
            Tasks("its statement, by asyncpg", [lambda: next(sessions).refresh()]),
            OverHttp("an empty route", floor, lambda: [always(request("GET", "/bare"))]),
            Calls("a signature", lambda: key.sign(SIGNED, algorithm)),
        ),
    )


class _Bare:
    """A session that is refreshed by nothing but the statement."""

    def __init__(self, raw: "asyncpg.Connection[asyncpg.Record]", tokens: Tokens) -> None:
        self._raw = raw
        self._id = tokens.session.id
        self._generation = tokens.session.lineage.generation
        self._secret = tokens.session.lineage.secret_hash

    async def refresh(self) -> None:
        successor = system_entropy(32)
        done = await REFRESH.rows_over(
            self._raw,
            id=[self._id],
            generation=[self._generation],
            shown=[self._secret],
            successor=[successor],
            sealed=[bytes(60)],
            ip=["127.0.0.1"],
            now=[rows.micros(SystemClock().now())],
            refresh_lifetime=86_400 * 10**6,
            absolute_lifetime=30 * 86_400 * 10**6,
        )
        if len(done) != 1:
            raise LookupError(self._id)
        self._generation += 1
        self._secret = successor


def parts(outcome: Outcome) -> str:
    """Say how long one refresh takes beside the sum of its parts, within each round."""

    def middles(side: Side) -> list[float]:
        return [median(turn.latencies) for turn in side.turns]

    sums = [sum(round_) for round_ in zip(*map(middles, outcome.floors), strict=True)]
    ratios = [own / other for own, other in zip(middles(outcome.lastcall), sums, strict=True)]
    each = " + ".join(f"{side.name} {side.latency(0.5) * 1e3:.3f}" for side in outcome.floors)
    return (
        f"one refresh alone: {outcome.lastcall.latency(0.5) * 1e3:.3f} ms, beside {each} ms: "
        f"{median(ratios):.2f} times their sum (from {min(ratios):.2f} to {max(ratios):.2f})"
    )


async def measure(
    cluster: Cluster, folder: Path, options: argparse.Namespace, tell: Callable[[str], None]
) -> tuple[list[Outcome], Outcome]:
    """Fill a database, copy it for each server, and run the rounds."""
    rounds, seconds = options.rounds, options.seconds
    ends_a_turn = max(1, int(ENDS_A_SECOND * seconds))
    tell("filling the databases")
    key = folder / "lastcall.key"
    where = Settings(database_url=cluster.create_database("scene"), secret_file=key)
    scene = await fill(folder, 10, ends_a_turn * len(NUMBERS) * (rounds + 1), where)
    # As the server itself would a minute later: it plans by what it knows of the tables.
    cluster.execute("ANALYZE", database="scene")
    cluster.run("pgbench", "-i", "-q", *connection(cluster))
    names = {workers: f"workers{workers}" for workers in WORKERS} | {0: "alone"}
    for name in (*names.values(), "inside"):
        cluster.create_database(name, "scene")
    inside = Settings(database_url=cluster.socket_url("inside"), secret_file=key)
    with ExitStack() as stack:

        def serve(workers: int) -> int:
            more = {
                "--database-url": cluster.socket_url(names[workers]),
                "--secret-file": str(key),
                "--workers": str(workers or 1),
            }
            flags = [text for pair in more.items() for text in pair]
            return stack.enter_context(servers.lastcall(folder, sys.executable, *flags))

        raw = await connect(cluster.socket_url("alone"))
        floor = stack.enter_context(servers.floor(folder / "floor.db"))
        alone = await compare(
            [one_alone(scene, serve(0), floor, raw)], ALONE * rounds, seconds / ALONE, tell
        )
        await raw.close()
        cluster.create_database("least")
        cluster.execute(CREATE, database="least")
        least = stack.enter_context(servers.least(cluster.socket_url("least")))
        both = [(workers, serve(workers)) for workers in WORKERS]
        all_ = [
            one
            for workers, port in both
            for one in cases(cluster, scene, port, least, workers, ends_a_turn)
        ]
        node = await Node.open(inside, serving=True)
        all_ += in_process(cluster, scene, node)
        wanted = [one for one in all_ if options.only in one.name]
        try:
            return await compare(wanted, rounds, seconds, tell), alone[0]
        finally:
            await node.close()


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.postgres", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn lasts; 1")
    parser.add_argument("--only", metavar="NAME", default="", help="operations with NAME in it")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(given)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    cluster = Cluster(settings=CACHE)
    cluster.start()
    try:
        with (
            TemporaryDirectory(prefix="lastcall-bench-") as place,
            loop() as runner,
        ):
            folder = Path(place)
            facts = report.machine(folder)
            work = measure(cluster, folder, options, tell)
            outcomes, alone = runner.run(work)
    finally:
        cluster.close()
    if options.json:
        print(json.dumps({"machine": facts, "results": report.data([*outcomes, alone])}))
    else:
        print(f"\n{report.table(outcomes)}\n\n{parts(alone)}\n")
        print(f"{report.describe(facts)}\n\n{HOW_TO_READ}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
