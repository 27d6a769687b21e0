"""`python -m benchmarks.integrations`: what it costs an application to know who asks: the ASGI
middleware in its process, a protected route over HTTP, and what a proxy asks at `/forward-auth`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks import report, servers
from benchmarks.check_scene import make
from benchmarks.client import OverHttp, always, loop, request
from benchmarks.measure import Case, Outcome, Turn, compare
from lastcall import Verifier
from lastcall.integrations.starlette import App, LastcallMiddleware, Scope

CALLS = 2000
"""How many calls in the process are timed at once."""
CLIENTS = 32
USUAL = [
    (b"host", b"shop.example.com"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:155.0) Gecko/20100101 Firefox/155.0"),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en-GB,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-site", b"same-origin"),
]
"""What a browser sends besides."""
HOW_TO_READ = """\
Of "middleware", p50 is microseconds a call in one process, "alone" that of the application that the
middleware calls: it does nothing. Of the others, milliseconds; a ratio of 0.9 means that nine
requests are answered in the time in which the floor answers ten."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of an ASGI application, one after another."""

    name: str
    app: App
    scope: Scope

    async def run(self, seconds: float) -> Turn:
        """Work for about so long."""
        latencies: list[float] = []
        until = perf_counter() + seconds
        while not latencies or perf_counter() < until:
            started = perf_counter()
            for _ in range(CALLS):
                await self.app(self.scope, _never, _nowhere)
            latencies.append((perf_counter() - started) / CALLS)
        return Turn(sum(latencies), latencies)


async def _never() -> dict[str, Any]:
    return {}


async def _nowhere(_: object) -> None:
    return


async def _nothing(_scope: object, _receive: object, _send: object) -> None:
    return


def _scope(*more: tuple[bytes, bytes]) -> Scope:
    return {
        "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"",
        "headers": [*USUAL, *more],
    }  # fmt: skip


def in_process(verifier: Verifier, token: str) -> list[Case]:
    """Give the cases of calls in the process."""
    kept = LastcallMiddleware(_nothing, verifier)
    jar = f"theme=dark; lastcall-access={token}; lastcall-refresh={'x' * 90}; seen=1"
    cases = {
        "bearer": (b"authorization", f"Bearer {token}".encode()),
        "cookie": (b"cookie", jar.encode()),
    }
    return [
        Case(
            f"middleware, {name}",
            1,
            Calls("lastcall", kept, _scope(header)),
            (Calls("alone", _nothing, _scope(header)),),
        )
        for name, header in cases.items()
    ]


def over_http(shop: int, lastcall: int, token: str) -> list[Case]:
    """Give the cases over HTTP."""

    def ask(name: str, port: int, path: str) -> OverHttp:
        message = request("GET", path, token=token)
        return OverHttp(name, port, lambda: [always(message)] * CLIENTS)

    return [
        Case(
            "protected route",
            CLIENTS,
            ask("lastcall", shop, "/somebody"),
            (ask("unprotected", shop, "/anybody"),),
        ),
        Case(
            "forward-auth",
            CLIENTS,
            ask("lastcall", lastcall, "/forward-auth"),
            (ask("empty route", lastcall, "/healthz"),),
        ),
    ]


async def _measure(
    folder: Path, rounds: int, seconds: float, tell: Callable[[str], None]
) -> tuple[list[Outcome], list[Outcome]]:
    scene: dict[str, Any] = await make(folder, 1)
    token, key = scene["tokens"][0], scene["key"]
    with servers.lastcall(folder) as lastcall:
        address = f"http://127.0.0.1:{lastcall}"
        with Verifier(address, key=key) as verifier:
            verifier.wait_ready(10)
            near = await compare(in_process(verifier, token), rounds, seconds, tell)
        with servers.shop(address, key) as shop:
            far = await compare(over_http(shop, lastcall, token), rounds, 5 * seconds, tell)
    return near, far


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.integrations", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often; 9")
    parser.add_argument("--seconds", type=float, default=0.2, help="how long a turn lasts; 0.2")
    options = parser.parse_args(given)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with (
        TemporaryDirectory(prefix="lastcall-bench-") as place,
        loop() as runner,
    ):
        facts = report.machine(Path(place))
        near, far = runner.run(_measure(Path(place), options.rounds, options.seconds, tell))
    print(f"\n{report.table(near, 1e-6)}\n\n{report.table(far)}\n")
    print(f"{report.describe(facts)}\n\n{HOW_TO_READ}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
