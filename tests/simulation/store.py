"""A store that is not magically atomic: statements see snapshots, commits are visible first,
durable later, and answered after that; a standby may know less than its primary."""

from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Final

from lastcall.errors import LostRace, Unavailable
from lastcall.events import Position, Timeline
from lastcall.leases.barrier import Row
from lastcall.leases.messages import Happened
from lastcall.leases.node import Log
from lastcall.leases.view import Begun, Verdict, place
from tests.simulation.world import Process, Reply, World

MOST: Final = 40
"""Events of one read."""
Redo = Callable[["State"], None]
Entry = tuple[str | None, Happened]


@dataclass
class Session:
    """A session's row."""

    user: str
    account: str
    begun: Position
    ended: bool = False


@dataclass
class State:
    """What is committed and visible."""

    epoch: str
    timelines: tuple[Begun, ...]
    seq: int
    floor: int = 0
    events: dict[int, Entry] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    used_ids: frozenset[str] = frozenset()
    ended: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    """The last ending of a user or account, and whom it spared."""
    sessions: dict[str, Session] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    stale: dict[str, int] = field(default_factory=dict)
    """From where on the tokens of a session or user are good."""
    settled: frozenset[str] = frozenset()

    @property
    def end(self) -> Position:
        """The position of the last event."""
        return Position(self.epoch, self.timelines[-1].timeline, self.seq)

    def holds(self, position: Position) -> bool:
        """Whether a position is on this log (rule 6)."""
        return place(position, self.epoch, self.timelines, self.seq) is Verdict.LIVES

    def alive(self, session_id: str) -> bool:
        """Whether a session lives (rule 2)."""
        session = self.sessions.get(session_id)
        if session is None or session.ended or not self.holds(session.begun):
            return False
        for owner in (session.user, session.account):
            seq, spared = self.ended.get(owner, (0, None))
            if session.begun.seq < seq and spared != session_id:
                return False
        return True

    def good(self, session: str, user: str, key: str, position: Position) -> bool:
        """Whether a token is good: what introspection says."""
        fresh = all(position.seq >= self.stale.get(owner, 0) for owner in (session, user))
        return self.alive(session) and key in self.keys and fresh and self.holds(position)

    def twin(self) -> "State":
        """A copy that shares nothing that changes."""
        made = copy(self)
        made.events, made.rows = dict(self.events), dict(self.rows)
        made.ended, made.keys = dict(self.ended), dict(self.keys)
        made.stale = dict(self.stale)
        made.sessions = {name: copy(session) for name, session in self.sessions.items()}
        return made

    def read_log(self, after: int) -> Log:
        """The next events, the log's end and floor, of one snapshot."""
        first = max(after, self.floor) + 1
        last = min(self.seq, first + MOST - 1)
        events = [self.events[seq] for seq in range(first, last + 1)]
        return Log(self.end, self.floor, self.timelines, events)


@dataclass
class Transaction:
    """What is to be committed: the locks that it takes, in order, and what it does when it has
    them: its result, and the change that becomes visible later. Raises LostRace."""

    name: str
    locks: tuple[str, ...]
    execute: Callable[["Server"], tuple[Redo, Any]]
    seen: Callable[[Any], None] = lambda _: None
    """Called when it is visible."""


@dataclass
class _Commit:
    redo: Redo
    durable_at: float


