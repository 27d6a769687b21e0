"""What a node decides: its lease from the store, those of its verifiers, and what is confirmed."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from lastcall.events import Position
from lastcall.leases import margins
from lastcall.leases.barrier import Barrier, Progress, Row
from lastcall.leases.messages import (
    Ack,
    Events,
    FromNode,
    FromVerifier,
    Goodbye,
    Grant,
    Happened,
    ProtocolError,
    Recall,
    Renew,
    Resume,
    read_position,
    store_position,
)
from lastcall.leases.view import NEVER, Begun, Verdict, View, place

RECENT: Final = 10_000
"""How many events a node keeps for verifiers that come back; the others get a snapshot."""


@dataclass(frozen=True, slots=True)
class Log:
    """Part of the log, of one snapshot of the store: its end, its floor, where its timelines began,
    and the next events, each with its account."""

    end: Position
    floor: int
    timelines: tuple[Begun, ...]
    events: Sequence[tuple[str | None, Happened]]


@dataclass(eq=False, slots=True)
class Peer:
    """A verifier, as long as it is connected or its lease is kept."""

    name: str
    account: str
    connection: int | None = None
    acked: Position | None = None
    kept_until: float = NEVER
    """Until when its lease can be in use, on this node's clock."""
    asked: Renew | None = None
    """What it has asked for and not been granted."""
    ahead_since: float | None = None
    """Since when it waits with a position that this node has not read yet (rule 5)."""
    shown: bool = False
    """Whether it was sent a snapshot, and has acknowledged nothing since."""


@dataclass(frozen=True, slots=True)
class Send:
    """Say this on a connection, after what was said before."""

    connection: int
    message: FromNode


@dataclass(frozen=True, slots=True)
class Cut:
    """Close a connection: another one of the same verifier has taken its place."""

    connection: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a node's row, if its beat is still this one (rule 10)."""

    row: Row


Output = Send | Cut | Remove


