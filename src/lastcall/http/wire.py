"""The values on the wire, with the names of the HTTP API, and how core values become them.

Times are RFC 3339 in UTC; what is named `…_in` is whole seconds.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from lastcall.device import model as devices
from lastcall.events import EndReason
from lastcall.http.bodies import Unprinted
from lastcall.identity import model as people
from lastcall.identity.administration import Invitation as Invited
from lastcall.problems import EndedBy
from lastcall.sessions import endings, minting, model, rules
from lastcall.sessions.policy import Policy
from lastcall.stores.base import Reach

_SECOND: Final = timedelta(seconds=1)


class Device(msgspec.Struct, frozen=True):
    """What a session runs on, as far as its client says so."""

    type: Literal["desktop", "mobile", "tablet", "tv", "unknown"]
    os: str | None
    os_version: str | None
    browser: str | None
    browser_version: str | None
    label: str


class Location(msgspec.Struct, frozen=True):
    """An approximate place; `reason` says why it isn't known."""

    label: str
    reason: str | None
    city: str | None
    region: str | None
    country: str | None
    country_code: str | None


class User(msgspec.Struct, frozen=True):
    """A person."""

    id: str
    email: str | None
    name: str | None
    role: people.Role
    status: Literal["active", "suspended"]
    mfa: bool
    external_id: str | None
    active_sessions: int | None
    last_seen_at: datetime | None
    created_at: datetime
    invitation: "Invitation | UnsetType" = UNSET
    """With a user who was just added: the link, shown once."""


class Invitation(Unprinted, msgspec.Struct, frozen=True):
    """A link that works once, with which somebody chooses their password."""

    url: str
    expires_in: int


class UserList(msgspec.Struct, frozen=True):
    """Part of a list; `next` is what goes into `before` for the rest."""

    users: tuple[User, ...]
    next: str | None


class LogoutPreview(msgspec.Struct, frozen=True):
    """What logging a user out would end: sessions, the devices that they are on, and access tokens
    in time, the longest of which would run on for so long."""

    sessions: int
    devices: int
    access_tokens: int
    longest_expires_in: int | None


class Key(Unprinted, msgspec.Struct, frozen=True):
    """A service key in force."""

    id: str
    name: str
    scopes: tuple[people.Scope, ...]
    created_at: datetime
    key: str | UnsetType = UNSET
    """With a key that was just made: its text, shown once."""


class KeyList(msgspec.Struct, frozen=True):
    """Part of a list; `next` is what goes into `before` for the rest."""

    keys: tuple[Key, ...]
    next: str | None


class Session(msgspec.Struct, frozen=True):
    """One sign-in on one device or client. When it has ended, nothing says when it would have."""

    id: str
    current: bool
    device: Device
    location: Location
    ip: str | None
    client_type: model.ClientType
    name: str | None
    created_at: datetime
    last_active_at: datetime
    expires_at: datetime | None
    expires_in: int | None
    expires_by: Literal["inactivity", "absolute"] | None
    absolute_expires_at: datetime
    amr: tuple[str, ...]
    auth_time: datetime
    ended_at: datetime | None
    end_reason: EndReason | None
    ended_by: EndedBy | None
    user: User | UnsetType = UNSET
    """With the caller's own session: whose it is."""


class SessionList(msgspec.Struct, frozen=True):
    """Part of a list; `next` is what goes into `before` for the rest."""

    sessions: tuple[Session, ...]
    next: str | None


class Termination(msgspec.Struct, frozen=True):
    """How far an ending has come, and by when it is certain at the latest; `ended` sessions, of a
    whole account at least so many, where there were more than could be counted in two seconds."""

    id: str
    ended: int
    state: Literal["confirmed", "confirming"]
    certain_by: datetime | None
    certain_in: int | None
    verifiers: int
    acknowledged: int
    waited_ms: int


class Cookie(Unprinted, msgspec.Struct, frozen=True, kw_only=True):
    """A cookie to set in a browser as it stands; without `max_age` for as long as the browser
    runs."""

    name: str
    value: str
    max_age: int | None
    path: Literal["/"] = "/"
    secure: bool
    http_only: Literal[True] = True
    same_site: Literal["Lax"] = "Lax"


