"""A service's process: `python -m tests.support.verifying FOLDER NAME KEY BREAK ADDRESS …`.

It holds a real `lastcall.Verifier`, checks the tokens that its standard input brings (a session's
id and a token on each line) again and again, and writes what came of it, with the moment at which
each check began, as a history that `tests.support.verdicts` judges: `NAME.jsonl` in the folder. It
prints a line when it has a lease. The line `fork` has it fork: the child goes on checking for a
while, under a name of its own. BREAK is one of `tests.support.breaking`, or empty.
"""

import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path

from lastcall import Error, InvalidToken, SessionEnded, Verifier
from lastcall.clock import lease_clock
from tests.support import verdicts
from tests.support.breaking import break_it

HELD = 30
"""How many tokens are checked at a time, the newest ones."""
EACH = 0.1
"""Seconds between two records of the same verdict on the same token; the last one is kept."""
CHILD_LIVES = 8.0
"""Seconds for which a forked child goes on: longer than the lease that its parent had."""


def check(verifier: Verifier, name: str, session: str, token: str) -> verdicts.Check:
    """Check a token."""
    began = lease_clock()
    verdict: verdicts.Verdict
    try:
        verifier.verify(token)
        verdict = "accepted"
    except (InvalidToken, SessionEnded):
        verdict = "refused"
    except Error:
        verdict = "unavailable"
    return verdicts.Check(began, name, (session,), verdict, took=lease_clock() - began)


class Service:
    """Tokens, and what is said of them, in one process."""

    def __init__(self, folder: Path, name: str, verifier: Verifier) -> None:
        self._folder = folder
        self._name = name
        self._verifier = verifier
        self._tokens: deque[tuple[str, str]] = deque(maxlen=HELD)
        self._over = threading.Event()
        self._forks = threading.Semaphore(0)

    def read(self) -> None:
        """Read the standard input to its end."""
        for line in sys.stdin:
            if line == "fork\n":
                self._forks.release()
            else:
                session, token = line.split()
                self._tokens.append((session, token))
        self._over.set()

    def run(self) -> None:
        """Check until the standard input ends; fork when it is asked for."""
        self._check(self._name, self._over.is_set)

    def _check(self, name: str, over: Callable[[], bool]) -> None:
        children = 0
        pause = threading.Event()
        written: dict[str, verdicts.Check] = {}
        last: dict[str, verdicts.Check] = {}
        with (self._folder / f"{name}.jsonl").open("ab", buffering=0) as file:
            while not over():
                pause.wait(0.01)
                if self._forks.acquire(blocking=False):
                    children += 1
                    if os.fork() == 0:
                        self._live_as_child(f"{name}-fork{children}")
                for session, token in [*self._tokens]:
                    found = check(self._verifier, name, session, token)
                    before, kept = last.get(session), written.get(session)
                    last[session] = found
                    changed = before is not None and before.verdict != found.verdict
                    if changed and before is not kept and before is not None:
                        file.write(verdicts.write([before]))
                    if kept is None or changed or found.at - kept.at > EACH:
                        file.write(verdicts.write([found]))
                        written[session] = found

    def _live_as_child(self, name: str) -> None:
        """Check what the parent held, for a while, and end."""
        signal.alarm(60)  # what hangs must not stay
        self._forks = threading.Semaphore(0)  # the reading thread, of the parent, may have held it
        try:
            until = lease_clock() + CHILD_LIVES
            self._check(name, lambda: lease_clock() > until)
            self._verifier.close()
        except BaseException:  # noqa: BLE001  the child must end here, whatever it was
            traceback.print_exc()
            os._exit(1)
        os._exit(0)


def main(folder: str, name: str, key: str, broken: str, *addresses: str) -> None:
    """Check until the standard input ends."""
    break_it(broken)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that have ended are gone
    with Verifier(*addresses, key=key) as verifier:
        service = Service(Path(folder), name, verifier)
        threading.Thread(target=service.read, daemon=True).start()
        verifier.wait_ready(30)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        service.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