class NodeSide:
    """One node: a process, under a random name that it got at its start (rule 12).

    Each step leaves what is to be done in `outputs`; whoever takes a step takes them away and does
    them in order. `store_now` is the store's clock.
    """

    def __init__(self, name: str, lease: float, view: View) -> None:
        """A new node, which has registered, with the log as it then read it: it has no lease."""
        self.name = name
        self.lease = lease
        self.view = view
        self.outputs: list[Output] = []
        self._barrier = Barrier(lease)
        self._peers: dict[tuple[str, str], Peer] = {}
        self._connected: dict[int, Peer] = {}
        self._recent: deque[tuple[str | None, Happened]] = deque(maxlen=RECENT)
        self._applied: deque[tuple[int, float]] = deque()
        """When the log's ends of the last seconds were applied."""
        self._promised: tuple[Position, float] | None = None
        self._snapshots: dict[str, tuple[FromNode, ...]] = {}
        self._silent: set[Peer] = set()
        """Those who were told what is newest and have not acknowledged it."""

    # The store.

    def renewed(self, noted: float, named: Position, end: Position, now: float,
                store_now: float) -> None:  # fmt: skip
        """The store has renewed the lease that was asked for when the clock showed `noted`; its log
        contains the position that was `named`, all that was known then, and ended at `end` (rules 6
        to 8). The lease is used once all of that is applied."""
        if self.view.contains(named):
            # A write begun later was answered, and its log contains what was named (rule 10).
            self._barrier.durable(named.seq, now)
        if end.seq < self.view.seq:
            return  # a log that lacks what is known here by now: it gives no lease (rule 6)
        self._promised = (end, noted + self.lease)
        self._use_promise(now, store_now)

    def fenced(self, name: str, view: View, now: float) -> None:
        """The row is gone: no lease, and a new name. The verifiers stay, with their positions, and
        get all that follows from the log as it is now (rule 8)."""
        self.name = name
        self._promised = None
        # The log may be another one, too: its renewal may have been what told (rule 6).
        if not view.contains(self.view.position):
            self._barrier.lose(now)
        elif view.timelines != self.view.timelines:
            self._barrier.meet(now)
        self._reset(view)

    def read(self, part: Log, begun: float, now: float, store_now: float) -> None:
        """The next part of the log has been read, since the clock showed `begun`: apply it, tell
        the verifiers, and only then use the lease that waits for it. Raises ProtocolError for a log
        that doesn't go on from here: read it anew and call `replace` (rule 6)."""
        before = self.view.seq
        known = place(self.view.position, part.end.epoch, part.timelines, part.end.seq)
        # What is below the floor can't be read any more: were nothing above it, no gap would show.
        if (
            known is not Verdict.LIVES
            or before < part.floor
            or any(event.seq != seq for seq, (_, event) in enumerate(part.events, before + 1))
        ):
            raise ProtocolError("the log has another past than was known")
        opened = len(self.view.timelines)
        for account, event in part.events:
            self.view.apply(account, event)
            self._recent.append((account, event))
        self.view.moved()
        if len(self.view.timelines) > opened:
            self._barrier.meet(now)
        if self.view.seq != before:
            self._applied.append((self.view.seq, now))
            self._snapshots.clear()
            self._tell(before)
        self.forget(part.floor)
        if self.view.seq == part.end.seq:
            self._catch_up(begun)
        self._use_promise(now, store_now)

    def replace(self, view: View, now: float) -> None:
        """The store holds another log than before: what was known is dropped, lease first, and its
        verifiers get a snapshot (rule 6)."""
        self._promised = None
        self._barrier.lose(now)
        self._reset(view)

    def forget(self, floor: int) -> None:
        """Drop the events up to a place: all that they cover has run out (rule 4)."""
        if floor > self.view.floor:
            self.view.raise_floor(min(floor, self.view.seq))
            self._snapshots.clear()
            self._tell(self.view.seq)

    def durable(self, position: Position, now: float) -> None:
        """All up to this position is known durable (rule 10). On a timeline that has not been read
        it says nothing of what is known here, which may have been lost on the way there."""
        known = self.view.position
        if (position.epoch, position.timeline) == (known.epoch, known.timeline):
            self._barrier.durable(position.seq, now)

    def appended(
        self,
        events: Sequence[tuple[str | None, Happened]],
        end: Position,
        now: float,
        store_now: float,
    ) -> None:
        """A commit of this process was answered, which appended these events up to `end`: they are
        durable (rule 10), and where they are the next ones they are applied without being read.
        Not for a node that is reading the log: what it gets may end before them."""
        self.durable(end, now)
        view = self.view
        if (end.epoch, end.timeline) == (view.epoch, view.timelines[-1].timeline) and (
            events[0][1].seq == view.seq + 1
        ):
            # Since when all is known that the store has, this does not tell: `begun` is never.
            self.read(Log(end, view.floor, view.timelines, events), NEVER, now, store_now)

    def unsettled(self, now: float) -> None:
        """The store doesn't call its timeline settled (rule 6)."""
        self._barrier.meet(now)

    def settled(self, now: float) -> bool:
        """Whether this process has waited long enough to call the timeline settled."""
        return self._barrier.settled(now)

    def see(self, rows: Iterable[Row], end: Position, now: float) -> None:
        """All nodes' rows and the log's end, of one snapshot (rule 10)."""
        known = self.view.position
        if (end.epoch, end.timeline) != (known.epoch, known.timeline):
            return  # rows of a log that is not known to contain what is known here (rules 6 and 10)
        others = [row for row in rows if row.id != self.name]
        self.outputs += [Remove(row) for row in self._barrier.see(others, end.seq, now)]

    def silent_for(self, node: str, now: float) -> float:
        """For how many seconds another node has not renewed, as far as was seen here."""
        return self._barrier.silent_for(node, now)

    def others(self, now: float) -> bool:
        """Whether there is another node to which verifiers could go over."""
        return self._barrier.others(now)

    def leased(self, now: float) -> bool:
        """Whether this node may say of a session that it lives (rule 16)."""
        return now < self.view.leased_until

    def give_back(self) -> None:
        """Use the lease no more, and ask the verifiers for theirs: the node is going."""
        self._promised = None
        self.view.leased_until = NEVER
        self.outputs += [Send(connection, Recall()) for connection in self._connected]

    # The verifiers.

    def receive(self, connection: int, account: str, message: FromVerifier, now: float,
                store_now: float) -> None:  # fmt: skip
        """A verifier, whose key is of this account, has said something. Raises ProtocolError, and
        then its connection is to be closed."""
        if isinstance(message, Resume):
            self._resume(connection, account, message, now)
            return
        peer = self._connected.get(connection)
        if peer is None:
            raise ProtocolError("this must begin with a resume")
        match message:
            case Ack():
                position = read_position(message.position)
                if not self.view.contains(position):
                    raise ProtocolError("what was not told can't be acknowledged")
                peer.shown = False
                self._acknowledged(peer, position)
                self._grant(peer, now, store_now)
            case Renew():
                peer.asked = message
                self._grant(peer, now, store_now)
            case Goodbye():
                peer.asked = None
                peer.kept_until = NEVER

    def closed(self, connection: int) -> None:
        """A connection is gone. Its verifier's lease is not: a closed connection acknowledges
        nothing (rule 11)."""
        peer = self._connected.pop(connection, None)
        if peer is not None and peer.connection == connection:
            peer.connection = None
            peer.asked = None
            self._silent.discard(peer)

    def tidy(self, now: float) -> None:
        """Let go of verifiers that are neither connected nor have a lease."""
        gone = [
            key
            for key, peer in self._peers.items()
            if peer.connection is None and now >= peer.kept_until
        ]
        for key in gone:
            del self._peers[key]
        # The newest that is due stays: who has not acknowledged it is overdue until then (rule 9).
        while len(self._applied) > 1 and now - self._applied[1][1] >= margins.UNACKNOWLEDGED:
            self._applied.popleft()

    @property
    def peers(self) -> Iterable[Peer]:
        """The verifiers that are known."""
        return self._peers.values()

    # What is confirmed.

    @property
    def all_acknowledged(self) -> bool:
        """A hint that it is worth looking at `progress`: nobody who is connected is behind."""
        return not self._silent

    def acked(self, now: float) -> Position:
        """The position that this node acknowledges: what it has applied, and what each of its
        verifiers has acknowledged or has run out of lease for (rule 11)."""
        behind = [peer for peer in self._peers.values() if now < peer.kept_until]
        if all(self._reached(peer, self.view.seq) for peer in behind):
            return self.view.position
        # A verifier whose position this log doesn't contain has acknowledged nothing of it.
        seqs = [peer.acked.seq if self._knows(peer) and peer.acked else 0 for peer in behind]
        return self._position_at(min(seqs))

    def progress(self, position: Position, now: float) -> Progress:
        """Say how far a termination at a position has come (rule 10)."""
        seq = position.seq
        leased = [peer for peer in self._peers.values() if now < peer.kept_until]
        acknowledged = sum(self._reached(peer, seq) for peer in leased)
        known = self.view.contains(position)
        # Places are of this log: a position of another one is never known durable by them.
        on_log = self.view.place(position) is not Verdict.REFRESH
        certain_in = self._barrier.certain_in(seq, now) if on_log else math.inf
        elsewhere, told = self._barrier.verifiers(seq)
        # Not by rows either while it may be lost: what is visible need not be durable (rule 15).
        confirmed = certain_in <= 0 or (
            known
            and certain_in < math.inf
            and acknowledged == len(leased)
            and self._barrier.all_acknowledged(seq, self.view.contains, now)
        )
        return Progress(
            "confirmed" if confirmed else "confirming",
            0.0 if confirmed else certain_in,
            len(leased) + elsewhere,
            acknowledged + told,
        )

    def unreachable(self, position: Position, now: float) -> int:
        """Count the verifiers that have a lease, no connection, and not acknowledged a position."""
        return sum(
            peer.connection is None
            and now < peer.kept_until
            and not self._reached(peer, position.seq)
            for peer in self._peers.values()
        )

    # Within.

    def _reset(self, view: View) -> None:
        view.version = self.view.version + 1
        view.store_ahead = self.view.store_ahead
        self.view.leased_until = NEVER
        self.view = view
        self._recent.clear()
        self._applied.clear()
        self._snapshots.clear()
        for connection, peer in self._connected.items():
            self._show(connection, peer)

    def _use_promise(self, now: float, store_now: float) -> None:
        if self._promised is None or not self.view.contains(self._promised[0]):
            return
        self.view.leased_until = max(self.view.leased_until, self._promised[1])
        self.view.store_ahead = store_now - now
        self._promised = None
        for peer in self._connected.values():
            self._grant(peer, now, store_now)

    def _resume(self, connection: int, account: str, message: Resume, now: float) -> None:
        if connection in self._connected:
            raise ProtocolError("a connection resumes once")
        key = (account, message.verifier)
        peer = self._peers.setdefault(key, Peer(message.verifier, account))
        if peer.connection is not None and peer.connection != connection:
            self._connected.pop(peer.connection, None)
            self.outputs.append(Cut(peer.connection))
        peer.connection, peer.asked, peer.ahead_since = connection, None, None
        peer.shown = False
        self._connected[connection] = peer
        position = read_position(message.position) if message.position else None
        if position is None:
            self._show(connection, peer)
            return
        # What it has applied is acknowledged by that, as far as this log contains it.
        self._acknowledged(peer, position)
        match self.view.place(position):
            case Verdict.AHEAD:
                peer.ahead_since = now
            case Verdict.LIVES if self._remembers(position.seq):
                self.outputs.append(Send(connection, self._events(peer.account, position.seq)))
            case _:
                self._show(connection, peer)

    def _remembers(self, seq: int) -> bool:
        """Whether all events after a place are at hand."""
        return self.view.seq - seq <= len(self._recent) and seq >= self.view.floor

    def _catch_up(self, begun: float) -> None:
        """All that the store had when this read began is known: who was ahead then goes on from
        where it is, or has seen another log (rules 5 and 6)."""
        for connection, peer in self._connected.items():
            if peer.ahead_since is None or peer.ahead_since > begun or peer.acked is None:
                continue
            peer.ahead_since = None
            if self.view.contains(peer.acked) and self._remembers(peer.acked.seq):
                events = self._events(peer.account, peer.acked.seq)
                self.outputs.append(Send(connection, events))
            else:
                self._show(connection, peer)

    def _show(self, connection: int, peer: Peer) -> None:
        peer.asked = peer.ahead_since = None
        peer.shown = True
        if peer.account not in self._snapshots:
            self._snapshots[peer.account] = self.view.snapshot(peer.account)
        self.outputs += [Send(connection, piece) for piece in self._snapshots[peer.account]]

    def _tell(self, before: int) -> None:
        """Tell every verifier what has happened since a place. Events leave before any later grant:
        the connection keeps their order (rule 9)."""
        told: dict[str, Events] = {}
        for connection, peer in self._connected.items():
            if peer.ahead_since is not None:
                continue
            if peer.account not in told:
                told[peer.account] = self._events(peer.account, before)
            self.outputs.append(Send(connection, told[peer.account]))
            if before < self.view.seq:
                self._silent.add(peer)

    def _events(self, account: str, after: int) -> Events:
        missed = self.view.seq - after
        recent = islice(reversed(self._recent), missed)
        own = [event for owner, event in recent if owner is None or owner == account]
        return Events(after, store_position(self.view.position), self.view.floor, tuple(own[::-1]))

    def _acknowledged(self, peer: Peer, position: Position) -> None:
        if peer.acked is None or not self._knows(peer) or position.seq >= peer.acked.seq:
            peer.acked = position
        if position.seq == self.view.seq:
            self._silent.discard(peer)

    def _grant(self, peer: Peer, now: float, store_now: float) -> None:
        """Grant what a verifier has asked for, where it may be granted (rules 6, 7 and 9)."""
        asked = peer.asked
        if asked is None or peer.connection is None or not self.leased(now):
            return
        known = self.view.place(read_position(asked.position))
        if known is Verdict.REFRESH:
            peer.asked = None
            if not peer.shown:
                self._show(peer.connection, peer)
        if known is not Verdict.LIVES:
            return
        if self._overdue(peer, now):
            return
        seconds = margins.inside(self.view.leased_until - now)
        peer.kept_until = max(peer.kept_until, now + margins.kept(seconds))
        peer.asked = None
        position = store_position(self.view.position)
        self.outputs.append(
            Send(peer.connection, Grant(asked.request, seconds, position, store_now))
        )

    def _overdue(self, peer: Peer, now: float) -> bool:
        """Whether a verifier leaves an event unacknowledged for too long."""
        due = 0
        for seq, at in self._applied:
            if now - at < margins.UNACKNOWLEDGED:
                break
            due = seq
        return not self._reached(peer, due)

    def _knows(self, peer: Peer) -> bool:
        return peer.acked is not None and self.view.contains(peer.acked)

    def _reached(self, peer: Peer, seq: int) -> bool:
        return peer.acked is not None and peer.acked.seq >= seq and self._knows(peer)

    def _position_at(self, seq: int) -> Position:
        """Give the position of a place in this log."""
        timeline = self.view.timelines[0].timeline
        for begun in self.view.timelines:
            if begun.seq <= seq:
                timeline = begun.timeline
        return Position(self.view.epoch, timeline, seq)
