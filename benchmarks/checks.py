"""`python -m benchmarks.checks`: one check of who is asking, lastcall's beside what else a user would
pick, all in one process and one run. It needs the packages of `requirements/peers.txt`; `make bench`
installs them into an environment of their own, and runs it there."""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks import peers, report, servers
from benchmarks.measure import Case, Turn, compare
from lastcall import Verifier
from lastcall.access import public_key_of
from lastcall.clock import lease_clock
from lastcall.digests import decode

ROOT = Path(__file__).resolve().parent.parent
SEEN, NEW, STORED = 2000, 200, 50
"""How many checks are timed at once: of tokens seen before, of new ones, and of those that ask a
database."""
TOKENS = 30_000
HOW_TO_READ = """\
Latencies are microseconds a check. A ratio is lastcall's rate over the other's, within one round:
0.33 of "dict + clock" means that a check takes three times as long as looking a fresh key up in a
dict and reading a clock; 200 of a peer means that it is 200 times as fast."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop over inputs that are made before it is timed."""

    name: str
    inputs: Callable[[], Sequence[str]]
    loop: Callable[[Sequence[str]], object]

    async def run(self, seconds: float) -> Turn:
        """Work for about so long."""
        latencies: list[float] = []
        until = perf_counter() + seconds
        while not latencies or perf_counter() < until:
            inputs = self.inputs()
            started = perf_counter()
            self.loop(inputs)
            latencies.append((perf_counter() - started) / len(inputs))
        return Turn(sum(latencies), latencies)


def fresh(texts: Sequence[str], number: int) -> Callable[[], Sequence[str]]:
    """Give copies, as every request brings: no text whose hash is known already."""
    endless = cycle(texts)

    def make() -> Sequence[str]:
        return [f"{text[:1]}{text[1:]}" for text in islice(endless, number)]

    return make


def once(tokens: Iterator[str]) -> Callable[[], Sequence[str]]:
    """Give tokens that were not given before."""
    return lambda: [*islice(tokens, NEW)]


def each(function: Callable[[str], object]) -> Callable[[Sequence[str]], object]:
    """Call a function for each."""

    def loop(inputs: Sequence[str]) -> None:
        for one in inputs:
            function(one)

    return loop


def _dict_and_clock(tokens: Sequence[str]) -> Callable[[Sequence[str]], object]:
    known = dict.fromkeys(tokens, 1.0)

    def loop(inputs: Sequence[str]) -> None:
        find, clock = known.get, lease_clock
        for one in inputs:
            find(one)
            clock()

    return loop


def _bare(tokens: Sequence[str], jwk: dict[str, object]) -> Loop:
    """The signature alone: nothing is split, decoded or looked up in the timed loop."""
    key, algorithm = public_key_of(jwk), ECDSA(SHA256())
    signed = []
    for token in tokens[:NEW]:
        body, _, signature = token.rpartition(".")
        raw = decode(signature)
        numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        signed.append((encode_dss_signature(*numbers), body.encode()))

    def loop(_: Sequence[str]) -> None:
        for signature, body in signed:
            key.verify(signature, body, algorithm)

    return Loop("ES256 verification alone", lambda: tokens[:NEW], loop)


def cases(verifier: Verifier, scene: dict[str, object], folder: Path) -> list[Case]:
    """Give the cases; they have a verifier with a lease."""
    tokens: list[str] = scene["tokens"]  # type: ignore[assignment]
    jwk: dict[str, object] = scene["jwk"]  # type: ignore[assignment]
    few = tokens[:100]
    new = iter(tokens[100:])
    seen = Loop("lastcall", fresh(few, SEEN), each(verifier.verify))
    jose = [
        Loop(name, once(cycle(tokens[:NEW])), each(check))
        for name, check in peers.decoders(jwk, str(scene["issuer"]), str(scene["audience"]))
    ]
    own = [Loop(name, lambda: [""] * STORED, loop) for name, loop in peers.sessions(folder)]
    return [
        Case(
            "seen before",
            1,
            seen,
            (Loop("dict + clock", fresh(few, SEEN), _dict_and_clock(few)), *own),
        ),
        Case(
            "new token",
            1,
            Loop("lastcall", once(new), each(verifier.verify)),
            (_bare(tokens, jwk), *jose),
        ),
    ]


def _measure(folder: Path, rounds: int, seconds: float) -> int:
    python = str(ROOT / ".venv/bin/python")
    made = subprocess.run(
        [python, "-m", "benchmarks.check_scene", str(folder), str(TOKENS)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    scene = json.loads(made.stdout)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with (
        servers.lastcall(folder, python) as port,
        Verifier(f"http://127.0.0.1:{port}", key=scene["key"]) as verifier,
    ):
        verifier.wait_ready(10)
        outcomes = asyncio.run(compare(cases(verifier, scene, folder), rounds, seconds, tell))
        checks = verifier.status().checks
        if checks.introspected or checks.accepted < SEEN:
            tell(f"some checks were not decided here: {checks}")
            return 1
    print(f"\n{report.table(outcomes, 1e-6)}\n\n{HOW_TO_READ}")
    return 0


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often; 9")
    parser.add_argument("--seconds", type=float, default=0.1, help="how long a turn lasts; 0.1")
    options = parser.parse_args(given)
    with TemporaryDirectory(prefix="lastcall-bench-") as folder:
        return _measure(Path(folder), options.rounds, options.seconds)


if __name__ == "__main__":
    sys.exit(main())
