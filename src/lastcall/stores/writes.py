"""What is written: every change to a store is one of these values, with what it rests on.

How each is applied stands in the modules named `apply_…`.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from lastcall.audit import Record
from lastcall.events import Actor, EndReason, Position, Timeline
from lastcall.identity.model import (
    Account,
    Role,
    ServiceKey,
    SingleUse,
    SingleUsePurpose,
    User,
)
from lastcall.ids import AccountId, KeyId, NodeId, SessionId, UserId
from lastcall.keys import StoredKey
from lastcall.limits import Slot
from lastcall.sessions.model import Session, SignIn
from lastcall.sessions.policy import Policy
from lastcall.stores.queries import Key, PurgeKind


@dataclass(frozen=True, slots=True)
class AddAccount:
    """A new account. Conflict where its name is taken. Guard: with `first`, there is none yet."""

    account: Account
    first: bool = False


@dataclass(frozen=True, slots=True)
class AddUser:
    """A new user. Conflict where the e-mail address or the external id is taken. Guard: `owned`
    tells whether the account has an owner; None where it doesn't matter."""

    user: User
    password_hash: str | None = field(repr=False)
    owned: bool | None = None


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Another password; guarded by when the one that was read was set."""

    user_id: UserId
    password_hash: str = field(repr=False)
    at: datetime
    previous_at: datetime | None


@dataclass(frozen=True, slots=True)
class RequirePassword:
    """Changes nothing. Guard: the password is still the one that was verified, as told by when it
    was set."""

    user_id: UserId
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Rehash:
    """The same password under newer parameters. Does nothing where the hash has changed."""

    user_id: UserId
    old_hash: str = field(repr=False)
    new_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddRecord:
    """A record in the audit log, with what it tells."""

    record: Record


@dataclass(frozen=True, slots=True)
class CountUnknownSignIn:
    """Somebody tried to sign in as nobody. The same work as a record, and nothing grows."""


@dataclass(frozen=True, slots=True)
class SetName:
    """Another name for a user; guarded by their being there."""

    user_id: UserId
    name: str | None


@dataclass(frozen=True, slots=True)
class SetRole:
    """Another role for a user, whose access tokens then need a refresh (event d). Guard: the role
    is still the one that was read. Conflict where the account would be left without an owner."""

    user_id: UserId
    account_id: AccountId
    role: Role
    previous: Role
    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """Remove a user: their words, password and links go, their id stays as long as their ended
    sessions are shown. To be committed with an `EndUser`. Guard: they are there. Conflict where the
    account would be left without an owner."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Suspend or resume a user; guarded by the status being the other one. With `keeps_owner`,
    Conflict where the account would be left without an active owner."""

    user_id: UserId
    status: Literal["active", "suspended"]
    keeps_owner: bool = False


@dataclass(frozen=True, slots=True)
class Take:
    """One attempt more in each slot. RateLimited where one has no more: none is counted then."""

    slots: tuple[Slot, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class GiveBack:
    """One attempt less in each slot, for one that was taken and was none."""

    slots: tuple[Slot, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class AddSingleUse:
    """A link's secret. It replaces the unused ones of the same purpose and user."""

    secret: SingleUse


@dataclass(frozen=True, slots=True)
class UseUp:
    """Use a link's secret; guarded by its being unused and in time."""

    secret_hash: bytes = field(repr=False)
    purpose: SingleUsePurpose
    at: datetime


@dataclass(frozen=True, slots=True)
class AddServiceKey:
    """A new service key."""

    key: ServiceKey


@dataclass(frozen=True, slots=True)
class RevokeServiceKey:
    """End a service key of an account; guarded by its being there and in force."""

    key_id: KeyId
    account_id: AccountId
    at: datetime


@dataclass(frozen=True, slots=True)
class PublishKey:
    """A new signing key, with its event; guarded by `newest` still being the newest."""

    key: StoredKey
    newest: str | None


@dataclass(frozen=True, slots=True)
class DropKeys:
    """Remove signing keys whose last token has run out, each with its event, so that verifiers
    forget it. Does nothing for one that is gone already."""

    ids: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class SetIssuer:
    """Name the issuer of the database's tokens, once; nothing where it has one."""

    issuer: str


@dataclass(frozen=True, slots=True)
class Begin:
    """A new session. Guards: its user is active, no event after the session's begin has ended its
    user's or account's sessions, and the password is still the one that was verified, as told by
    when it was set (None: the user was not proved by a password)."""

    session: Session
    sign_in: SignIn
    password_changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rotate:
    """The session's next generation, with its new times, place and proof. Guards: the session
    lives and is of the generation before."""

    session: Session


