"""Accounts, users and service keys: frozen values, as the store keeps them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lastcall.ids import AccountId, KeyId, UserId

Role = Literal["owner", "admin", "member"]
UserStatus = Literal["active", "suspended", "removed"]
"""Of somebody removed nothing is kept but an id, as long as their ended sessions are shown."""
Scope = Literal["verify", "sessions", "metrics"]
SingleUsePurpose = Literal["setup", "invitation"]


@dataclass(frozen=True, slots=True)
class Account:
    """The organisation that users belong to."""

    id: AccountId
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person. One who signs in here has an e-mail address; one whom an application signs in by
    itself has an `external_id`."""

    id: UserId
    account_id: AccountId
    email: str | None
    email_key: str | None
    """The address as it is compared: normalised and case-folded."""
    external_id: str | None
    name: str | None
    role: Role
    status: UserStatus
    created_at: datetime
    password_changed_at: datetime | None = None
    """None for somebody who has no password here."""
    stale_seq: int = 0
    """Access tokens from before this place in the log need a refresh."""

    @property
    def label(self) -> str:
        """What to call them: their name, else their address, else an application's id."""
        return self.name or self.email or self.external_id or self.id


@dataclass(frozen=True, slots=True)
class Profile:
    """A user as admins see them: how many active sessions, and when one was last active."""

    user: User
    active_sessions: int
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """What a service proves itself with, kept as a hash; it belongs to one account."""

    id: KeyId
    account_id: AccountId
    name: str
    scopes: tuple[Scope, ...]
    secret_hash: bytes = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SingleUse:
    """The secret of a link that works once, kept as a hash."""

    secret_hash: bytes = field(repr=False)
    purpose: SingleUsePurpose
    user_id: UserId | None
    expires_at: datetime
