"""A node's process: the real decisions of `leases.node`, driven in the order of `feed.leases`."""

import contextlib
from collections.abc import Generator
from math import isfinite
from typing import Any, Final

from lastcall.errors import LostRace, Unavailable
from lastcall.events import Position
from lastcall.leases import margins
from lastcall.leases.barrier import Outsider
from lastcall.leases.messages import Happened, ProtocolError, Welcome
from lastcall.leases.node import Cut, NodeSide, Remove, Send
from lastcall.leases.view import Verdict as Placed
from lastcall.leases.view import View
from tests.simulation import statements
from tests.simulation.channel import Channel
from tests.simulation.store import Entry, Server, State, Store
from tests.simulation.truth import Token, Truth
from tests.simulation.world import Process, World

LEASE: Final = 4.0
POLL: Final = 0.3
Task = Generator[Any, Any, Any]


class Asking(Process):
    """A process that uses the store: one server at a time, the primary as far as it knows."""

    def __init__(self, world: World, store: Store, truth: Truth, name: str) -> None:
        super().__init__(world, name)
        self.store = store
        self.truth = truth
        self.server: Server = store.primary

    def read(self, statement: Any) -> Task:  # noqa: ANN401  of the store's state
        """Read, by one statement. Raises Unavailable."""
        try:
            return (yield self.store.read(self, self.server, statement))
        except Unavailable:
            self.server = self.store.primary
            raise

    def commit(self, transaction: Any) -> Task:  # noqa: ANN401
        """Commit. Raises LostRace; Unavailable where the outcome is not known (rule 15)."""
        try:
            return (yield self.store.commit(self, self.server, transaction))
        except Unavailable:
            self.server = self.store.primary
            raise


