"""A node's process around the real NodeSide, in the order of steps of `feed.leases`."""

from contextlib import suppress
from functools import partial

from lastcall.errors import LostRace, Unavailable
from lastcall.events import Position
from lastcall.leases import margins
from lastcall.leases.messages import ProtocolError, Welcome, read_from_verifier, write
from lastcall.leases.node import Cut, Log, NodeSide, Remove, Send
from lastcall.leases.view import Verdict, View
from tests.simulation.network import Link
from tests.simulation.store import Server, State, Store
from tests.simulation.truth import Truth
from tests.simulation.world import Process, Task, World
from tests.simulation.writes import Writes


class SimNode(Process):
    """One server process, up to its death."""

    def __init__(self, world: World, name: str, store: Store, writes: Writes, lease: float) -> None:
        super().__init__(world, name)
        self.store, self.writes, self.lease = store, writes, lease
        self.truth: Truth = writes.truth
        self.server: Server = store.primary
        self.side: NodeSide | None = None
        self.links: dict[int, Link] = {}
        self.pending: list[Position] = []
        self._known_durable: set[Position] = set()
        self._lives = 0
        """How often it became a new node: what it knew durable of another log counts no more."""
        self._told: Position | None = None
        self._renewed_at = float("-inf")
        self._version = (-1, -1)
        self.start(self._main())

    @property
    def title(self) -> str:
        """Its name in the history."""
        return f"{self.name}.{self._lives}"

    # Its work.

    def _main(self) -> Task:
        while True:
            try:
                if self.side is None:
                    yield from self._begin()
                    yield from self._renew()
                yield self.random.uniform(0.3, 1.5)
                yield from self._turn()
            except Unavailable:
                yield 0.5

    def _turn(self) -> Task:
        side = self.side
        if side is None:
            return
        now = self.clock()
        version = (id(self.server), len(self.server.commits))
        if version != self._version:
            yield from self._read()
            self._version = version
        due = now - self._renewed_at >= self.lease * margins.NODE_RENEWS
        if due or (self._told != side.view.position and side.acked(self.clock()) != self._told):
            yield from self._renew()
        side.tidy(now)
        self._move()

    def _begin(self) -> Task:
        name = f"{self.name}-{self._lives}-{self.random.randrange(1 << 30)}"
        yield self.store.commit(self, self.server, self.writes.register(name, self.lease))
        view = yield from self._load()
        self._told = None
        if self.side is None:
            self.side = NodeSide(name, self.lease, view)
            if f"{view.epoch} {view.timelines[-1].timeline}" not in self.server.state.settled:
                self.side.unsettled(self.clock())
        else:
            self.side.fenced(name, view, self.clock())
        self._lives += 1
        self._known_durable.clear()
        self.pending = [one for one in self.truth.covers if view.place(one) is Verdict.LIVES]
        self._deliver(self.side)

    def _load(self) -> Task:
        part: Log = yield self.store.read(self, self.server, lambda state: state.read_log(0))
        keys = dict(self.server.state.keys)
        view = View(part.end.epoch, part.timelines, part.floor, part.floor, keys)
        while True:
            for account, event in part.events:
                view.apply(account, event)
            if view.seq >= part.end.seq:
                return view
            after = view.seq
            part = yield self.store.read(self, self.server, partial(State.read_log, after=after))

    def _read(self) -> Task:
        side = self.side
        if side is None:
            return
        while True:
            begun, after = self.clock(), side.view.seq
            part: Log = yield self.store.read(
                self, self.server, partial(State.read_log, after=after)
            )
            try:
                side.read(part, begun, self.clock(), self.wall())
            except ProtocolError:
                view = yield from self._load()
                side.replace(view, self.clock())
                self._lives += 1
                self._known_durable.clear()
            self._deliver(side)
            if side.view.seq >= part.end.seq:
                break
        for position in self.truth.covers:
            if position not in self.pending and side.view.contains(position):
                self.pending.append(position)
        rows, end = yield self.store.read(
            self, self.server, lambda state: (tuple(state.rows.values()), state.end)
        )
        side.see(rows, end, self.clock())
        gone = [one.row for one in side.outputs if isinstance(one, Remove)]
        side.outputs.clear()
        for row in gone:
            with suppress(LostRace):
                yield self.store.commit(self, self.server, self.writes.remove(row))
        self._move()

    def _renew(self) -> Task:
        side = self.side
        if side is None:
            return
        acked = side.acked(self.clock())
        told = acked if acked.seq > 0 else None
        noted = self.clock()
        renewal = self.writes.renew(side.name, side.view.position, told, self.lease)
        try:
            end = yield self.store.commit(self, self.server, renewal)
        except LostRace:
            yield from self._begin()
            return
        self._told, self._renewed_at = told, noted
        side.renewed(noted, end, self.clock(), self.wall())
        self._deliver(side)
        if not side.view.contains(end):
            yield from self._read()

    # Terminations.

    def committed(self, position: Position) -> None:
        """Its own commit was answered."""
        if self.side is not None:
            self.side.durable(position, self.clock())
            if position not in self.pending:
                self.pending.append(position)
            self._move()
            self.wake()

    def _move(self) -> None:
        side = self.side
        if side is None:
            return
        now = self.clock()
        for position in tuple(self.pending):
            if side.view.place(position) is Verdict.REFRESH:
                self.pending.remove(position)
                continue
            progress = side.progress(position, now)
            if progress.certain_in < float("inf") and position not in self._known_durable:
                self._known_durable.add(position)
                self.truth.durable(self.title, position)
            if progress.state == "confirmed":
                self.pending.remove(position)
                self.truth.confirmed(self.title, position)
            else:
                self.truth.confirming(self.title, position)

    # Verifiers.

    def connected(self, link: Link, account: str) -> None:
        """A verifier has connected."""
        self.links[link.number] = link
        link.account = account  # type: ignore[attr-defined]
        link.to_verifier(Welcome(self.name, account, "issuer", "audience", self.lease))

    def heard(self, link: Link, data: bytes) -> None:
        """A verifier has said something."""
        side = self.side
        if side is None:
            return
        account: str = link.account  # type: ignore[attr-defined]
        try:
            message = read_from_verifier(data)
            side.receive(link.number, account, message, self.clock(), self.wall())
        except ProtocolError:
            link.close(self)
            side.closed(link.number)
        self._deliver(side)
        self._move()

    def broken(self, link: Link) -> None:
        """A connection is gone."""
        self.links.pop(link.number, None)
        if self.side is not None:
            self.side.closed(link.number)

    def _deliver(self, side: NodeSide) -> None:
        outputs, side.outputs = side.outputs, []
        for output in outputs:
            match output:
                case Send(number, message):
                    if number in self.links:
                        self.links[number].to_verifier(message, write(message))
                case Cut(number):
                    if (link := self.links.pop(number, None)) is not None:
                        link.close(self)
                case Remove():
                    side.outputs.append(output)
