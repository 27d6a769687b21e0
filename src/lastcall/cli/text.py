"""Text for a terminal: nothing stored reaches it raw, and columns line up."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lastcall.clock import round_up

if TYPE_CHECKING:
    from lastcall.sessions.endings import Confirmation

Rows = Sequence[Sequence[str]]


def safe(text: str) -> str:
    """Write characters that a terminal would act on, rather than show, as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def table(heads: Sequence[str], rows: Rows, below: Sequence[str] | None = None) -> str:
    """Line up cells under their heads; `below` is a further line under each row, indented."""
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(heads, *cells, strict=True)]
    lines = [_line(heads, widths)]
    for index, row in enumerate(cells):
        lines.append(_line(row, widths))
        if below is not None:
            lines.append("    " + safe(below[index]))
    return "\n".join(lines)


def clip(text: str, width: int) -> str:
    """Shorten a text to that many columns; an ellipsis says so."""
    text = safe(text)
    if _width(text) <= width:
        return text
    while _width(text) >= width:
        text = text[:-1]
    return text.rstrip() + "…"


def when(moment: datetime) -> str:
    """Write a time to the minute, in UTC and marked so."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def ago(length: timedelta) -> str:
    """Say how long ago something was."""
    return "just now" if length < timedelta(minutes=1) else f"{span(length)} ago"


def until(length: timedelta) -> str:
    """Say in how long something will be."""
    return "now" if length <= timedelta(0) else f"in {span(length)}"


def count(number: int, noun: str) -> str:
    """Write a number with its noun: 1 session, 2 sessions."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def span(length: timedelta) -> str:
    """Say how long something lasts, in its largest fitting unit."""
    minutes = length // timedelta(minutes=1)
    if minutes < 1:
        return f"{length // timedelta(seconds=1)} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """Count columns: East Asian wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def certainty(found: "Confirmation") -> str:
    """Tell how sure it is that nobody accepts what has ended."""
    missing = found.verifiers - found.acknowledged
    if found.state == "confirmed":
        late = f"; {_silent(missing)}, and no lease any more" if missing else ""
        return f"Confirmed: no server or service accepts it any more{late}."
    if found.certain_by is None:
        return "Not confirmed yet: see lastcall doctor."
    told = [_silent(missing - found.unreachable)] if missing > found.unreachable else []
    if found.unreachable:
        told.append(f"{count(found.unreachable, 'service')} can't be reached")
    by = f"certain by {round_up(found.certain_by):%H:%M:%S} UTC"
    return f"{', '.join(told) or 'A server has not confirmed yet'}; {by}."


def _silent(number: int) -> str:
    return f"{count(number, 'service')} {'has' if number == 1 else 'have'} not confirmed yet"