class Node(Asking):
    """One server process."""

    decides_under_lease = True
    """Without a lease it decides nothing by a mere read (rule 16)."""

    def __init__(self, world: World, store: Store, truth: Truth, name: str) -> None:
        super().__init__(world, store, truth, name)
        self.side: Any = None
        """A NodeSide, once it has registered."""
        self.label = name
        """Its name, and a mark for each time that it had to begin with another log."""
        self.channels: dict[int, Channel] = {}
        self.open: dict[Position, None] = {}
        """Endings that this process knows and has not called confirmed."""
        self._durable: dict[Position, float] = {}
        self._told: Position | None = None
        self._renewed_at = float("-inf")
        self._ids = 0
        self._reading = 0
        """How many tasks are reading the log or renewing."""

    # Its work, as in `feed.leases`.

    def life(self) -> Task:
        """Follow the log, for as long as it lives."""
        while self.alive:
            try:
                if self.side is None:
                    yield from self._begin()
                    yield from self._renew()
                yield from self._turn()
            except Unavailable:
                yield 0.5
            except LostRace:
                pass
            yield POLL

    def _alone(self, task: Task) -> Task:
        self._reading += 1
        try:
            return (yield from task)
        finally:
            self._reading -= 1

    def _begin(self) -> Task:
        while True:
            self._ids += statements.Rules.ids_once or not self._ids
            name = f"{self.name}.{self._ids}"
            yield from self.commit(statements.register(name, LEASE))
            view, settled = yield from self._load()
            self._told = None
            if self.side is None:
                self.side = NodeSide(name, LEASE, view)
            else:
                if not view.contains(self.side.view.position):
                    self._durable.clear()
                    self.label += "~"
                self.side.fenced(name, view, self.clock())
            if not settled:
                self.side.unsettled(self.clock())
            self.deliver()
            return

    def _load(self) -> Task:
        def first(state: State) -> Any:  # noqa: ANN401
            timeline = f"{state.epoch} {state.timelines[-1].timeline}"
            return dict(state.keys), state.read_log(0), timeline in state.settled

        keys, part, settled = yield from self.read(first)
        view = View(part.end.epoch, part.timelines, part.floor, part.floor, keys)
        while True:
            for account, event in part.events:
                view.apply(account, event)
                self._know(view, account, event)
            if view.seq >= part.end.seq:
                return view, settled
            part = yield from self.read(lambda state: state.read_log(view.seq))

    def _turn(self) -> Task:
        yield from self._read()
        side, now = self.side, self.clock()
        due = now - self._renewed_at >= LEASE * margins.NODE_RENEWS
        if due or side.acked(now) != self._told:
            yield from self._renew()
        side.tidy(self.clock())
        yield from self._settle()
        self.look()

    def _read(self) -> Task:
        yield from self._alone(self._read_on())

    def _read_on(self) -> Task:
        side = self.side
        while True:
            begun = self.clock()
            part, rows = yield from self.read(
                lambda state: (state.read_log(side.view.seq), [*state.rows.values()])
            )
            try:
                side.read(part, begun, self.clock(), self.store_now())
                for account, event in part.events:
                    self._know(side.view, account, event)
            except ProtocolError:
                view, _ = yield from self._load()
                side.replace(view, self.clock())
                self._durable.clear()
                self.label += "~"
            self.deliver()
            if side.view.seq >= part.end.seq:
                break
        side.see(rows, part.end, self.clock())
        gone = [output.row for output in side.outputs if isinstance(output, Remove)]
        self.deliver()
        for row in gone:
            with contextlib.suppress(LostRace):
                yield from self.commit(statements.remove(row))

    def _renew(self) -> Task:
        end = yield from self._alone(self._ask())
        if end is None:
            return
        side = self.side
        if not side.view.contains(end):
            yield from self._read()
        now = self.clock()
        for position in self.open:
            if isfinite(side.progress(position, now).certain_in):
                self._note_durable(position)

    def _ask(self) -> Task:
        side = self.side
        now = self.clock()
        known, acked = side.view.position, side.acked(now)
        leased = sum(now < peer.kept_until for peer in side.peers)
        noted = self.clock()
        try:
            renewal = statements.renew(side.name, known, acked, LEASE, leased)
            end = yield from self.commit(renewal)
        except LostRace:
            yield from self._begin()
            return None
        self._told, self._renewed_at = acked, noted
        now = self.clock()
        side.renewed(noted, known, end, now, self.store_now())
        self.deliver()
        return end

    def _settle(self) -> Task:
        side = self.side
        timeline = f"{side.view.epoch} {side.view.timelines[-1].timeline}"
        if side.settled(self.clock()) and timeline not in self.server.state.settled:
            yield from self.commit(statements.settle(timeline))

    # Its verifiers.

    def accept(self, channel: Channel) -> None:
        """A verifier has connected."""
        channel.node.hear = lambda message: self._heard(channel, message)
        channel.node.lost = lambda: self._closed(channel)
        self.channels[channel.number] = channel
        channel.say(channel.verifier, Welcome(self.name, "a", "iss", "aud", LEASE))

    def _heard(self, channel: Channel, message: Any) -> None:  # noqa: ANN401
        if self.side is None:
            channel.close(channel.node)
            return
        try:
            self.side.receive(channel.number, "a", message, self.clock(), self.store_now())
        except ProtocolError:
            channel.close(channel.node)
        self.deliver()
        if self.side.all_acknowledged:
            self.look()

    def _closed(self, channel: Channel) -> None:
        self.channels.pop(channel.number, None)
        if self.side is not None:
            self.side.closed(channel.number)

    def deliver(self) -> None:
        """Do what was decided, in order."""
        if self.side is None:
            return
        outputs, self.side.outputs = self.side.outputs, []
        for output in outputs:
            match output:
                case Send(number, message) if number in self.channels:
                    self.channels[number].say(self.channels[number].verifier, message)
                case Cut(number) if number in self.channels:
                    self.channels[number].close(self.channels[number].node)
                case _:
                    pass
        if self.side.all_acknowledged:
            self.wake()

    # What is confirmed.

    def _know(self, view: View, account: str | None, event: Happened) -> None:
        if event.kind.endswith(("_ended", "_revoked", "_stale")) and account in ("a", None):
            timeline = next(
                begun.timeline for begun in reversed(view.timelines) if begun.seq <= event.seq
            )
            self.open.setdefault(Position(view.epoch, timeline, event.seq))

    def ended(self, position: Position, entry: Entry) -> None:
        """A commit of this process was answered: its event is durable."""
        self.open.setdefault(position)
        if self.side is not None:
            if self._reading:
                self.side.durable(position, self.clock())
            else:
                self.side.appended([entry], position, self.clock(), self.store_now())
                self.deliver()
            if isfinite(self.side.progress(position, self.clock()).certain_in):
                self._note_durable(position)
        self.wake()

    def _note_durable(self, position: Position) -> None:
        if position not in self._durable:
            self._durable[position] = self.world.now
            self.truth.durable(self.label, position)

    def look(self) -> None:
        """Call confirmed what is."""
        if self.side is None:
            return
        now = self.clock()
        for position in [*self.open]:
            if self.side.view.place(position) is Placed.REFRESH:
                del self.open[position]  # of a log that is no more
                continue
            if self.side.progress(position, now).state == "confirmed":
                del self.open[position]
                self.truth.confirmed(self.name, position)
            elif position in self._durable:
                self.truth.confirming(self.label, position)

    def store_now(self) -> float:
        """The store's clock."""
        return 1e9 + self.world.now

    # What it answers.

    def introspect(self, token: Token) -> Task:
        """Whether a token is good, by the database, under a lease (rule 16); None: no answer."""
        try:
            if self.decides_under_lease:
                if self.side is None:
                    return None
                if not self.side.leased(self.clock()):
                    yield from self._renew()
                if not self.side.leased(self.clock()):
                    return None
            good = yield from self.read(
                lambda state: state.good(token.session, token.user, token.key, token.position)
            )
        except (Unavailable, LostRace):
            return None
        if self.decides_under_lease and not self.side.leased(self.clock()):
            return None
        return good


class CommandLine(Asking):
    """A process that is no node: it ends something, and looks on until that is confirmed."""

    def run(self, transaction: Any) -> Task:  # noqa: ANN401
        """Do it."""
        try:
            position = yield from self.commit(transaction)
        except (Unavailable, LostRace):
            return
        self.truth.durable(self.name, position)
        timelines = self.server.state.timelines
        outsider = Outsider(LEASE, position.epoch, timelines)
        outsider.barrier.durable(position.seq, self.clock())
        if f"{position.epoch} {timelines[-1].timeline}" not in self.server.state.settled:
            outsider.barrier.meet(self.clock())
            outsider.barrier.durable(position.seq, self.clock())
        while self.alive:
            if outsider.progress(position, self.clock()).state == "confirmed":
                self.truth.confirmed(self.name, position)
                return
            self.truth.confirming(self.name, position)
            try:
                rows, end = yield from self.read(lambda state: ([*state.rows.values()], state.end))
                outsider.see(rows, end, self.clock())
            except Unavailable:
                pass
            yield POLL
