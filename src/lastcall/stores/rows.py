"""Rows to values and back: the only place that knows how a column writes what the core means."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, cast

import msgspec

from lastcall.audit import Origin, Outcome, Record, RecordType, Target, TargetKind
from lastcall.device.model import Device, Place
from lastcall.events import (
    SYSTEM,
    Actor,
    ActorKind,
    EndReason,
    Event,
    EventKind,
    Position,
    Timeline,
)
from lastcall.identity.model import (
    Account,
    Profile,
    Role,
    Scope,
    ServiceKey,
    SingleUse,
    User,
    UserStatus,
)
from lastcall.identity.names import fold
from lastcall.ids import AccountId, KeyId, SessionId, UserId
from lastcall.keys import StoredKey
from lastcall.sessions.model import Client, ClientType, Ending, Lineage, Session, SignIn


class Row(Protocol):
    """A row, by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401  a column holds what its table says
        """Give a column's value."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_device = msgspec.json.Decoder(Device)
_place = msgspec.json.Decoder(Place)
_names = msgspec.json.Decoder(tuple[str, ...])


def micros(moment: datetime) -> int:
    """Write a time."""
    return (moment - _EPOCH) // _MICROSECOND


def length(span: timedelta) -> int:
    """Write a length of time."""
    return span // _MICROSECOND


def moment(value: int) -> datetime:
    """Read a time."""
    return _EPOCH + timedelta(microseconds=value)


def _maybe_micros(value: datetime | None) -> int | None:
    return None if value is None else micros(value)


def _maybe_moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def position_of(row: Row) -> Position:
    """Read the position that a row of the log or of the events holds."""
    timeline = Timeline(row["timeline_number"], row["timeline_name"])
    return Position(row["epoch"], timeline, row["seq"])


def event_of(row: Row) -> Event:
    """Read an event."""
    return Event(
        position=position_of(row),
        kind=cast(EventKind, row["kind"]),
        at=moment(row["at"]),
        account_id=row["account_id"],
        user_id=row["user_id"],
        session_id=row["session_id"],
        spared=row["spared"],
        reason=row["reason"],
        actor=Actor(cast(ActorKind, row["actor_kind"]), row["actor_id"], row["actor_name"]),
        ended=row["ended"],
        key_id=row["key_id"],
    )


def event_row(event: Event) -> dict[str, object]:
    """Write an event."""
    return {
        "seq": event.position.seq,
        "epoch": event.position.epoch,
        "timeline_number": event.position.timeline.number,
        "timeline_name": event.position.timeline.name,
        "kind": event.kind,
        "at": micros(event.at),
        "account_id": event.account_id,
        "user_id": event.user_id,
        "session_id": event.session_id,
        "spared": event.spared,
        "reason": event.reason,
        "actor_kind": event.actor.kind,
        "actor_id": event.actor.id,
        "actor_name": event.actor.name,
        "ended": event.ended,
        "key_id": event.key_id,
    }


def session_of(row: Row) -> Session:
    """Read a session, joined with the event that ended it (`end_…`)."""
    return Session(
        id=SessionId(row["id"]),
        user_id=UserId(row["user_id"]),
        account_id=AccountId(row["account_id"]),
        begun=Position(
            row["begun_epoch"],
            Timeline(row["begun_timeline_number"], row["begun_timeline_name"]),
            row["begun_seq"],
        ),
        created_at=moment(row["created_at"]),
        last_active_at=moment(row["last_active_at"]),
        idle_expires_at=moment(row["idle_expires_at"]),
        absolute_expires_at=moment(row["absolute_expires_at"]),
        auth_time=moment(row["auth_time"]),
        amr=_names.decode(row["amr"]),
        client=Client(
            cast(ClientType, row["client_type"]),
            row["client_name"],
            bool(row["shared_device"]),
            row["service_key"],
        ),
        device=_device.decode(row["device"]),
        place=_place.decode(row["place"]),
        ip=row["ip"],
        lineage=Lineage(
            generation=row["generation"],
            secret_hash=row["secret_hash"],
            rotated_at=moment(row["rotated_at"]),
            previous_hash=row["previous_hash"],
            sealed_successor=row["sealed_successor"],
            repeats=row["repeats"],
        ),
        stale_seq=row["stale_seq"],
        ending=_ending_of(row),
    )


def _ending_of(row: Row) -> Ending | None:
    if row["end_seq"] is None:
        if not row["end_written"]:
            return None
        # What ended it is not known any more: it has ended all the same.
        return Ending("revoked", moment(row["last_active_at"]), SYSTEM)
    idle, absolute = row["idle_expires_at"], row["absolute_expires_at"]
    if row["ended_seq"] is None and row["end_at"] >= min(idle, absolute):
        # It had run out, unnoticed, before an event that ends all of a user's: that end stands.
        reason: EndReason = "expired_absolute" if absolute <= idle else "expired_inactive"
        return Ending(reason, moment(min(idle, absolute)), SYSTEM, row["end_seq"])
    return Ending(
        cast(EndReason, row["end_reason"]),
        moment(row["end_at"]),
        Actor(cast(ActorKind, row["end_actor_kind"]), row["end_actor_id"], row["end_actor_name"]),
        row["end_seq"],
    )


def session_row(session: Session) -> dict[str, object]:
    """Write a new session."""
    return {
        "id": session.id,
        "user_id": session.user_id,
        "account_id": session.account_id,
        "begun_epoch": session.begun.epoch,
        "begun_timeline_number": session.begun.timeline.number,
        "begun_timeline_name": session.begun.timeline.name,
        "begun_seq": session.begun.seq,
        "created_at": micros(session.created_at),
        "client_type": session.client.type,
        "client_name": session.client.name,
        "shared_device": session.client.shared_device,
        "service_key": session.client.service_key,
        "device": _json(session.device),
        "stale_seq": session.stale_seq,
        "ended_seq": None,
        **rotation_row(session),
    }


ROTATION_COLUMNS = (
    "last_active_at",
    "idle_expires_at",
    "absolute_expires_at",
    "auth_time",
    "amr",
    "place",
    "ip",
    "generation",
    "secret_hash",
    "rotated_at",
    "previous_hash",
    "sealed_successor",
    "repeats",
)
"""What a rotation writes, and no index holds."""


def rotation_row(session: Session) -> dict[str, object]:
    """Write what a rotation changes."""
    lineage = session.lineage
    return {
        "last_active_at": micros(session.last_active_at),
        "idle_expires_at": micros(session.idle_expires_at),
        "absolute_expires_at": micros(session.absolute_expires_at),
        "auth_time": micros(session.auth_time),
        "amr": _json(session.amr),
        "place": _json(session.place),
        "ip": session.ip,
        "generation": lineage.generation,
        "secret_hash": lineage.secret_hash,
        "rotated_at": micros(lineage.rotated_at),
        "previous_hash": lineage.previous_hash,
        "sealed_successor": lineage.sealed_successor,
        "repeats": lineage.repeats,
    }


def sign_in_row(session_id: SessionId, sign_in: SignIn) -> dict[str, object]:
    """Write the raw evidence of a session's beginning."""
    return {
        "session_id": session_id,
        "user_agent": sign_in.user_agent,
        "hints": _json(sign_in.hints),
        "ip": sign_in.ip,
        "device_hash": sign_in.device_hash,
    }


