"""Is enough of the code tested, and no less than before?

Lines and branches are counted each for itself, and the lower share counts: a hundred easy lines
can't make up for an untested decision.
"""

import json
import sys
from pathlib import Path
from typing import Final

LEAST: Final = 95.0
"""Percent; no floor may be below it."""
SLACK: Final = 0.5
"""Percentage points above the floor from which it should be raised."""


def share(report: str) -> float:
    """The lower of the covered lines' and the covered branches' share, in percent.

    Args:
        report: the text that `coverage json` wrote, branches included.
    """
    totals = json.loads(report)["totals"]

    def percent(covered: int, of: int) -> float:
        return 100 * covered / of if of else 100.0

    return min(
        percent(totals["covered_lines"], totals["num_statements"]),
        percent(totals["covered_branches"], totals["num_branches"]),
    )


def verdict(covered: float, floor: float) -> tuple[bool, str]:
    """Whether that much passes, and what to tell people. Both in percent."""
    if floor < LEAST:
        return False, f"The coverage floor is {floor:.1f} %, but may never be below {LEAST:.1f} %."
    if covered < floor:
        advice = "Test what the report above calls missing."
        return False, f"Coverage is {covered:.2f} %, below the floor of {floor:.1f} %. {advice}"
    text = f"Coverage is {covered:.2f} %, the floor {floor:.1f} %."
    if covered >= floor + SLACK:
        raised = int(covered * 10) / 10
        text += f" It only rises: write {raised:.1f} into coverage-floor.txt."
    return True, text


def main(report: str, floor: str) -> int:
    """Compare the report with the floor, both paths of files; 1 when there is too little."""
    passed, text = verdict(share(Path(report).read_text()), float(Path(floor).read_text()))
    print(text, file=sys.stdout if passed else sys.stderr)
    return not passed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
