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

**Nodes.** A process that serves has a row of its own, by an id that is used once. It lives as long
as it can move its row's beat; whoever finds a row gone is fenced (rules 8 and 10). What a node has
acknowledged is written only where the log contains it (rule 6). `data_version` is what a node asks
many times a second, `read_log` what it asks when that has moved.

**Durable.** When `commit` returns, its writes survive the loss of power. When it raises
`Unavailable`, nothing was changed, unless the message says that the outcome is unknown.

**Several processes** may have the same store open; none is privileged, and nothing is cached
across calls. A cancelled caller changes nothing about what is committed.

Raised everywhere: `Unavailable` when the database can't be reached, is full, or is too busy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lastcall.audit import Record
from lastcall.events import Event, Position
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
from lastcall.sessions.model import Session
from lastcall.sessions.policy import Policy
from lastcall.stores.queries import (
    CHANGES_MOST,
    Change,
    Changes,
    CountPart,
    Cursor,
    Found,
    Installation,
    Key,
    LogEnd,
    LogPart,
    NodeRow,
    Nodes,
    PurgeKind,
    PurgePage,
    PurgeQuery,
    Reach,
    RecordQuery,
    Refresh,
    Refreshed,
    SessionFilter,
    SessionQuery,
    SignInStart,
    TimelineStart,
    UserQuery,
)
from lastcall.stores.writes import (
    AddAccount,
    AddRecord,
    AddServiceKey,
    AddSingleUse,
    AddUser,
    Begin,
    CountRepeat,
    CountUnknownSignIn,
    Drop,
    DropKeys,
    EndAccount,
    EndSession,
    EndUser,
    GiveBack,
    MakeDurable,
    MarkStale,
    OpenEpoch,
    PublishKey,
    RegisterNode,
    Rehash,
    RemoveNode,
    RemoveUser,
    RenewNode,
    RequirePassword,
    RevokeServiceKey,
    Rotate,
    SetIssuer,
    SetName,
    SetPassword,
    SetRole,
    SetStatus,
    SettleTimeline,
    Take,
    UseUp,
    Write,
)

__all__ = [  # the whole contract is named `base.…`
    "CHANGES_MOST",
    "AddAccount",
    "AddRecord",
    "AddServiceKey",
    "AddSingleUse",
    "AddUser",
    "Begin",
    "Change",
    "Changes",
    "Committed",
    "CountPart",
    "CountRepeat",
    "CountUnknownSignIn",
    "Cursor",
    "Drop",
    "DropKeys",
    "EndAccount",
    "EndSession",
    "EndUser",
    "Found",
    "GiveBack",
    "Installation",
    "Key",
    "LogEnd",
    "LogPart",
    "MakeDurable",
    "MarkStale",
    "NodeRow",
    "Nodes",
    "Observer",
    "OpenEpoch",
    "PublishKey",
    "PurgeKind",
    "PurgePage",
    "PurgeQuery",
    "Reach",
    "RecordQuery",
    "Refresh",
    "Refreshed",
    "RegisterNode",
    "Rehash",
    "RemoveNode",
    "RemoveUser",
    "RenewNode",
    "RequirePassword",
    "RevokeServiceKey",
    "Rotate",
    "SessionFilter",
    "SessionQuery",
    "SetIssuer",
    "SetName",
    "SetPassword",
    "SetRole",
    "SetStatus",
    "SettleTimeline",
    "SignInStart",
    "Store",
    "Take",
    "TimelineStart",
    "UseUp",
    "UserQuery",
    "Write",
    "unobserved",
]


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

    deposable: bool
    """Whether what a read shows may be of a database that another one has replaced, or be lost yet:
    then a read alone decides nothing (instant-logout, rules 10 and 16)."""

    async def commit(self, *writes: Write, actor: SessionId | None = None) -> Committed:
        """Apply the writes, all or none. Raises LostRace, Conflict, RateLimited, Unavailable."""

    refreshes: bool
    """Whether `refresh` may do more than answer None."""

    async def refresh(self, shown: Refresh) -> Refreshed | None:
        """Rotate a session that was not read before: where `rules.refresh` would, and nothing else
        is to be written with it. Else None, with nothing changed: read, decide, and commit."""

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

    async def count_account_sessions(
        self,
        account_id: AccountId,
        spared: SessionId | None,
        policy: Policy,
        now: datetime,
        after: UserId | None = None,
    ) -> CountPart:
        """Count the active sessions, but the spared one, of an account's next users after one, in
        the order of their ids. However many there are, few enough are looked at that it is soon
        done; of a single user's, those beyond that are never counted."""

    async def find_event(self, seq: int) -> Event | None:
        """Find an event by its place in the log."""

    async def read_log(
        self, after: int, most: int = 10_000, since: datetime | None = None
    ) -> LogPart:
        """Give the next events after a place, at most so many, with the log's end and floor, its
        timelines, every node's row, and what `data_version` gave before.

        Events at or before the floor are never among them: whoever was behind it takes the floor
        in their place (rule 4). With `since`, events from before that moment are left out, and the
        floor that is given is the newest one left out, if that is later; it costs a walk over all
        events since then, so those who read on do so without it.
        """

    async def data_version(self) -> int:
        """Give a number that is another one once any process has committed what nodes follow. It
        costs next to nothing. Who reads the log after asking misses nothing: what is committed
        after that read changes a later answer, the next one or, where the store is told of commits
        by the database, one within a quarter of a second."""

    def watch(self, moved: Callable[[], None]) -> None:
        """Have this called, on the event loop, where the store learns by itself that
        `data_version` is another number; some only tell when they are asked."""

    async def nodes(self) -> Nodes:
        """Give the rows of all nodes, with the log's end."""

    async def start_sign_in(self, email_key: str) -> SignInStart | LogEnd:
        """Find a user by e-mail, for signing in; the log's end alone where there is none."""

    async def recognises(self, email_key: str, device_hash: bytes) -> bool:
        """Tell whether the user of an e-mail address has signed in with this device before."""

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
        """List who is concerned by what was recorded after a number, at most `CHANGES_MOST`
        records; without one, where the audit log ends now."""

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

    async def over(self, query: PurgeQuery) -> PurgePage:
        """List what may be deleted for good, in the order of its keys."""

    async def ping(self) -> None:
        """Raise Unavailable unless a write could begin now."""

    async def close(self) -> None:
        """Finish what is under way and let go of the database."""
