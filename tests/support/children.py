"""Forked children of a test's process."""

import os
import signal
import sys
import traceback
from collections.abc import Callable

Fork = Callable[[], int]


def in_child(fork: Fork, act: Callable[[], None]) -> int:
    """Run something in a forked child and give its exit status; what it fails with is printed."""
    pid = fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(60)  # what hangs must not stay
    try:
        act()
    except BaseException:  # noqa: BLE001  the child must end here, whatever it was
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)
