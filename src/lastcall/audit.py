"""The audit log's words: everything that is recorded, on one page (ASVS 16.2.1, 16.3.1 to 16.3.3).

A record says who did what, to whom, when, from which session, device, place and address, with what
outcome and why. It is written in the transaction of what it tells, never changed, and holds no
secret. A user's activity is the records that concern them; an account's audit log is all of its.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, get_args

from lastcall.device.model import Device, Place
from lastcall.events import SYSTEM, Actor
from lastcall.ids import AccountId, SessionId, UserId

RecordType = Literal[
    # Sessions: how they begin, go on and end.
    "session.sign_in",
    "session.reauthenticate",
    "session.move",
    "session.sign_out",
    "session.terminate",
    "session.terminate_others",
    "session.report",
    "session.reuse",
    "session.expire",
    # Users: what they are, and all of their sessions at once.
    "user.add",
    "user.invite",
    "user.accept_invitation",
    "user.change_password",
    "user.rename",
    "user.change_role",
    "user.suspend",
    "user.resume",
    "user.remove",
    "user.logout",
    # Accounts, keys and the audit log itself.
    "account.add",
    "account.logout",
    "key.create",
    "key.revoke",
    "signing_key.rotate",
    "signing_key.revoke",
    "audit.export",
    "audit.purge",
]
"""What can be recorded. `session.move`: it was used from another address. `session.reuse`: a
refresh token was shown that had been used up (RFC 9700, 4.14.2)."""

TYPES: Final[tuple[RecordType, ...]] = get_args(RecordType)

Outcome = Literal["success", "failure"]
TargetKind = Literal["account", "user", "session", "key", "signing_key"]

FAILURES: Final = ("invalid_credentials", "user_suspended")
"""Why something failed, beside the end reasons of `events`."""

UNUSUAL: Final[tuple[RecordType, ...]] = ("session.reuse", "session.report")
"""What wants a look whenever it happens, as everything does that has failed."""


@dataclass(frozen=True, slots=True)
class Target:
    """What something was done to, with its name as it was then."""

    kind: TargetKind
    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """From where something is done: the session, its device, the place and the address.

    `name` is that of the person or program, for people.
    """

    session_id: SessionId | None = None
    device: Device | None = None
    place: Place | None = None
    ip: str | None = None
    name: str | None = None


NOWHERE: Final = Origin()
"""What lastcall does by itself, and what is done on its own machine."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the audit log. `number` is its place, given by the store."""

    type: RecordType
    at: datetime
    account_id: AccountId | None
    user_id: UserId | None
    """Whose activity it is part of: the user concerned, else the one who did it."""
    actor: Actor = SYSTEM
    target: Target | None = None
    origin: Origin = NOWHERE
    outcome: Outcome = "success"
    reason: str | None = None
    """An end reason of `events`, or one of `FAILURES`."""
    number: int = 0


def doer(by: Actor, user_id: UserId | None, origin: Origin) -> Actor:
    """Name who did something. A session's own user is named as a person: what is kept with an
    ending names their device."""
    if by.kind in ("self", "user"):
        return Actor("user", by.id or user_id, origin.name)
    return replace(by, name=by.name or origin.name)


def as_seen_by(record: Record, user_id: UserId) -> Record:
    """Give a record as the user whom it concerns may see it. What an admin or a service did says
    who, but not from which session, device, place and address: these are theirs. A session that a
    service began is the user's own.
    """
    origin, target = record.origin, record.target
    another = record.actor.kind in ("admin", "service") and record.actor.id != user_id
    own = origin.session_id is not None and target is not None and target.id == origin.session_id
    return replace(record, origin=NOWHERE) if another and not own else record
