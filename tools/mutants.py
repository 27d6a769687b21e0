"""Do the tests notice when core and tokens are changed on purpose?

Runs mutmut over what `pyproject.toml` names and counts. A mutant is dead when a test failed or ran
out of time; one that no test reaches, and one that was never tried, are alive.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

LEAST: Final = 90.0
"""Percent of the mutants that must die."""
DEAD: Final = frozenset({"killed", "timeout"})
_RESULT: Final = re.compile(r"\s*(?P<name>\S+__mutmut_\d+): (?P<fate>.+?)\s*")


def fates(results: str) -> dict[str, str]:
    """Each mutant's fate, from what `mutmut results --all true` prints."""
    lines = (_RESULT.fullmatch(line) for line in results.splitlines())
    return {line["name"]: line["fate"] for line in lines if line}


def module(name: str) -> str:
    """The module that a mutant is of: `lastcall.keys.x_new_key__mutmut_1` is of `lastcall.keys`."""
    return re.split(r"\.x(?:_|ǁ)", name, maxsplit=1)[0]


def share(of: Iterable[str]) -> float:
    """How many percent of these fates are deaths; none of nothing."""
    known = Counter(fate in DEAD for fate in of)
    return 100 * known[True] / known.total() if known else 0.0


def report(found: Mapping[str, str]) -> str:
    """The share of each module, then whatever lives, by name."""
    lines = []
    for each in sorted({module(name) for name in found}):
        own = [fate for name, fate in found.items() if module(name) == each]
        dead = sum(fate in DEAD for fate in own)
        lines.append(f"{each:36} {dead:4} of {len(own):4}  {share(own):6.1f} %")
    alive = sorted(f"{name}: {fate}" for name, fate in found.items() if fate not in DEAD)
    return "\n".join([*lines, "", *alive, f"{share(found.values()):.1f} % of {len(found)} died."])


def main() -> int:
    """Try each mutant, one after the other; 1 when too many live, mutmut's own code if it fails."""
    ran = subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", "1"], check=False
    )
    if ran.returncode:
        return ran.returncode
    results = subprocess.run(
        [sys.executable, "-m", "mutmut", "results", "--all", "true"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = fates(results.stdout)
    print(report(found))
    if share(found.values()) < LEAST:
        print(f"At least {LEAST:.0f} % must; see docs/mutants.md.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
