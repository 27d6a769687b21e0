"""The event log's words: positions, and what can happen (instant-logout, rules 1 to 6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Self

from lastcall.ids import AccountId, SessionId, UserId

EventKind = Literal[
    "timeline_opened",
    "session_ended",
    "user_ended",
    "account_ended",
    "session_stale",
    "user_stale",
    "key_published",
    "key_revoked",
]
"""`…_stale`: tokens from before the event need a refresh."""

EndReason = Literal[
    "signed_out",
    "terminated_by_user",
    "terminated_by_admin",
    "terminated_by_service",
    "password_changed",
    "password_reset",
    "factor_changed",
    "expired_inactive",
    "expired_absolute",
    "refresh_reuse",
    "user_suspended",
    "user_deleted",
    "role_changed",
    "policy_changed",
    "session_limit",
    "binding_failed",
    "device_blocked",
    "unusual",
    "reported",
    "revoked",
    "restored",
]
"""Why a session ended (http-api.md)."""

ActorKind = Literal["self", "user", "admin", "service", "system"]


class Timeline(NamedTuple):
    """A stretch of the log between failovers: numbers order, the random name tells twins apart."""

    number: int
    name: str

    def __str__(self) -> str:
        return f"{self.number}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form that `str` writes; raises ValueError."""
        number, _, name = text.partition(".")
        if not (number.isascii() and number.isdigit() and len(number) <= 9 and name):
            raise ValueError("not a timeline")
        return cls(int(number), name)


class Position(NamedTuple):
    """Where in the log something happened: that of the last event read.

    `seq` counts events from 1, without gaps, in the order of their commits (rule 1).
    """

    epoch: str
    timeline: Timeline
    seq: int


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: the session itself, its user elsewhere, an admin, a service, lastcall.

    `name` is for people and may be shown to the session's user.
    """

    kind: ActorKind
    id: str | None = None
    name: str | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log, at `position`. What it covers began before that position (rule 3)."""

    position: Position
    kind: EventKind
    at: datetime
    account_id: AccountId | None = None
    user_id: UserId | None = None
    session_id: SessionId | None = None
    spared: SessionId | None = None
    reason: EndReason | None = None
    actor: Actor = SYSTEM
    ended: int = 0
    """How many active sessions it ended; of a whole account at least so many, where there were more
    than could be counted in two seconds."""
    key_id: str | None = None
    """The signing key that it publishes or revokes (rule 18)."""
