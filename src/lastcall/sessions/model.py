"""What a session is: frozen values, as the store keeps them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from lastcall.device.model import Device, Place
from lastcall.events import Actor, EndReason, Position
from lastcall.ids import AccountId, KeyId, SessionId, UserId

ClientType = Literal["browser", "native", "service"]


@dataclass(frozen=True, slots=True)
class Client:
    """What signed in: its type, and the name that it gave itself."""

    type: ClientType
    name: str | None = None
    shared_device: bool = False
    """A shared computer: the cookies end with the browser."""
    service_key: KeyId | None = None
    """The key of the service that started the session, which vouches for its user."""

    @property
    def id(self) -> str:
        """The OAuth `client_id` of its tokens (RFC 9068, section 2.2)."""
        return self.service_key or self.type


@dataclass(frozen=True, slots=True)
class Lineage:
    """The refresh tokens of a session: the current one and its parent, both as hashes.

    `sealed_successor` is the current secret, readable only with the parent's and with the server's
    key; None where the parent is no longer answered (re-authentication).
    """

    generation: int
    secret_hash: bytes = field(repr=False)
    rotated_at: datetime
    previous_hash: bytes | None = field(default=None, repr=False)
    sealed_successor: bytes | None = field(default=None, repr=False)
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended. `seq` is its event's place in the log; None while nobody wrote one,
    which is so for a session that ran out by itself."""

    reason: EndReason
    at: datetime
    by: Actor
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in on one device or client, until it ends. Times are aware and in UTC."""

    id: SessionId
    user_id: UserId
    account_id: AccountId
    begun: Position
    """The position that its sign-in read at its start, with the password hash (rule 3)."""
    created_at: datetime
    last_active_at: datetime
    idle_expires_at: datetime
    absolute_expires_at: datetime
    auth_time: datetime
    amr: tuple[str, ...]
    """How the user proved themselves (RFC 8176)."""
    client: Client
    device: Device
    place: Place
    ip: str | None
    lineage: Lineage
    stale_seq: int = 0
    """Access tokens from before this place in the log need a refresh."""
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the client sent as its session began, kept raw so that it can be read anew."""

    user_agent: str | None
    hints: dict[str, str]
    ip: str | None
    device_hash: bytes | None = field(default=None, repr=False)
    """Hash of the device cookie that the browser holds; None for other clients."""