class Server:
    """One database server: the primary, or one that was."""

    def __init__(self, store: "Store", state: State, timeline: Timeline) -> None:
        self.store = store
        self.state = state
        self.timeline = timeline
        self.deposed = False
        self.gone = False
        self.commits: list[_Commit] = []
        self._base = state.twin()
        self._held: dict[str, deque[Callable[[], None]]] = {}

    def begin(self, transaction: Transaction, reply: Reply) -> None:
        """Take the locks, one after the other, then execute."""
        self._take(transaction, 0, reply)

    def _take(self, transaction: Transaction, taken: int, reply: Reply) -> None:
        if self.gone:
            return
        if taken < len(transaction.locks):
            waiting = self._held.get(transaction.locks[taken])
            if waiting is not None:
                waiting.append(lambda: self._take(transaction, taken + 1, reply))
                return
            self._held[transaction.locks[taken]] = deque()
            self._take(transaction, taken + 1, reply)
            return
        try:
            redo, result = transaction.execute(self)
        except LostRace as error:
            self._release(transaction)
            reply.give(error=error)
            return
        self.store.world.after(
            self.store.working(), lambda: self._show(transaction, redo, result, reply)
        )

    def _show(self, transaction: Transaction, redo: Redo, result: Any, reply: Reply) -> None:  # noqa: ANN401
        if self.gone:
            return
        redo(self.state)
        lag = self.store.lag()
        before = self.commits[-1].durable_at if self.commits else 0.0
        durable_at = max(before, self.store.world.now + lag)
        self.commits.append(_Commit(redo, durable_at))
        self._release(transaction)
        transaction.seen(result)
        self.store.changed(self)
        self.store.world.at(durable_at, lambda: self._answer(result, reply))

    def _answer(self, result: Any, reply: Reply) -> None:  # noqa: ANN401
        if not self.deposed:  # nobody confirms what a deposed primary commits
            reply.give(result)

    def _release(self, transaction: Transaction) -> None:
        for lock in transaction.locks:
            waiting = self._held[lock]
            if waiting:
                self.store.world.after(0.0, waiting.popleft())
            else:
                del self._held[lock]

    def standby(self, more: Callable[[], bool]) -> State:
        """What a standby has: all that is durable, and of the rest what `more` says."""
        state = self._base.twin()
        for commit in self.commits:
            if commit.durable_at > self.store.world.now and not more():
                break
            commit.redo(state)
        return state

    def append(self, *events: tuple[str | None, Happened]) -> list[tuple[Position, Entry]]:
        """Give events their places, under the log's lock; a new timeline is opened first."""
        state = self.state
        found: list[tuple[Position, Entry]] = []
        seq, timeline = state.seq, state.timelines[-1].timeline
        if timeline != self.timeline and self.store.opens:
            seq, timeline = seq + 1, self.timeline
            opening = Happened(seq, "timeline_opened", 0, timeline=str(timeline))
            found.append((Position(state.epoch, timeline, seq), (None, opening)))
        for account, event in events:
            seq += 1
            placed = Happened(
                seq, event.kind, event.at, event.user, event.session, event.spared, event.reason,
                event.timeline, event.key,
            )  # fmt: skip
            found.append((Position(state.epoch, timeline, seq), (account, placed)))
        return found


def logged(state: State, found: list[tuple[Position, Entry]]) -> None:
    """Make appended events visible."""
    for position, entry in found:
        if entry[1].kind == "timeline_opened":
            state.timelines = (*state.timelines, Begun(position.timeline, position.seq))
        state.events[position.seq] = entry
        state.seq = position.seq