def account_of(row: Row) -> Account:
    """Read an account."""
    return Account(AccountId(row["id"]), row["name"], moment(row["created_at"]))


USER_COLUMNS = (
    "id",
    "account_id",
    "email",
    "email_key",
    "external_id",
    "name",
    "role",
    "status",
    "created_at",
    "password_changed_at",
    "stale_seq",
)
"""What `user_of` reads."""


def user_of(row: Row, prefix: str = "") -> User:
    """Read a user; `prefix` is that of the columns in a join."""
    return User(
        id=UserId(row[prefix + "id"]),
        account_id=AccountId(row[prefix + "account_id"]),
        email=row[prefix + "email"],
        email_key=row[prefix + "email_key"],
        external_id=row[prefix + "external_id"],
        name=row[prefix + "name"],
        role=cast(Role, row[prefix + "role"]),
        status=cast(UserStatus, row[prefix + "status"]),
        created_at=moment(row[prefix + "created_at"]),
        password_changed_at=_maybe_moment(row[prefix + "password_changed_at"]),
        stale_seq=row[prefix + "stale_seq"],
    )


def user_row(user: User, password_hash: str | None) -> dict[str, object]:
    """Write a new user."""
    return {
        "id": user.id,
        "account_id": user.account_id,
        "email": user.email,
        "email_key": user.email_key,
        "external_id": user.external_id,
        "name": user.name,
        "role": user.role,
        "status": user.status,
        "password_hash": password_hash,
        "password_changed_at": _maybe_micros(user.password_changed_at),
        "created_at": micros(user.created_at),
        "ended_seq": 0,
        "ended_spared": None,
        "stale_seq": user.stale_seq,
        "search": search_text(user.email, user.name, user.external_id),
    }


