"""`python -m tests.nodes.altered ALTERATION serve …` is a node that learns of what others write in
one way alone, or waits for its database for less long."""

import sys
from typing import Any
from unittest.mock import patch

from lastcall.cli import main
from lastcall.stores.postgres import store, wakeups

_woken = wakeups.Wakeups._woken  # noqa: SLF001  what is altered is within


def _woken_by_others(self: wakeups.Wakeups, *heard: object) -> None:
    if heard:
        _woken(self, *heard)


ALTERATIONS: dict[str, Any] = {
    "deaf": patch.object(wakeups, "CHANNEL", "elsewhere"),
    "never polls": patch.object(wakeups.Wakeups, "_woken", _woken_by_others),
    "hasty": patch.multiple(store, PROMPT_SECONDS=1.0),
}
"""It hears no wake-up, though its connection is good; or it relies on them; or it waits only for a
second where its leases hang on an answer."""

if __name__ == "__main__":
    ALTERATIONS[sys.argv.pop(1)].start()
    main()
