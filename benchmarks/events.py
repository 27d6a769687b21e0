"""`python -m benchmarks.events`: what events in force cost a verifier: memory, time to apply them
from a snapshot, and what a check takes beside a view without any."""

import argparse
import gc
import json
import os
import resource
import sys
from collections.abc import Sequence
from itertools import islice
from statistics import median
from time import perf_counter

from lastcall.events import Position, Timeline
from lastcall.leases.messages import Happened, read_from_node, write
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import Begun, View

TIMELINE = Timeline(1, "Zm9yIHRoZSBi")
ACCOUNT = "a_" + 26 * "0"
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
CHECKS = 20_000


def _id(number: int) -> str:
    """Write an id as long as a session's."""
    text = ""
    for _ in range(26):
        number, digit = divmod(number * 6364136223846793005 + 1442695040888963407, 32)
        text += ALPHABET[digit]
        number &= (1 << 64) - 1
    return f"s_c1_{text}"


def _view(events: int) -> View:
    view = View("Zm9yIHRoZSBi", (Begun(TIMELINE, 1),), 1, 0, {})
    for number in range(events):
        happened = Happened(
            number + 2, "session_ended", 1764158400, session=_id(number), reason="signed_out"
        )
        view.apply(ACCOUNT, happened)
    return view


def _memory() -> int:
    """Say how many bytes this process has in memory."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  not a path of ours
        return int(file.read().split()[1]) * resource.getpagesize()


def _snapshot(events: int, fd: int) -> None:
    """Write a node's snapshot, a message a line, from a process that goes then."""
    with os.fdopen(fd, "wb") as pipe:
        for message in _view(events).snapshot(ACCOUNT):
            pipe.write(write(message) + b"\n")


def _seconds(view: View, ids: Sequence[str]) -> float:
    """Say how long it takes to judge these sessions' tokens."""
    position = Position(view.epoch, TIMELINE, view.seq)
    judge = view.judge
    started = perf_counter()
    for session in ids:
        judge(ACCOUNT, "u_ada", session, position)
    return perf_counter() - started


def measure(events: int, rounds: int) -> dict[str, float]:
    """Have a verifier read a snapshot with so many events, and time its checks."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        _snapshot(events, writing)
        os._exit(0)
    os.close(writing)
    side = VerifierSide("v_" + 26 * "0")
    side.opened()
    welcome = b'{"type":"welcome","node":"n","account":"%s","issuer":"i","audience":"a","lease":30}'
    side.receive(read_from_node(welcome % ACCOUNT.encode()), 0.0)
    gc.collect()
    before = _memory()
    applying = 0.0
    with os.fdopen(reading, "rb") as pipe:
        for line in pipe:
            started = perf_counter()
            side.receive(read_from_node(line), 0.0)
            applying += perf_counter() - started
            del line
    os.waitpid(child, 0)
    gc.collect()
    held = _memory() - before
    if side.view is None:
        raise RuntimeError("the snapshot is not whole")
    empty = _view(0)
    empty.seq = side.view.seq
    ids = [_id(events + number) for number in range(CHECKS)]
    ratios = [_seconds(side.view, ids) / _seconds(empty, ids) for _ in range(rounds)]
    own = list(islice(side.view.of(ACCOUNT).sessions, CHECKS))
    return {
        "events": len(side.view.of(ACCOUNT)),
        "megabytes": held / 1e6,
        "apply_seconds": applying,
        "check_ratio": median(ratios),
        "check_ended_us": _seconds(side.view, own) / max(1, len(own)) * 1e6,
    }


def main(given: Sequence[str] | None = None) -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="how many; 1,000,000")
    parser.add_argument("--rounds", type=int, default=15, help="how often checks are timed; 15")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(given)
    found = measure(options.events, options.rounds)
    if options.json:
        print(json.dumps(found))
        return 0
    print(f"{found['events']:,.0f} events in force")
    print(f"  memory      {found['megabytes']:.0f} MB more")
    print(f"  applied in  {found['apply_seconds']:.2f} s, read from a snapshot")
    print(f"  a check     {found['check_ratio']:.2f} x one with none in force")
    print(f"  refusing an ended session takes {found['check_ended_us']:.2f} us of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
