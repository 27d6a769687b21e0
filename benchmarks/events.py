"""`python -m benchmarks.events`: what events in force cost a verifier: memory, time to apply them
from a snapshot, and what a check takes beside a view without any."""

import argparse
import gc
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

from lastcall.access import Access
from lastcall.clock import lease_clock
from lastcall.errors import Unavailable
from lastcall.events import Position, Timeline
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.leases.messages import Happened, read_from_node, write
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import Begun, View
from lastcall.verifier.checking import Checker, Known, Meant
from lastcall.verifier.session import Session

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


class _Knows:
    def __init__(self, view: View) -> None:
        self.view: View | None = view


class _Check(Checker):
    """The library's check, of tokens that are their sessions' ids: no signature is timed."""

    def __init__(self, view: View) -> None:
        view.leased_until = float("inf")
        super().__init__(_Knows(view), lease_clock, CHECKS)
        self._position = Position(view.epoch, TIMELINE, view.seq)
        view.keys = {"k": {"kid": "k"}}

    def _connected(self) -> bool:
        return True

    def _meant(self) -> Meant:
        return Meant("i", "a", ACCOUNT)

    def _ask(self, token: str) -> Session:
        raise Unavailable(token)

    async def _ask_aside(self, token: str) -> Session:
        raise Unavailable(token)

    def _prove(self, token: str) -> Known:
        now, later = datetime(2026, 1, 1, tzinfo=UTC), datetime(2126, 1, 1, tzinfo=UTC)
        access = Access(
            "i", UserId("u_ada"), "native", SessionId(token), "a", now, later, token, now,
            ("pwd",), AccountId(ACCOUNT), ("member",), self._position,
        )  # fmt: skip
        return Known(access, "k", {"kid": "k"})


def _fresh(ids: Sequence[str]) -> list[str]:
    """Give copies whose hashes are not known yet, as requests bring them."""
    return [f"{one[:1]}{one[1:]}" for one in ids]


def _seconds(check: Callable[[str], object], ids: Sequence[str]) -> float:
    """Say how long it takes to check these."""
    started = perf_counter()
    for one in ids:
        check(one)
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
    full, empty = _Check(side.view), _Check(_view(0))
    ids = [_id(events + number) for number in range(CHECKS)]
    anew = [_seconds(one.verify, ids) / CHECKS * 1e6 for one in (full, empty)]
    ratios = [
        _seconds(full.verify, _fresh(ids)) / _seconds(empty.verify, _fresh(ids))
        for _ in range(rounds)
    ]
    return {
        "events": len(side.view.of(ACCOUNT)),
        "megabytes": held / 1e6,
        "apply_seconds": applying,
        "seen_ratio": median(ratios),
        "looked_up_us": anew[0],
        "looked_up_with_none_us": anew[1],
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
    print(f"  a check of a token seen before takes {found['seen_ratio']:.2f} x as with none")
    print(
        f"  a first look, without the signature: {found['looked_up_us']:.1f} us, "
        f"with none in force {found['looked_up_with_none_us']:.1f} us"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
