"""A check: what was looked at, what was found, and how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lastcall.errors import Error

State = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the answer. `advice` is there for a warning and a problem: one sentence."""

    name: str
    state: State
    found: str
    advice: str | None = None


def ok(name: str, found: str) -> Check:
    """All is well, or nothing that can be told speaks against it."""
    return Check(name, "ok", found)


def warning(name: str, found: str, advice: str) -> Check:
    """It works, and not as well as it should."""
    return Check(name, "warning", found, advice)


def problem(name: str, found: str, advice: str) -> Check:
    """It doesn't work, or it isn't safe."""
    return Check(name, "problem", found, advice)


def skipped(names: Iterable[str], because: str) -> tuple[Check, ...]:
    """Say of checks that they can't be made, and why."""
    return tuple(Check(name, "skipped", f"not checked: {because}") for name in names)


def failed(name: str, error: Error, advice: str) -> Check:
    """Say what an error says. Its own advice stands after a semicolon; else `advice` does."""
    found, _, own = str(error).partition("; ")
    return problem(name, found, sentence(own or advice))


def sentence(text: str) -> str:
    """Write a text as a sentence; one that ends in a command has no full stop to copy with it."""
    return text[:1].upper() + text[1:]
