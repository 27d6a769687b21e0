"""Records on the wire: the entries of an audit log, and of somebody's activity."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from lastcall import audit
from lastcall.events import ActorKind
from lastcall.http import wire


class By(msgspec.Struct, frozen=True):
    """Who did something, by the name that they had then."""

    kind: ActorKind
    id: str | None
    name: str | None


class Target(msgspec.Struct, frozen=True):
    """What something was done to, by the name that it had then."""

    kind: audit.TargetKind
    id: str
    name: str | None


class Event(msgspec.Struct, frozen=True):
    """Something that happened: what, who did it to whom, and from which session, device, place and
    address, as far as they are known and the reader's to know."""

    id: str
    at: datetime
    type: audit.RecordType
    outcome: audit.Outcome
    actor: By
    target: Target | None
    session_id: str | None
    device: wire.Device | None
    location: wire.Location | None
    ip: str | None
    reason: str | None


class EventList(msgspec.Struct, frozen=True):
    """Part of a list, newest first; `next` is what goes into `before` for the rest."""

    events: tuple[Event, ...]
    next: str | None


def event(value: audit.Record) -> Event:
    """Write a record."""
    actor, target, origin = value.actor, value.target, value.origin
    return Event(
        id=f"r_{value.number}",
        at=value.at,
        type=value.type,
        outcome=value.outcome,
        actor=By(actor.kind, actor.id, actor.name),
        target=Target(target.kind, target.id, target.name) if target else None,
        session_id=origin.session_id,
        device=wire.device(origin.device) if origin.device else None,
        location=wire.location(origin.place) if origin.place else None,
        ip=origin.ip,
        reason=value.reason,
    )


def events(values: Iterable[audit.Record]) -> tuple[Event, ...]:
    """Write records."""
    return tuple(event(value) for value in values)
