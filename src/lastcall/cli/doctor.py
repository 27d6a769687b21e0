"""`lastcall doctor`: what stands against a good run, and how to mend it."""

import shutil
import textwrap
from typing import TYPE_CHECKING, Final

import click

from lastcall.cli.common import DEFAULT_PORT, SERVER, Call, listening, with_call
from lastcall.cli.text import count, safe

if TYPE_CHECKING:
    from lastcall.doctor.check import Check, State
    from lastcall.settings import Settings

_MARKS: "Final[dict[State, str]]" = {
    "ok": "ok",
    "warning": "WARNING",
    "problem": "PROBLEM",
    "skipped": "-",
}


@click.command()
@listening
# Of no interest here, and taken so that a server's command line can be repeated.
@click.option("--workers", hidden=True, expose_value=False)
@click.option("--access-log", is_flag=True, hidden=True, expose_value=False)
@with_call(SERVER)
def doctor(call: Call, host: str, port: int) -> None:
    """Check this machine, the settings and the database; change nothing.

    Give it the same flags and environment as `lastcall serve`, and run it as the same user.
    Exit status 1 when there is a problem; warnings alone are 0.
    """
    from lastcall.doctor.examination import examine
    from lastcall.doctor.machine import Machine

    def settings() -> "Settings":
        return call.settings(port=port or DEFAULT_PORT)

    checks = examine(settings, call.origins(), Machine(), host)
    good = not any(check.state == "problem" for check in checks)
    call.answer({"ok": good, "checks": checks}, _table(checks))
    call.say(_sum(checks))
    if not good:
        click.get_current_context().exit(1)


def _table(checks: "tuple[Check, ...]") -> str:
    width = max(60, min(shutil.get_terminal_size().columns, 100))
    name = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        head = f"{_MARKS[check.state]:7}  {check.name:{name}}  "
        lines += _wrap(check.found, head, " " * len(head), width)
        if check.advice is not None:
            below = " " * len(head)
            lines += _wrap(check.advice, f"{below}> ", f"{below}  ", width)
    return "\n".join(lines)


def _wrap(text: str, first: str, then: str, width: int) -> list[str]:
    """Break a text into lines; what has no blank, such as a path to be copied, stays whole."""
    return textwrap.wrap(
        safe(text),
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _sum(checks: "tuple[Check, ...]") -> str:
    number = {state: sum(check.state == state for check in checks) for state in _MARKS}
    said = [
        count(number["problem"], "problem"),
        count(number["warning"], "warning"),
        f"{number['ok']} ok",
    ]
    if number["skipped"]:
        said.append(f"{number['skipped']} not checked")
    return ", ".join(said) + "."
