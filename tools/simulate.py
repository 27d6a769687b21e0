"""`make simulate SEEDS=20000`: run the simulation of the protocol for longer than `make test` does.

It stops at the first seed that breaks a promise, and prints the shortest history that shows it.
"""

import argparse
import sys
import time

from tests.simulation.run import run, shortest, tell

EACH = 500
"""After how many seeds it says how far it has come."""


def main() -> int:
    """Run the seeds; give the exit status."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("seeds", type=int, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one; 0")
    options = parser.parse_args()
    started, checks, confirmed = time.monotonic(), 0, 0
    for number, seed in enumerate(range(options.first, options.first + options.seeds), 1):
        outcome = run(seed)
        checks += outcome.checks
        confirmed += outcome.confirmed
        if outcome.faults:
            print(f"Seed {seed} breaks a promise; looking for its shortest history ...", flush=True)
            print(tell(shortest(outcome, most=400)))
            print(f"Once more: make simulate SEEDS=1 FIRST={seed}")
            return 1
        if number % EACH == 0 or number == options.seeds:
            rate = number / (time.monotonic() - started)
            print(
                f"{number:,} seeds, {confirmed:,} confirmations, {checks:,} checks, no fault; "
                f"{rate:.0f} seeds a second",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
