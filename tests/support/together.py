"""Processes that do the same at once."""

import os
import subprocess
import sys
from typing import Final

from tests.conftest import ROOT

# What they have in common is imported once. They begin when the pipe ends.
_LAUNCH: Final = """
import os, sys
import alembic.command, lastcall.stores.opening, lastcall.stores.postgres.place, tests.support.fakes
code, count = compile(sys.argv.pop(1), "<code>", "exec"), int(sys.argv.pop(1))
begun, begin = os.pipe()
children = []
for _ in range(count):
    child = os.fork()
    if child == 0:
        os.close(begin)
        os.read(begun, 1)
        exec(code)
        sys.exit()
    children.append(child)
os.close(begin)
sys.exit(max(os.waitpid(child, 0)[1] for child in children))
"""


def together(code: str, count: int, *arguments: str) -> list[str]:
    """Run code in several processes at once; give what each prints, which is one line at most."""
    done = subprocess.run(
        [sys.executable, "-c", _LAUNCH, code, str(count), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": ""},  # each one's line is written in one piece
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()