class Store:
    """The servers, the way to them, and how slow everything is."""

    opens = True
    """The first event on a new timeline opens it (rule 6)."""
    names = True
    """Timelines have random names."""
    unknown_is_done = False
    """A commit that was cut off is taken as done: against rule 15."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random("store")
        first = Timeline(1, "first")
        keys = {"k0": {"kid": "k0"}}
        state = State("epoch-0", (Begun(first, 1),), 1, keys=keys)
        state.events[1] = (None, Happened(1, "timeline_opened", 0, timeline=str(first)))
        state.settled = frozenset({f"epoch-0 {first}"})
        self.primary = Server(self, state, first)
        self.servers = [self.primary]
        self.slow_until = 0.0
        self.lag_until = 0.0
        """Until then commits are visible long before they are durable."""
        self.cut: dict[str, float] = {}
        """Who can't reach the store, until when."""
        self.listeners: list[Callable[[Server], None]] = []
        self.epochs = 1

    # How slow.

    def working(self) -> float:
        """How long after its statement a commit is visible."""
        slow = self.world.now < self.slow_until and self.random.random() < 0.5
        return self.random.uniform(0.0, 3.0 if slow else 0.02)

    def lag(self) -> float:
        """How long after that it is durable."""
        late = self.world.now < self.lag_until
        return self.random.uniform(0.0, 3.0 if late else 0.01)

    def way(self) -> float:
        """How long a request or answer is under way."""
        slow = self.world.now < self.slow_until and self.random.random() < 0.3
        return self.random.uniform(0.0005, 3.0 if slow else 0.01)

    # Asking.

    def commit(self, process: Process, server: Server, transaction: Transaction) -> Reply:
        """Commit. Raises LostRace; Unavailable where the outcome is not known."""

        def arrive(reply: Reply) -> None:
            inner = Reply()
            inner.then(lambda v, e: self._back(process, reply, v, e))
            server.begin(transaction, inner)

        return self._ask(process, server, arrive, 7.0)

    def read(self, process: Process, server: Server, statement: Callable[[State], Any]) -> Reply:
        """Read, by one statement. Raises Unavailable."""

        def arrive(reply: Reply) -> None:
            self._back(process, reply, statement(server.state), None)

        return self._ask(process, server, arrive, 3.0)

    def _ask(
        self, process: Process, server: Server, arrive: Callable[[Reply], None], patience: float
    ) -> Reply:
        reply = Reply()
        if not self._reaches(process) or server.gone:
            self.world.after(0.5, lambda: reply.give(error=Unavailable("cut off")))
            return reply
        self.world.after(self.way(), lambda: arrive(reply))
        self.world.after(patience, lambda: reply.give(error=Unavailable("no answer")))
        return reply

    def _back(
        self, process: Process, reply: Reply, value: Any, error: Exception | None  # noqa: ANN401
    ) -> None:  # fmt: skip
        def arrive() -> None:
            if self._reaches(process):
                reply.give(value, error)

        self.world.after(self.way(), arrive)

    def _reaches(self, process: Process) -> bool:
        return self.world.now >= self.cut.get(process.name, 0.0)

    def changed(self, server: Server) -> None:
        """Something has become visible: wake those who listen."""
        for listener in self.listeners:
            listener(server)

    # What befalls it.

    def fail_over(self, *, lossless: bool) -> None:
        """Make a standby the primary; the old one may go on being read."""
        old = self.primary
        old.deposed = True
        state = old.standby(lambda: lossless or self.random.random() < 0.3)
        lost = old.state.seq - state.seq
        self._promote(state)
        self.world.tell(f"failover to {self.primary.timeline}: {lost} events are lost")

    def restore(self, backup: State) -> None:
        """Put a backup in the place of all: another epoch, and every session ended (rule 17)."""
        for server in self.servers:
            server.deposed = server.gone = True
        state = backup.twin()
        state.epoch = f"epoch-{self.epochs}"
        self.epochs += 1
        timeline = Timeline(1, f"restored{self.epochs}")
        state.seq += 1
        state.timelines = (Begun(timeline, state.seq),)
        opening = Happened(state.seq, "timeline_opened", 0, timeline=str(timeline))
        state.events = {state.seq: (None, opening)}
        state.floor = state.seq - 1
        state.ended = {}
        state.sessions = {}
        state.settled = frozenset()
        self.primary = Server(self, state, timeline)
        self.servers.append(self.primary)
        self.world.tell(f"restore: {state.epoch} begins at {state.seq}")
        self.changed(self.primary)

    def _promote(self, state: State) -> None:
        number = state.timelines[-1].timeline.number + 1
        name = f"t{len(self.servers)}" if self.names else "same"
        self.primary = Server(self, state, Timeline(number, name))
        self.servers.append(self.primary)
