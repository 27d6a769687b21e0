"""The clocks: the time that is told, whether it is kept right, and whether it passes."""

from datetime import datetime, timedelta
from threading import Event
from typing import Final

from lastcall.clock import Clock
from lastcall.doctor.check import Check, ok, problem, warning
from lastcall.doctor.data import rules_built
from lastcall.doctor.database import Found
from lastcall.doctor.machine import Machine

_SLACK: Final = timedelta(minutes=1)
_AHEAD: Final = timedelta(days=365)
_MOMENT: Final = 0.01
"""Seconds in which the clock of intervals must have moved."""
_MEND: Final = (
    "Set the clock: timedatectl set-ntp true, or whatever keeps time here or on the host."
)


def examine(found: Found, machine: Machine) -> tuple[Check, ...]:
    """Check the time of day, who keeps it, and the clock of intervals."""
    return (
        _time(machine.clock.now(), found),
        _kept(machine.synchronised),
        _passes(machine.clock),
    )


def _time(now: datetime, found: Found) -> Check:
    name = "clock"
    said = f"{now:%Y-%m-%d %H:%M} UTC"
    newest = found.facts.newest if found.facts else None
    if newest is not None and now < newest - _SLACK:
        return problem(
            name,
            f"it is {said}, and the database was last written at {newest:%Y-%m-%d %H:%M} UTC: the "
            "clock is behind, or was ahead then",
            _MEND,
        )
    built = rules_built()
    if built is not None and now < built:
        return problem(
            name,
            f"it is {said}, before the data of {built:%Y-%m} that is installed was made",
            _MEND,
        )
    if newest is not None and now > newest + _AHEAD:
        return warning(
            name,
            f"it is {said}, {(now - newest).days} days after the database was last written: nobody "
            "used it, or the clock is ahead",
            _MEND,
        )
    return ok(name, said)


def _kept(synchronised: bool | None) -> Check:
    name = "clock sync"
    if synchronised is None:
        return ok(name, "can't tell whether the clock is kept right on this machine")
    if not synchronised:
        return warning(name, "the kernel says that nothing keeps its clock right", _MEND)
    return ok(name, "the kernel says that its clock is kept right")


def _passes(clock: Clock) -> Check:
    name = "intervals"
    before = clock.monotonic()
    Event().wait(_MOMENT)
    passed = clock.monotonic() - before
    if passed <= 0:
        return problem(
            name, "the clock of intervals stands still", "Restart the machine, and report it."
        )
    return ok(
        name,
        "time passes. A virtual machine whose clocks all stop while it is paused is outside what "
        "lastcall can promise",
    )
