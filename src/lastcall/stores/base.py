"""What a store must do. One suite, `tests/contract`, holds every implementation to it.

**Reading.** Each read is one snapshot. What it returns may be out of date the next moment, so
nothing is decided for good by a read: decisions become writes, and writes carry guards.

**Writing.** `commit` is the only way to change anything. It applies its writes in their order, in
one transaction: all of them or none. Each write names what it rests on (a generation, a liveness,
a value that was read); where that no longer holds, nothing is changed and `LostRace` is raised,
and the caller reads and decides again, once. Where an `actor` is given, `commit` checks in the
same transaction that this session lives: not ended, its user active, and begun at or after the last
event that ended its user's or its account's sessions unless spared by it (instant-logout, rule 2).
If it does not, `LostRace`.

**The log.** An event gets its place under a lock that is held until its transaction is committed,
so that the order of `seq` is the order of commits, without gaps (rule 1). State and event commit
together. `Committed.position` is the log's end as the transaction saw it with its checks, its own
events included: a token that it leads to carries that position.

**Durable.** When `commit` returns, its writes survive the loss of power. When it raises
`Unavailable`, nothing was changed, unless the message says that the outcome is unknown.

**Several processes** may have the same store open; none is privileged, and nothing is cached
across calls. A cancelled caller changes nothing about what is committed.

Raised everywhere: `Unavailable` when the database can't be reached, is full, or is too busy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from lastcall.audit import Outcome, Record, RecordType
from lastcall.events import Actor, EndReason, Event, Position
from lastcall.identity.model import (
    Account,
    Profile,
    Role,
    ServiceKey,
    SingleUse,
    SingleUsePurpose,
    User,
    UserStatus,
)
from lastcall.ids import AccountId, KeyId, SessionId, UserId
from lastcall.keys import StoredKey
from lastcall.sessions.model import Session, SignIn
from lastcall.sessions.policy import Policy

# What is read.


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The log's end, and the floor: the place of the newest event that was forgotten (rule 4)."""

    position: Position
    floor: int


@dataclass(frozen=True, slots=True)
class Found:
    """A session with its user, and the log's end, all of one snapshot."""

    session: Session
    user: User
    log: LogEnd


@dataclass(frozen=True, slots=True)
class SignInStart:
    """What a sign-in reads first: the user, the password's hash, and the position (rule 3)."""

    user: User
    password_hash: str | None = field(repr=False)
    position: Position


@dataclass(frozen=True, slots=True)
class Installation:
    """What a database was born with. `issuer` is None until a server has started on it."""

    cell: str
    check: bytes
    issuer: str | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page: lists go on after it."""

    at: datetime
    id: str


SessionFilter = Literal["active", "ended"]


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """Which of a user's sessions: those that live at `now` under the policy, or those that don't;
    after a cursor, last active since a moment, without one of them."""

    user_id: UserId
    which: SessionFilter
    policy: Policy
    now: datetime
    limit: int = 50
    before: Cursor | None = None
    since: datetime | None = None
    without: SessionId | None = None


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Which of an account's users, newest first: those whose e-mail address, name or external id
    holds a text, after an id. `policy` and `now` tell which of their sessions live."""

    account_id: AccountId
    policy: Policy
    now: datetime
    limit: int = 50
    before: UserId | None = None
    text: str = ""
    """As `users.search` folds it; "" is everybody."""
    external_id: str | None = None
    user_id: UserId | None = None


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which records, newest first: an account's, or those that concern a user; after a number."""

    account_id: AccountId | None = None
    user_id: UserId | None = None
    limit: int = 50
    before: int | None = None
    types: tuple[RecordType, ...] = ()
    outcome: Outcome | None = None
    unusual: bool = False
    """Only what failed and what is of a type of `audit.UNUSUAL`."""
    people: tuple[str, ...] | None = None
    """The ids of who did it or whom it concerns, any of them; None is everybody."""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What logging a user out would end: sessions, the devices that they are on, and access tokens
    that are still in time, with the moment at which the last of these would have run out."""

    sessions: int
    devices: int
    access_tokens: int
    longest: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody whose pages show something new."""

    type: RecordType
    account_id: AccountId | None
    user_id: UserId | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What has been recorded since a number, oldest first, and the number to go on from."""

    number: int
    changes: tuple[Change, ...]


# What is written.


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
class AddSingleUse:
    """A link's secret. It replaces the unused ones of the same purpose and user."""

    secret: SingleUse


