"""`python -m benchmarks`: measure lastcall beside its floors, and print the ratios."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import in_process, live, over_http, pages, report, servers, strangers
from benchmarks.client import Refused, loop
from benchmarks.floor import Floor
from benchmarks.measure import Case, Outcome, compare
from benchmarks.scene import DATABASE, Scene, fill, settings
from benchmarks.servers import NotStarted
from lastcall.node import Node

ENDS_A_SECOND = 2000
"""How many sessions a client may end in a second of its turn; they have to be there before."""
SMOKE_SECONDS = 0.01


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure lastcall beside the same work without it, in one run.",
    )
    parser.add_argument("--rounds", type=_positive, default=7, help="how often; 7")
    parser.add_argument(
        "--seconds", type=float, default=0.2, help="how long each turn of a round lasts; 0.2"
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="operations with NAME in their name"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument(
        "--folder", type=Path, help="where the databases are made: choose the disk; a temporary one"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="see that all of it runs; its figures mean nothing"
    )
    return parser.parse_args(given)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def measure(
    folder: Path, rounds: int, seconds: float, only: Sequence[str] | None, many: int
) -> list[Outcome]:
    """Make the databases, start the servers, run the rounds."""
    ends_a_turn = max(1, int(ENDS_A_SECOND * seconds))
    turns = len(over_http.NUMBERS) * (rounds + 1)
    _tell("filling the databases")
    scene = await fill(folder, many, ends_a_turn * turns)
    company = await pages.fill(folder.with_name("company"), many)
    watched = scene.copy("watched")
    with (
        servers.lastcall(scene.copy("lastcall")) as port,
        servers.floor(scene.copy("floor") / DATABASE) as floor_port,
        servers.lastcall(company.folder) as pages_port,
        servers.lastcall(watched) as watched_port,
    ):
        async with live.watched(scene, watched, watched_port, port, many // 4) as where:
            more = [
                *pages.cases(company, pages_port),
                *await live.cases(where, scene.few, rounds),
            ]
            return await _measure(
                scene, (port, floor_port), rounds, seconds, only, ends_a_turn, more
            )


async def _measure(
    scene: Scene,
    ports: tuple[int, int],
    rounds: int,
    seconds: float,
    only: Sequence[str] | None,
    ends_a_turn: int,
    more: Sequence[Case],
) -> list[Outcome]:
    node = await Node.open(settings(scene.copy("node")), serving=True)
    floor = Floor(scene.copy("node-floor") / DATABASE)
    try:
        cases = [
            case
            for case in (
                *over_http.cases(scene, *ports, ends_a_turn),
                *in_process.cases(scene, node, floor),
                *await strangers.cases(node),
                *more,
            )
            if only is None or any(name in case.name for name in only)
        ]
        return await compare(cases, rounds, seconds, _tell)
    finally:
        floor.close()
        await node.close()


def _run(options: argparse.Namespace, folder: Path) -> int:
    rounds, seconds = (1, SMOKE_SECONDS) if options.smoke else (options.rounds, options.seconds)
    many = 100 if options.smoke else 1000
    facts = report.machine(folder)
    scene = folder / "scene"
    scene.mkdir()
    scene.with_name("company").mkdir()
    work = measure(scene, rounds, seconds, options.only, many)
    with loop() as runner:
        outcomes = runner.run(work)
    if not outcomes:
        _tell(f"no operation has {' or '.join(options.only)} in its name")
        return 2
    if options.json:
        print(json.dumps({"machine": facts, "rounds": rounds, "results": report.data(outcomes)}))
    else:
        print(f"\n{report.table(outcomes)}\n\n{report.describe(facts)}\n\n{report.HOW_TO_READ}")
    return 0


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmarks; give the exit status."""
    options = arguments(given)
    with TemporaryDirectory(prefix="lastcall-bench-", dir=options.folder) as folder:
        try:
            return _run(options, Path(folder))
        except (Refused, NotStarted) as error:
            _tell(f"the run was given up: {error}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
