"""What is said on the feed, version 1: one JSON object a WebSocket text message, named by `type`.

`docs/feed.md` describes it for verifiers in other languages; `vectors/` holds examples of it. A
position is `[epoch, "number.name" of its timeline, seq]`, as in access tokens.
"""

from typing import Annotated, Any, Final, Self

import msgspec
from msgspec import Meta

from lastcall.events import Position, Timeline

SUBPROTOCOL: Final = "lastcall.feed.1"
"""The WebSocket subprotocol, which names the version."""
LONGEST: Final = 1 << 20
"""Bytes of the longest message that either side takes."""
PART: Final = 4000
"""How many entries a part of a snapshot holds at most."""
LONGEST_LEASE: Final = 3600.0
"""Seconds; a grant of more is not believed."""

Name = Annotated[str, Meta(min_length=16, max_length=64)]
Count = Annotated[int, Meta(ge=0, le=(1 << 62))]
Stored = tuple[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=80)], Count]
"""A position, as it is written."""
Jwk = dict[str, Any]
"""A public key (RFC 7517)."""


class _Message(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True, weakref=True):
    """What every message has: its type."""


# A verifier says.


class Resume(_Message, frozen=True, tag="resume"):
    """The first message of a connection: who follows (a random name of this process, rule 12), and
    from where; None: from a snapshot. `agent` is for people: the process, as its host knows it."""

    verifier: Name
    position: Stored | None = None
    agent: Annotated[str, Meta(max_length=200)] | None = None


class Checks(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many checks a verifier has decided since it last told, by what came of them;
    `introspected` are those for which it had to ask, whatever came of it."""

    accepted: Count = 0
    invalid: Count = 0
    expired: Count = 0
    ended: Count = 0
    unavailable: Count = 0
    introspected: Count = 0


class Renew(_Message, frozen=True, tag="renew"):
    """Ask for a lease. `request` counts up; `position` is all that was applied (rule 6)."""

    request: Count
    position: Stored
    checks: Checks | None = None


class Ack(_Message, frozen=True, tag="ack"):
    """Every check from now on knows all that happened up to this position (rule 11)."""

    position: Stored


class Goodbye(_Message, frozen=True, tag="goodbye"):
    """The lease is used no more; it was dropped before this was said (rule 11)."""


# A node says.


class Welcome(_Message, frozen=True, tag="welcome"):
    """The first message of a connection: what a verifier needs to know of tokens. `lease` is that
    of a node, in seconds: what `margins` derives from it tells when to renew."""

    node: str
    account: str
    issuer: str
    audience: str
    lease: float


class Snapshot(_Message, frozen=True, tag="snapshot"):
    """All that is in force at a position; it comes in `parts`. `timelines` tell where each of this
    epoch began. `account` is the ending of all of the account's sessions, if one is in force."""

    position: Stored
    timelines: tuple[tuple[str, Count], ...]
    floor: Count
    keys: tuple[Jwk, ...]
    parts: Count
    account: "Cover | None" = None


class Cover(msgspec.Struct, frozen=True, array_like=True):
    """The endings of a user's or account's sessions: tokens from before `seq` are of ended
    sessions, but those of the session `spared` only where they are from before `others`."""

    seq: Count
    spared: str | None
    others: Count
    at: int
    reason: str


class Ended(msgspec.Struct, frozen=True):
    """Sessions that ended, as columns, in the order of their events. `reason` indexes `reasons`."""

    id: tuple[str, ...]
    seq: tuple[Count, ...]
    at: tuple[int, ...]
    reason: tuple[int, ...]
    reasons: tuple[str, ...]


class Part(_Message, frozen=True, tag="part"):
    """A piece of a snapshot, in the order of events within each member."""

    sessions: Ended | None = None
    users: tuple[tuple[str, Cover], ...] = ()
    stale_sessions: tuple[tuple[str, Count], ...] = ()
    stale_users: tuple[tuple[str, Count], ...] = ()


class Happened(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event, as far as a verifier needs it. `timeline`: the one that it opens; `key`: the public
    key that it publishes, or the id of the one that it revokes."""

    seq: Count
    kind: str
    at: int
    user: str | None = None
    session: str | None = None
    spared: str | None = None
    reason: str | None = None
    timeline: str | None = None
    key: Jwk | str | None = None


class Events(_Message, frozen=True, tag="events"):
    """What happened after `after`, up to `position`, gapless; what is not listed concerns other
    accounts. `floor`: what is from before it has been forgotten (rule 4)."""

    after: Count
    position: Stored
    floor: Count
    events: tuple[Happened, ...] = ()


class Grant(_Message, frozen=True, tag="grant"):
    """A lease, of `seconds` from when `request` was asked for (rule 7), for who has applied
    `position`. `now`: the store's clock, in seconds since 1970."""

    request: Count
    seconds: float
    position: Stored
    now: float


class Recall(_Message, frozen=True, tag="recall"):
    """The node is going: give the lease back, and follow another one."""


FromVerifier = Resume | Renew | Ack | Goodbye
FromNode = Welcome | Snapshot | Part | Events | Grant | Recall

_from_verifier: msgspec.json.Decoder[FromVerifier] = msgspec.json.Decoder(FromVerifier)
_from_node: msgspec.json.Decoder[FromNode] = msgspec.json.Decoder(FromNode)
_encoder = msgspec.json.Encoder()


class ProtocolError(Exception):
    """The other side said what the protocol doesn't know, or not there: the connection is closed,
    and what it was to bring is not believed."""

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Name what was wrong, without its words, which may be anybody's."""
        return cls(f"a message can't be read: {type(error).__name__}")


def read_from_verifier(data: bytes | str) -> FromVerifier:
    """Read what a verifier said. Raises ProtocolError."""
    try:
        return _from_verifier.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError.of(error) from error


def read_from_node(data: bytes | str) -> FromNode:
    """Read what a node said; members that this version doesn't know are passed over. Raises
    ProtocolError."""
    try:
        return _from_node.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError.of(error) from error


def write(message: FromVerifier | FromNode) -> bytes:
    """Write a message, as UTF-8."""
    return _encoder.encode(message)


def store_position(position: Position) -> Stored:
    """Write a position."""
    return (position.epoch, str(position.timeline), position.seq)


def read_position(stored: Stored) -> Position:
    """Read a position. Raises ProtocolError."""
    try:
        return Position(stored[0], Timeline.parse(stored[1]), stored[2])
    except ValueError as error:
        raise ProtocolError.of(error) from error
