"""What a node or a verifier knows at a moment: the log's timelines, what is in force, the keys, and
its lease. One object (rule 14): a check takes one reference to it, and a reset makes a new one."""

import math
from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from lastcall.events import Position, Timeline
from lastcall.leases.endings import Endings, Over
from lastcall.leases.messages import (
    Events,
    Happened,
    Jwk,
    Part,
    ProtocolError,
    Snapshot,
    read_position,
    store_position,
)

NEVER: Final = float("-inf")


class Begun(NamedTuple):
    """Where a timeline began: at its opening event."""

    timeline: Timeline
    seq: int


class Verdict(Enum):
    """What a check says of a token's position, where its session has not ended."""

    LIVES = "lives"
    REFRESH = "refresh"
    """A refresh is needed: another epoch, another log, before the floor, or a change of role."""
    AHEAD = "ahead"
    """The token is from after this view: whoever knows more must be asked (rule 5)."""


def place(position: Position, epoch: str, timelines: Sequence[Begun], seq: int) -> Verdict:
    """Say whether a position is on a log that ends at `seq`, after it, or on another one."""
    if position.epoch != epoch:
        return Verdict.REFRESH
    end = None
    for begun in reversed(timelines):
        if begun.timeline == position.timeline:
            if position.seq < begun.seq or (end is not None and position.seq >= end):
                return Verdict.REFRESH
            return Verdict.LIVES if position.seq <= seq else Verdict.AHEAD
        end = begun.seq
    newer = position.timeline.number > timelines[-1].timeline.number
    return Verdict.AHEAD if newer else Verdict.REFRESH


class View:
    """Written by one thread, read by many. The order of what is written, and of what a check reads,
    is what makes it safe without a lock: see `apply` and `judge`."""

    __slots__ = (
        "accounts", "epoch", "floor", "keys", "leased_until", "seq", "store_ahead", "timelines",
        "version",
    )  # fmt: skip

    def __init__(
        self, epoch: str, timelines: tuple[Begun, ...], seq: int, floor: int, keys: dict[str, Jwk]
    ) -> None:
        self.epoch = epoch
        self.timelines = timelines
        self.seq = seq
        self.floor = floor
        self.keys = keys
        self.accounts: dict[str, Endings] = {}
        self.leased_until = NEVER
        self.store_ahead = math.inf
        """The store's clock less this process's, as the last grant told; until one has, by the
        store's clock everything has run out."""
        self.version = 0
        """Moves after whatever a check looks at, and before that is acknowledged (rule 11)."""

    # The log.

    @property
    def position(self) -> Position:
        """That of the last event applied."""
        return Position(self.epoch, self.timelines[-1].timeline, self.seq)

    def contains(self, position: Position) -> bool:
        """Whether this log, as far as it is known here, contains a position (rule 6)."""
        return self.place(position) is Verdict.LIVES

    def place(self, position: Position) -> Verdict:
        """Say whether a position is on this log, after it, or on another one (rule 5)."""
        return place(position, self.epoch, self.timelines, self.seq)

    # What happens.

    def apply(self, account: str | None, event: Happened) -> None:
        """Take in the next event; `account` is None where it is nobody's. Raises ProtocolError."""
        match event.kind, event.key:
            case "timeline_opened", _:
                if event.timeline is None:
                    raise ProtocolError("an opening event without a timeline")
                timeline = _timeline(event.timeline)
                if not any(begun.timeline == timeline for begun in self.timelines):
                    self.timelines = (*self.timelines, Begun(timeline, event.seq))
            case "key_published", dict(key):
                self.keys = {**self.keys, str(key.get("kid")): key}
            case "key_revoked", str(key_id):
                self.keys = {name: key for name, key in self.keys.items() if name != key_id}
            case _ if account is not None:
                self.of(account).apply(event)
            case _:
                pass
        self.seq = event.seq

    def apply_all(self, account: str, message: Events) -> None:
        """Take in what a node tells: events, then the floor, then the version moves; who has called
        this may acknowledge. Raises ProtocolError for a gap, or what is not the end it claims."""
        if message.after != self.seq or message.position[0] != self.epoch:
            raise ProtocolError("events that don't follow the last ones")
        for event in message.events:
            if not self.seq < event.seq <= message.position[2]:
                raise ProtocolError("events out of order")
            self.apply(account, event)
        if message.position[2] < self.seq:
            raise ProtocolError("an end before its events")
        self.seq = message.position[2]
        if store_position(self.position) != message.position:
            raise ProtocolError("another timeline than the one that was opened")
        self.raise_floor(message.floor)
        self.moved()

    def raise_floor(self, floor: int) -> None:
        """Refuse all tokens from before this place, then forget what covers them alone (rule 4)."""
        if floor > self.floor:
            self.floor = floor
            self.moved()
            for endings in self.accounts.values():
                endings.forget(floor)

    def moved(self) -> None:
        """Have every check look anew: a token that was found good is good no longer by that."""
        self.version += 1

    def of(self, account: str) -> Endings:
        """Give what is in force for an account."""
        endings = self.accounts.get(account)
        if endings is None:
            endings = self.accounts[account] = Endings(self.floor)
        return endings

    # Checking.

    def judge(self, account: str, user: str, session: str, position: Position) -> Verdict | Over:
        """Say what is known of the session of a token from `position` (rule 19, from the timeline
        on): first what has ended, then what needs a refresh, and the floor last, which catches what
        is being forgotten meanwhile. The lease is looked at by the caller, before."""
        found = self.place(position)
        if found is Verdict.REFRESH:
            return found
        endings = self.accounts.get(account)
        if endings is not None:
            over = endings.ended(session, user, position.seq)
            if over is not None:
                return over
            if endings.stale(session, user, position.seq):
                return Verdict.REFRESH
        if position.seq < self.floor:
            return Verdict.REFRESH
        return found

    # Snapshots.

    def snapshot(self, account: str) -> tuple[Snapshot | Part, ...]:
        """Write what one account's verifiers need: the head, then its parts."""
        endings = self.accounts.get(account)
        parts = endings.parts() if endings is not None else []
        head = Snapshot(
            position=store_position(self.position),
            timelines=tuple((str(begun.timeline), begun.seq) for begun in self.timelines),
            floor=self.floor,
            keys=tuple(self.keys.values()),
            parts=len(parts),
            account=endings.account if endings is not None else None,
        )
        return (head, *parts)

    @classmethod
    def of_snapshot(cls, account: str, head: Snapshot) -> "View":
        """Read a snapshot's head; its parts are to be added. Raises ProtocolError."""
        position = read_position(head.position)
        timelines = tuple(Begun(_timeline(name), seq) for name, seq in head.timelines)
        if not timelines or timelines[-1].timeline != position.timeline:
            raise ProtocolError("a snapshot whose timelines don't lead to its position")
        keys = {str(key.get("kid")): key for key in head.keys}
        view = cls(position.epoch, timelines, position.seq, head.floor, keys)
        view.of(account).account = head.account
        return view

    def add(self, account: str, part: Part) -> None:
        """Read a part of a snapshot. Raises ProtocolError."""
        try:
            self.of(account).add(part)
        except (ValueError, IndexError) as error:
            raise ProtocolError.of(error) from error


def _timeline(text: str) -> Timeline:
    return read_position(("", text, 0)).timeline
