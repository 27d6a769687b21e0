"""A service's process: `python -m tests.support.verifying HISTORY NAME KEY BROKEN ADDRESS …`.

It holds a real `lastcall.Verifier`, checks the tokens that its standard input brings (a session's
id and a token on each line) again and again, and writes what came of it, with the moment at which
each check began, as a history that `tests.support.verdicts` judges. It prints a line when it has a
lease. With BROKEN it acknowledges events that it doesn't take in.
"""

import sys
import threading
from collections import deque
from pathlib import Path
from unittest import mock

from lastcall import Error, InvalidToken, SessionEnded, Verifier
from lastcall.clock import lease_clock
from lastcall.leases.messages import Events
from lastcall.leases.view import View
from tests.support import verdicts

HELD = 30
"""How many tokens are checked at a time, the newest ones."""
EACH = 0.05
"""Seconds between two records of the same verdict on the same token; the last one is kept."""


def _ignore(view: View, _account: str, message: Events) -> None:
    """Take note of how far the log has come, and of nothing in it."""
    view.seq = message.position[2]


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
    return verdicts.Check(began, name, (session,), verdict)


def main(path: str, name: str, key: str, broken: str, *addresses: str) -> None:
    """Check until the standard input ends."""
    tokens: deque[tuple[str, str]] = deque(maxlen=HELD)
    over = threading.Event()

    def read() -> None:
        for line in sys.stdin:
            session, token = line.split()
            tokens.append((session, token))
        over.set()

    if broken:
        mock.patch.object(View, "apply_all", _ignore).start()
    threading.Thread(target=read, daemon=True).start()
    with Path(path).open("ab", buffering=0) as file, Verifier(*addresses, key=key) as verifier:
        verifier.wait_ready(30)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        written: dict[str, verdicts.Check] = {}
        last: dict[str, verdicts.Check] = {}
        while not over.wait(0.001):
            for session, token in [*tokens]:
                found = check(verifier, name, session, token)
                before, kept = last.get(session), written.get(session)
                last[session] = found
                changed = before is not None and before.verdict != found.verdict
                if changed and before is not kept and before is not None:
                    file.write(verdicts.write([before]))
                if kept is None or changed or found.at - kept.at > EACH:
                    file.write(verdicts.write([found]))
                    written[session] = found


if __name__ == "__main__":
    main(*sys.argv[1:])
