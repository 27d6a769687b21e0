"""The command line: one file a group of commands, each with a `--json` for programs."""

import importlib.util
import io
import signal
import sys
from types import FrameType

if any(
    importlib.util.find_spec(name) is None
    for name in ("alembic", "argon2", "click", "httptools", "sqlalchemy", "starlette", "uvicorn")
):
    sys.exit(
        "lastcall: the command line needs the server's dependencies; "
        "run: pip install 'lastcall[server]'"
    )


def main() -> None:
    """Run the command line. Exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    signal.signal(signal.SIGINT, _interrupted)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name in letters that the terminal lacks is shown escaped, not as a traceback.
            stream.reconfigure(errors="backslashreplace")

    from lastcall.cli.root import root  # so that Ctrl-C is quiet meanwhile

    root(prog_name="lastcall")


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)