@dataclass(frozen=True, slots=True)
class UseUp:
    """Use a link's secret; guarded by its being unused and in time."""

    secret_hash: bytes
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
    """Remove signing keys whose last token has run out."""

    ids: tuple[str, ...]


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
    policy: Policy
    """Tells which sessions had run out already, for the count."""


Write = (
    AddRecord
    | CountUnknownSignIn
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
)


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did: its events in order, and the log's end that it saw."""

    position: Position
    events: tuple[Event, ...]


Observer = Callable[[Sequence[Write], Committed], None]
"""Is told what each commit of this process has done, once it is durable."""


def unobserved(_writes: Sequence[Write], _committed: Committed) -> None:
    """Let commits pass."""


class Store(Protocol):
    """The port. Everything else about a database is its implementation's affair."""

    async def commit(self, *writes: Write, actor: SessionId | None = None) -> Committed:
        """Apply the writes, all or none. Raises LostRace, Conflict, Unavailable."""

    async def log_end(self) -> LogEnd:
        """Give the log's end and floor."""

    async def installation(self) -> Installation:
        """Give what the database was born with."""

    async def find_session(self, session_id: SessionId) -> Found | None:
        """Find a session, ended or not, with its user."""

    async def list_sessions(self, query: SessionQuery) -> tuple[Session, ...]:
        """List a user's sessions, by last activity, newest first."""

    async def count_sessions(self, user_id: UserId, policy: Policy, now: datetime) -> int:
        """Count a user's active sessions."""

    async def find_event(self, seq: int) -> Event | None:
        """Find an event by its place in the log."""

    async def start_sign_in(self, email_key: str) -> SignInStart | LogEnd:
        """Find a user by e-mail, for signing in; the log's end alone where there is none."""

    async def find_user(self, user_id: UserId) -> User | None:
        """Find a user."""

    async def find_external_user(self, account_id: AccountId, external_id: str) -> User | None:
        """Find a user of an account by the application's own id."""

    async def password_hash(self, user_id: UserId) -> SignInStart | None:
        """Find a user with the password's hash and the position."""

    async def list_users(self, query: UserQuery) -> tuple[Profile, ...]:
        """List an account's users, newest first."""

    async def count_users(
        self, account_id: AccountId, role: Role | None = None, status: UserStatus | None = None
    ) -> int:
        """Count an account's users: all, or those of a role, of a status."""

    async def reach(self, user_id: UserId, policy: Policy, now: datetime) -> Reach:
        """Tell what logging a user out would end."""

    async def list_records(self, query: RecordQuery) -> tuple[Record, ...]:
        """List records of the audit log, newest first."""

    async def count_records(self, query: RecordQuery) -> int:
        """Count the records that a query finds, wherever its list goes on."""

    async def changes(self, after: int | None) -> Changes:
        """List who is concerned by what was recorded after a number, at most 1,000 records; without
        one, where the audit log ends now."""

    async def count_unknown_sign_ins(self) -> int:
        """Tell how often somebody tried to sign in as nobody."""

    async def list_accounts(self) -> tuple[Account, ...]:
        """List the accounts, oldest first."""

    async def find_account(self, account_id: AccountId) -> Account | None:
        """Find an account."""

    async def find_single_use(
        self, secret_hash: bytes, purpose: SingleUsePurpose, now: datetime
    ) -> SingleUse | None:
        """Find the secret of a link that is unused and in time."""

    async def find_service_key(self, key_id: KeyId) -> ServiceKey | None:
        """Find a service key that is in force."""

    async def list_service_keys(
        self, account_id: AccountId, after: KeyId | None = None, limit: int | None = None
    ) -> tuple[ServiceKey, ...]:
        """List an account's service keys in force, oldest first: all, or some after an id."""

    async def signing_keys(self) -> tuple[StoredKey, ...]:
        """List the signing keys."""

    async def ping(self) -> None:
        """Raise Unavailable unless a write could begin now."""

    async def close(self) -> None:
        """Finish what is under way and let go of the database."""