class Tokens(Unprinted, msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in or a refresh gives. Who is answered by cookies finds no token in here."""

    access_token: str | UnsetType = UNSET
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  a word of OAuth, no password
    expires_in: int
    refresh_token: str | UnsetType = UNSET
    refresh_expires_in: int
    session: Session
    user: User | UnsetType = UNSET
    """With a session that a service has begun: whose it is."""
    cookies: tuple[Cookie, ...] | UnsetType = UNSET
    """Where a service asked for cookies: those to set in the browser of its user."""
    termination: Termination | UnsetType | None = UNSET
    """With a change of password: the ending of the others."""


def session(
    value: model.Session,
    policy: Policy,
    now: datetime,
    *,
    current: bool,
    whose: User | UnsetType = UNSET,
) -> Session:
    """Write a session."""
    ending = rules.ending(value, policy, now)
    expires_at = None if ending else rules.expiry(value, policy)
    absolute = rules.absolute_expiry(value, policy)
    return Session(
        id=value.id,
        current=current,
        device=device(value.device),
        location=location(value.place),
        ip=value.ip,
        client_type=value.client.type,
        name=value.client.name,
        created_at=value.created_at,
        last_active_at=value.last_active_at,
        expires_at=expires_at,
        expires_in=seconds(expires_at - now) if expires_at else None,
        expires_by=("absolute" if expires_at == absolute else "inactivity") if expires_at else None,
        absolute_expires_at=absolute,
        amr=value.amr,
        auth_time=value.auth_time,
        ended_at=ending.at if ending else None,
        end_reason=ending.reason if ending else None,
        ended_by=EndedBy(ending.by.kind, ending.by.name) if ending else None,
        user=whose,
    )


def sessions(
    values: Iterable[model.Session], policy: Policy, now: datetime, current: str | None
) -> tuple[Session, ...]:
    """Write sessions, one of which is the caller's."""
    return tuple(session(value, policy, now, current=value.id == current) for value in values)


def user(value: people.User, active_sessions: int | None, last_seen_at: datetime | None) -> User:
    """Write a person."""
    return User(
        id=value.id,
        email=value.email,
        name=value.name,
        role=value.role,
        status="suspended" if value.status == "suspended" else "active",
        mfa=False,
        external_id=value.external_id,
        active_sessions=active_sessions,
        last_seen_at=last_seen_at,
        created_at=value.created_at,
    )


def profile(value: people.Profile) -> User:
    """Write a person as admins see them."""
    return user(value.user, value.active_sessions, value.last_seen_at)


def invitation(value: Invited, public_url: str) -> Invitation:
    """Write an invitation, as the link that somebody opens."""
    url = f"{public_url}/invitation?token={value.secret}"
    return Invitation(url, seconds(value.lifetime))


def logout_preview(value: Reach, now: datetime) -> LogoutPreview:
    """Write what logging a user out would end."""
    longest = seconds(value.longest - now) if value.longest else None
    return LogoutPreview(value.sessions, value.devices, value.access_tokens, longest)


def key(value: people.ServiceKey, text: str | UnsetType = UNSET) -> Key:
    """Write a service key; its text only as it is made."""
    return Key(value.id, value.name, value.scopes, value.created_at, text)


def termination(value: endings.Termination, now: datetime) -> Termination:
    """Write a termination. A confirmed one is certain already."""
    found = value.confirmation
    certain = found.certain_by
    return Termination(
        id=value.id,
        ended=value.ended,
        state=found.state,
        certain_by=certain,
        certain_in=None if certain is None else -(-(certain - now) // _SECOND),
        verifiers=found.verifiers,
        acknowledged=found.acknowledged,
        waited_ms=max(0, value.waited // timedelta(milliseconds=1)),
    )


def tokens(
    value: minting.Tokens,
    policy: Policy,
    *,
    in_cookies: bool,
    whose: User | UnsetType = UNSET,
    others: Termination | UnsetType | None = UNSET,
    cookies: tuple[Cookie, ...] | UnsetType = UNSET,
) -> Tokens:
    """Write tokens, or what is said of them where they travel in cookies (ASVS 3.3.4)."""
    now = rules.expiry(value.session, policy) - value.refresh_expires_in
    return Tokens(
        access_token=UNSET if in_cookies else value.access_token,
        expires_in=seconds(value.access_expires_in),
        refresh_token=UNSET if in_cookies else value.refresh_token,
        refresh_expires_in=seconds(value.refresh_expires_in),
        session=session(value.session, policy, now, current=True),
        user=whose,
        cookies=cookies,
        termination=others,
    )


def seconds(span: timedelta) -> int:
    """Give whole seconds, none of them too many."""
    return max(0, span // _SECOND)


def device(value: devices.Device) -> Device:
    """Write a device."""
    return Device(
        value.type, value.os, value.os_version, value.browser, value.browser_version, value.label
    )


def location(value: devices.Place) -> Location:
    """Write a place."""
    return Location(
        value.label,
        value.reason,
        value.city,
        value.region,
        value.country,
        value.country_code,
    )
