"""Whether anybody can administer what there is."""

import shlex
from typing import Final

from lastcall.doctor.check import Check, ok, skipped, warning
from lastcall.doctor.database import Found

NAME: Final = "administration"


def check_people(found: Found) -> Check:
    """Look for an account, and for an owner of each."""
    facts = found.facts
    if facts is None:
        return skipped((NAME,), found.because)[0]
    if not facts.accounts:
        link = "; a set-up link is open" if facts.setup_open else ""
        return warning(
            NAME,
            f"there is no account yet{link}",
            "Open the link that `lastcall serve` prints, or run: lastcall user add EMAIL",
        )
    if facts.ownerless:
        name = facts.ownerless[0].name
        return warning(
            NAME,
            f"the account {name} has no active owner",
            f"Run: lastcall user add EMAIL --owner --account {shlex.quote(name)}",
        )
    count = len(facts.accounts)
    return ok(NAME, f"{count} account{'s' if count > 1 else ''}, each with an active owner")