def search_text(*words: str | None) -> str:
    """Give what a user is searched by."""
    return fold("\n".join(filter(None, words)))


def profile_of(row: Row) -> Profile:
    """Read a user with what their sessions say of them."""
    return Profile(user_of(row), row["active_sessions"], _maybe_moment(row["last_seen_at"]))


def record_of(row: Row) -> Record:
    """Read a record of the audit log."""
    target = None
    if row["target_kind"] is not None:
        target = Target(cast(TargetKind, row["target_kind"]), row["target_id"], row["target_name"])
    device, place = row["device"], row["place"]
    return Record(
        type=cast(RecordType, row["type"]),
        at=moment(row["at"]),
        account_id=row["account_id"],
        user_id=row["user_id"],
        actor=Actor(cast(ActorKind, row["actor_kind"]), row["actor_id"], row["actor_name"]),
        target=target,
        origin=Origin(
            row["session_id"],
            None if device is None else _device.decode(device),
            None if place is None else _place.decode(place),
            row["ip"],
        ),
        outcome=cast(Outcome, row["outcome"]),
        reason=row["reason"],
        number=row["number"],
    )


def record_row(record: Record) -> dict[str, object]:
    """Write a new record of the audit log."""
    actor, target, origin = record.actor, record.target, record.origin
    return {
        "at": micros(record.at),
        "type": record.type,
        "outcome": record.outcome,
        "reason": record.reason,
        "account_id": record.account_id,
        "user_id": record.user_id,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "target_kind": target.kind if target else None,
        "target_id": target.id if target else None,
        "target_name": target.name if target else None,
        "session_id": origin.session_id,
        "device": _json(origin.device) if origin.device else None,
        "place": _json(origin.place) if origin.place else None,
        "ip": origin.ip,
    }


def service_key_of(row: Row) -> ServiceKey:
    """Read a service key."""
    return ServiceKey(
        KeyId(row["id"]),
        AccountId(row["account_id"]),
        row["name"],
        cast("tuple[Scope, ...]", _names.decode(row["scopes"])),
        row["secret_hash"],
        moment(row["created_at"]),
    )


def service_key_row(key: ServiceKey) -> dict[str, object]:
    """Write a new service key."""
    return {
        "id": key.id,
        "account_id": key.account_id,
        "name": key.name,
        "scopes": _json(key.scopes),
        "secret_hash": key.secret_hash,
        "created_at": micros(key.created_at),
        "revoked_at": None,
    }


def signing_key_of(row: Row) -> StoredKey:
    """Read a signing key."""
    return StoredKey(row["id"], moment(row["created_at"]), moment(row["signs_from"]), row["sealed"])


def single_use_of(row: Row) -> SingleUse:
    """Read the secret of a link."""
    user_id = row["user_id"]
    return SingleUse(
        row["secret_hash"],
        row["purpose"],
        None if user_id is None else UserId(user_id),
        moment(row["expires_at"]),
    )
