"""What a store is asked, and what it answers: the values of the reads of `base`."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from lastcall.audit import Outcome, RecordType
from lastcall.events import Event, Position, Timeline
from lastcall.identity.model import User
from lastcall.ids import AccountId, NodeId, SessionId, UserId
from lastcall.sessions.model import Session
from lastcall.sessions.policy import Policy


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The log's end, the floor, which is the place of the newest event that was forgotten (rule 4),
    and whether every lease of before its timeline has run out for certain (rule 6)."""

    position: Position
    floor: int
    settled: bool = True


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A process that serves: how often it has renewed, and how far it and its verifiers have
    acknowledged the log, None before its first renewal that told; how long a lease of it lasts, how
    many verifiers have one, and what it says about itself."""

    id: NodeId
    beat: int
    acked: Position | None
    lease: timedelta = timedelta(seconds=30)
    verifiers: int = 0
    about: str = ""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Every node's row, in the order of their ids, and the log, of one snapshot (rule 10)."""

    log: LogEnd
    rows: tuple[NodeRow, ...]


@dataclass(frozen=True, slots=True)
class TimelineStart:
    """A timeline, and the place of the event that opened it."""

    timeline: Timeline
    seq: int


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of the log with its end and floor, where each timeline of its epoch began, and every
    node's row (rule 10), all of one snapshot. The events have no gaps; none is at or before the
    floor, none after the end."""

    log: LogEnd
    timelines: tuple[TimelineStart, ...]
    events: tuple[Event, ...]
    nodes: tuple[NodeRow, ...]
    version: int
    """What `data_version` gave just before that."""


@dataclass(frozen=True, slots=True)
class Found:
    """A session with its user, the log's end, and the number of the audit log's newest record, all
    of one snapshot."""

    session: Session
    user: User
    log: LogEnd
    recorded: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token that was shown, with the successor that it would get. `ip` is from where, or
    None where that says nothing of the person."""

    session_id: SessionId
    generation: int
    secret_hash: bytes = field(repr=False)
    successor_hash: bytes = field(repr=False)
    sealed_successor: bytes = field(repr=False)
    ip: str | None
    now: datetime
    policy: Policy


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A session after its refresh, its user, and the position that the refresh saw."""

    session: Session
    user: User
    position: Position


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
    check: bytes = field(repr=False)
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
    """As `users.search` folds it, at most 10,000 characters; "" is everybody."""
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
class CountPart:
    """How many active sessions the next users of an account have, and after whom to go on; None
    where those were the last."""

    number: int
    next: UserId | None


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody whose pages show something new."""

    type: RecordType
    account_id: AccountId | None
    user_id: UserId | None


CHANGES_MOST: Final = 1000
"""How many records are read at once by who follows them."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What has been recorded since a number, oldest first, at most `CHANGES_MOST`, and the number
    to go on from."""

    number: int
    changes: tuple[Change, ...]


PurgeKind = Literal["sessions", "users", "links", "keys", "records", "events"]
"""What a purge deletes rows of; links are those that work once, keys those of services."""
Key = str | int | bytes
"""What names a row of one of these kinds."""


@dataclass(frozen=True, slots=True)
class PurgeQuery:
    """Which rows of a kind are over since before a moment: of the next `limit` after a key."""

    kind: PurgeKind
    before: datetime
    after: Key | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True)
class PurgePage:
    """The rows that are over, and the key to go on from; None where all that is old was seen."""

    keys: tuple[Key, ...]
    next: Key | None
