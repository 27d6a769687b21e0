"""What clients saw of servers that were killed, and whether it can be true: a checker of histories.

A step is kept with when it began and ended, by one clock for all clients. Its outcome is `ok`,
`fail` (refused: it has changed nothing) or `info` (no answer came: it may have happened, or not).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Step:
    """One request of a client, about one session."""

    kind: Literal["sign-in", "use", "refresh", "terminate"]
    session: str
    outcome: Literal["ok", "fail", "info"]
    began: int
    ended: int
    shown: str = ""
    """The refresh token that a refresh shows."""
    given: str = ""
    """The one that it was given."""
    code: str = ""
    """Why it was refused."""

    @property
    def lives(self) -> bool:
        """Whether it shows that the session was alive at a moment between its begin and its end."""
        return self.outcome == "ok" and self.kind != "terminate"

    def before(self, other: "Step") -> bool:
        """Whether it was over when the other began."""
        return self.ended < other.began


def faults(history: Sequence[Step]) -> list[str]:
    """Tell what can't be: what came back, what was lost, and tokens with two successors."""
    sessions: defaultdict[str, list[Step]] = defaultdict(list)
    for step in history:
        sessions[step.session].append(step)
    return [*_twins(history), *(it for steps in sessions.values() for it in _impossible(steps))]


def _twins(history: Sequence[Step]) -> Iterator[str]:
    """Find tokens with two successors (I4)."""
    successors: dict[str, str] = {}
    for step in history:
        is_given = step.kind == "refresh" and step.outcome == "ok"
        if is_given and successors.setdefault(step.shown, step.given) != step.given:
            yield f"two successors: {step}"


def _impossible(steps: Sequence[Step]) -> Iterator[str]:
    """Find what contradicts itself in one session's steps."""
    endings = [step for step in steps if step.kind == "terminate" and step.outcome != "fail"]
    certain = [
        step
        for step in steps
        if step.code == "session_ended" or (step.kind == "terminate" and step.outcome == "ok")
    ]
    for step in steps:
        if step.lives and any(end.before(step) for end in certain):
            yield f"came back: {step}"  # I2, and I3 of terminations
        if step.kind == "terminate" or step.outcome != "fail" or step.code == "unavailable":
            continue
        if step.code != "session_ended":
            yield f"lost: {step}"  # I3 of sign-ins and rotations
        elif not any(_may_have_ended(end, step, steps) for end in endings):
            yield f"ended by nobody: {step}"  # I3, I5


def _may_have_ended(end: Step, step: Step, steps: Sequence[Step]) -> bool:
    """Tell whether a termination may be what a refusal tells of: one without an answer is not, when
    the session was alive after it."""
    return not step.before(end) and not any(
        end.before(alive) and alive.before(step) for alive in steps if alive.lives
    )
