"""`python -m benchmarks.nodes`: how long a termination takes until it is confirmed where its
verifiers follow two nodes, or four, on one PostgreSQL, beside as many that follow one."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import report, servers
from benchmarks.client import Refused, loop
from benchmarks.confirmation import (
    ENDS_A_SECOND,
    Terminating,
    following,
    service_key,
)
from benchmarks.measure import Case, Outcome, compare
from benchmarks.postgres import CACHE
from benchmarks.scene import fill
from lastcall.settings import Settings
from tools.postgres import Cluster

NODES = (1, 2, 4)
VERIFIERS = 100
"""How many there are in all, spread evenly."""
HOW_TO_READ = """\
p50 and p99: milliseconds of the whole request that ends a session, its commit included, until every
verifier has acknowledged. times: the median that many nodes take over that of one, within one
round; the median of the rounds, and from which to which. All nodes, PostgreSQL and the verifiers
share the processors."""


async def measure(
    cluster: Cluster, folder: Path, options: argparse.Namespace, tell: Callable[[str], None]
) -> Outcome:
    """Make a database for each number of nodes, and run the rounds with all of them up."""
    tell("filling the databases")
    secret = folder / "lastcall.key"
    where = Settings(database_url=cluster.create_database("scene"), secret_file=secret)
    ends = max(5, int(ENDS_A_SECOND * options.seconds)) * (options.rounds + 1)
    scene = await fill(folder, 2, ends, where)
    key = await service_key(where)
    async with AsyncExitStack() as stack:

        async def start(nodes: int) -> Terminating:
            name = f"nodes{nodes}"
            cluster.create_database(name, "scene")
            flags = ("--database-url", cluster.socket_url(name), "--secret-file", str(secret))
            ports = [
                stack.enter_context(servers.lastcall(folder, sys.executable, *flags))
                for _ in range(nodes)
            ]
            shares = [0] * nodes
            for number, _ in zip(cycle(range(nodes)), range(options.verifiers), strict=False):
                shares[number] += 1
            for port, share in zip(ports, shares, strict=True):
                await stack.enter_async_context(following(port, key, share))
            return Terminating(
                f"{nodes} nodes" if nodes > 1 else "one node",
                ports[0],
                scene.ending.tokens.access_token,
                iter(scene.ending.others),
                options.verifiers,
            )

        one, *more = [await start(nodes) for nodes in NODES]
        case = Case(f"confirmed by {options.verifiers}", 1, one, tuple(more))
        (outcome,) = await compare([case], options.rounds, options.seconds, tell)
        return outcome


def lines(outcome: Outcome) -> list[str]:
    """Say how long a confirmation takes, for each number of nodes."""
    found = []
    for side in (outcome.lastcall, *outcome.floors):
        times = [
            median(turn.latencies) / median(one.latencies)
            for turn, one in zip(side.turns, outcome.lastcall.turns, strict=True)
        ]
        p50, p99 = (side.latency(share) * 1e3 for share in (0.5, 0.99))
        found.append(
            f"{side.name:<10} p50 {p50:7.2f}  p99 {p99:7.2f}"
            f"  times {median(times):.2f}  ({min(times):.2f}-{max(times):.2f})"
        )
    return found


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn lasts; 1")
    parser.add_argument("--verifiers", type=int, default=VERIFIERS, help="how many in all; 100")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(given)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    cluster = Cluster(settings=CACHE)
    cluster.start()
    try:
        with TemporaryDirectory(prefix="lastcall-bench-") as place, loop() as runner:
            facts = report.machine(Path(place))
            outcome = runner.run(measure(cluster, Path(place), options, tell))
    except (Refused, servers.NotStarted) as error:
        tell(f"the run was given up: {error}")
        return 1
    finally:
        cluster.close()
    if options.json:
        print(json.dumps({"machine": facts, "results": report.data([outcome])}))
    else:
        print("\n" + "\n".join(lines(outcome)))
        print(f"\n{report.describe(facts)}\n\n{HOW_TO_READ}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