@dataclass(frozen=True, slots=True)
class CountRepeat:
    """One more repeat of a successor. Guards: the session lives, is of this generation, and has
    fewer than `limit` repeats."""

    session_id: SessionId
    generation: int
    limit: int


@dataclass(frozen=True, slots=True)
class MarkStale:
    """The session's access tokens from before this event need a refresh (event d)."""

    session_id: SessionId
    account_id: AccountId
    user_id: UserId
    at: datetime


@dataclass(frozen=True, slots=True)
class EndSession:
    """End one session. Guard: it has not ended. One that the store does not know gets its event all
    the same (rule 5)."""

    session_id: SessionId
    user_id: UserId
    account_id: AccountId
    reason: EndReason
    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class EndUser:
    """End all of a user's sessions that began before, but the spared one, by one event. Guard: the
    spared session lives (a second exception never lifts an earlier event)."""

    user_id: UserId
    account_id: AccountId
    spared: SessionId | None
    reason: EndReason
    by: Actor
    at: datetime
    policy: Policy
    """Tells which sessions had run out already, for the count."""


@dataclass(frozen=True, slots=True)
class EndAccount:
    """End all sessions of an account that began before, but the spared one, by one event. Guard:
    the spared session lives."""

    account_id: AccountId
    spared: SessionId | None
    reason: EndReason
    by: Actor
    at: datetime
    ended: int
    """How many there were, as counted before: under the log's lock it would hold up every other
    ending. At least so many, where there were more than could be counted in two seconds."""


@dataclass(frozen=True, slots=True)
class RegisterNode:
    """A row for a process that serves, with beat 0 and no position. Its commit holds nothing else
    and grants nothing (rule 8). Guard: there is no row of this id."""

    id: NodeId
    lease: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class OpenEpoch:
    """Go on with another log, as who restores a backup must: what came after it is not known here,
    and no position of it means anything (instant-logout, rule 17). The rows of all nodes go."""

    epoch: str
    timeline: Timeline
    at: datetime


@dataclass(frozen=True, slots=True)
class SettleTimeline:
    """Call a timeline settled: whoever says so has waited until every lease of before it has run
    out (rule 6). Guard: the log is on it still."""

    epoch: str
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class MakeDurable:
    """Change nothing: once this commit is answered, all that was read before it is durable (rule
    10). Where a standby confirms commits, one that is visible can still be lost."""


@dataclass(frozen=True, slots=True)
class RenewNode:
    """Move a node's beat by one, and tell what it has acknowledged: None where one of its verifiers
    has acknowledged nothing; how many verifiers have a lease of it, and, in words of its own, about
    it and them. `known` is all that it has read. Guards: its row is there, and the log contains
    both positions (rules 6 and 8). Where one does not hold, the node is fenced."""

    id: NodeId
    known: Position
    acked: Position | None = None
    verifiers: int = 0
    about: str = ""


@dataclass(frozen=True, slots=True)
class RemoveNode:
    """Remove the row of a node that is gone. Guard: its beat is still this one (rule 10)."""

    id: NodeId
    beat: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete rows of a kind for good, with what belongs to them alone. Guard: each is there, and
    was over before the moment.

    - sessions: ended before, or run out by the times in their own rows;
    - users: removed, without a session;
    - links: used or run out before;
    - service keys: revoked before;
    - records: made before;
    - events: they and the next one happened before, and no session that is kept was ended by them.
      Opening events are never forgotten. The floor rises to the newest one dropped (rule 4).
    """

    kind: PurgeKind
    keys: tuple[Key, ...]
    before: datetime


Write = (
    AddRecord
    | CountUnknownSignIn
    | Take
    | GiveBack
    | SetName
    | SetRole
    | RemoveUser
    | EndAccount
    | AddAccount
    | AddUser
    | SetPassword
    | RequirePassword
    | Rehash
    | SetStatus
    | AddSingleUse
    | UseUp
    | AddServiceKey
    | RevokeServiceKey
    | PublishKey
    | DropKeys
    | SetIssuer
    | Begin
    | Rotate
    | CountRepeat
    | MarkStale
    | EndSession
    | EndUser
    | RegisterNode
    | RenewNode
    | SettleTimeline
    | MakeDurable
    | OpenEpoch
    | RemoveNode
    | Drop
)
