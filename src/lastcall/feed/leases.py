"""Runs a node's side of the protocol: in the order that `leases.node` asks for, on the store, the
clock and the connections of its verifiers. One event loop does it all."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from lastcall import process
from lastcall.clock import Clock, Entropy
from lastcall.errors import LostRace, Unavailable
from lastcall.events import Position
from lastcall.feed import about, translation
from lastcall.feed.about import Follower
from lastcall.feed.confirmations import POLL_SECONDS, Confirmations
from lastcall.feed.connections import (
    GOING_AWAY,
    MOST,
    PROTOCOL_ERROR,
    REPLACED,
    REVOKED,
    Connection,
    Encoder,
)
from lastcall.identity.model import ServiceKey
from lastcall.ids import AccountId, KeyId, NodeId, new_node_id
from lastcall.leases import margins
from lastcall.leases.messages import (
    Checks,
    FromVerifier,
    Part,
    ProtocolError,
    Renew,
    Resume,
    Welcome,
    read_from_verifier,
)
from lastcall.leases.node import Cut, NodeSide, Remove, Send
from lastcall.leases.view import View
from lastcall.metrics import Metrics
from lastcall.signing import Signing
from lastcall.stores import base

log = logging.getLogger("lastcall.feed")

FORGET_SECONDS: Final = 60.0
"""How often it forgets the events that nobody's token is from before."""
QUIET: Final = 1 / 3
"""After which share of a lease without a renewal a node is called quiet: it has missed a few."""
FORGET_MARGIN: Final = timedelta(minutes=5)
"""How much longer than an access token lives its events are kept, for clocks that were set."""


def quiet(silent: timedelta, lease: timedelta) -> bool:
    """Whether a node with such a lease should have renewed it some time ago."""
    return silent >= QUIET * lease


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node as this one sees it at a moment: its row, whether it is this one, for how many seconds
    its row has not moved, and what it tells."""

    row: base.NodeRow
    own: bool
    silent_for: float
    about: about.About | None
    at: datetime

    @property
    def leased(self) -> bool:
        """Whether it may have a lease still."""
        return self.silent_for < self.row.lease.total_seconds()

    @property
    def quiet(self) -> bool:
        """Whether it has been silent for long."""
        return quiet(timedelta(seconds=self.silent_for), self.row.lease)

    def followers(self, account: AccountId) -> list[Follower]:
        """Give an account's verifiers that it names."""
        followers = self.about.followers if self.about else ()
        return [one for one in followers if one.account_id == account]

    def unnamed(self, account: AccountId) -> int:
        """Tell how many more an account has there."""
        return self.about.unnamed.get(account, 0) if self.about else 0

    def leases(self, one: Follower) -> bool:
        """Whether a verifier may have a lease of it still."""
        return self.leased and one.leased_until is not None and self.at < one.leased_until


class Leases:
    """The lease of this process, those of its verifiers, and what is confirmed."""

    def __init__(
        self,
        store: base.Store,
        signing: Signing,
        welcome: Callable[[str, str], Welcome],
        *,
        lease: timedelta,
        access_lifetime: timedelta,
        confirmations: Confirmations,
        metrics: Metrics,
        clock: Clock,
        entropy: Entropy,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`welcome` greets a verifier, given this node's name and the account of its key;
        `confirmations` are told what is decided, and when to look at it."""
        self._store = store
        self._signing = signing
        self._welcome = welcome
        self._lease = lease.total_seconds()
        self._remembered = access_lifetime + FORGET_MARGIN
        self._confirmations = confirmations
        self._metrics = metrics
        self._clock = clock
        self._entropy = entropy
        self._pause = pause
        self._side: NodeSide | None = None
        self._agent = process.agent()
        self._started_at = clock.now()
        self._connections: dict[int, Connection] = {}
        self._seen: dict[tuple[str, str], Connection] = {}
        """The newest connection of each verifier, by its account and name."""
        self._numbers = count(1)
        self._encoder = Encoder()
        self._version: int | None = None
        self._settled = True
        """Whether the store calls its timeline so."""
        self._told: Position | None = None
        """What this node's row says that it has acknowledged."""
        self._recalled = False
        """Whether verifiers were asked to go over to another node."""
        self._renewed_at = float("-inf")
        self._forgot_at = float("-inf")
        self._woken = asyncio.Event()
        self._busy = asyncio.Lock()
        self._requiring = asyncio.Lock()
        self._tried = 0
        """How many attempts those who ask have made."""
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    # Its life.

    async def start(self) -> None:
        """Register, read the log, get a lease, and go on by itself. Raises Unavailable."""
        self._require_open()
        if self._side is None:  # else an earlier start got as far as that
            self._store.watch(self._woken.set)
            await self._begin()
        await self._renew()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, for good. A node that no verifier depends on gives its lease back."""
        self._closed = True
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        for connection in self._connections.values():
            connection.cut(GOING_AWAY)
        side = self.side
        async with self._busy:  # whoever renews it now is the last to do so
            side.view.leased_until = float("-inf")
        side.tidy(self._clock.lease())
        if not any(peer.kept_until > self._clock.lease() for peer in side.peers):
            with contextlib.suppress(LostRace, Unavailable):
                await self._leave(side)

    def _require_open(self) -> None:
        if self._closed:
            raise Unavailable("this server has stopped")

    def stop(self) -> bool:
        """Ask the verifiers to go over to another node, if there is one: the server is stopping.
        Else close their connections; their leases go on (docs/decisions/0035). Whether they were
        asked, and have a moment for it."""
        side = self._side
        if side is not None and self._connections and side.others(self._clock.lease()):
            if not self._recalled:
                self._recalled = True
                side.give_back()
                self._deliver(side)
            return True
        for connection in self._connections.values():
            connection.cut(GOING_AWAY)
        return False

    @property
    def side(self) -> NodeSide:
        """What is decided. Raises Unavailable before the start."""
        if self._side is None:
            raise Unavailable("this process does not serve")
        return self._side

    @property
    def view(self) -> View | None:
        """What this node knows; None before the start. Whether there is a lease, it says."""
        return None if self._side is None else self._side.view

    # What others ask.

    def committed(self, _writes: Sequence[base.Write], committed: base.Committed) -> None:
        """A commit of this process is durable; wake up if it has ended or changed something."""
        if not committed.events:
            return
        if (side := self._side) is not None:
            now = self._clock.lease()
            self._confirmations.expect(committed.events, now)
            end = committed.events[-1].position
            if self._busy.locked() or any(event.key_id for event in committed.events):
                side.durable(end, now)
            else:
                events = translation.events(committed.events, lambda _: None)
                side.appended(events, end, now, self._store_now())
                self._deliver(side)
            self._woken.set()

    async def require(self) -> View:
        """Give what this node knows, with a lease: renewed first if it has run out (rule 16).

        Raises Unavailable."""
        if self._task is not None and self.side.leased(self._clock.lease()):
            return self.side.view
        tried = self._tried
        async with self._requiring:  # of many who ask at once, one renews, for better or worse
            if tried == self._tried:
                try:
                    if self._task is None:  # nobody has started a mounted application
                        await self.start()
                    if not self.side.leased(self._clock.lease()):
                        await self._renew()
                finally:
                    self._tried += 1
        if self._side is None or not self.side.leased(self._clock.lease()):
            raise Unavailable("this server has no lease from its database")
        return self.side.view

    async def require_reads(self) -> None:
        """See to it that a read decides: with a lease, where another database may have replaced
        the one that is read (rule 16). Raises Unavailable."""
        if self._store.deposable:
            await self.require()

    async def nodes(self) -> tuple[int, tuple["NodeState", ...]]:
        """Give the log's end, and all nodes, with what they tell."""
        nodes, now = await self._store.nodes(), self._clock.lease()
        own, at = self._side.name if self._side is not None else None, self._clock.now()
        return nodes.log.position.seq, tuple(
            NodeState(
                row,
                row.id == own,
                self._side.silent_for(row.id, now) if self._side and row.id != own else 0.0,
                about.read(row.about),
                at,
            )
            for row in nodes.rows
        )

    # The verifiers.

    @contextlib.contextmanager
    def connected(self, key: ServiceKey, ip: str | None) -> Iterator[Connection]:
        """A verifier's connection, as long as it lasts; it is greeted first. Raises Unavailable."""
        side = self.side
        if len(self._connections) >= MOST:
            raise Unavailable("too many verifiers follow this server; add another one", 30)
        connection = Connection(
            next(self._numbers), key.account_id, key.id, key.name, ip, self._clock.now()
        )
        self._connections[connection.number] = connection
        greeting = self._welcome(side.name, key.account_id)
        connection.put(self._encoder.text(greeting), part=False)
        try:
            yield connection
        finally:
            del self._connections[connection.number]
            self.side.closed(connection.number)

    def heard(self, connection: Connection, data: str | bytes) -> None:
        """A verifier has said something."""
        side = self.side
        try:
            message = read_from_verifier(data)
            now = self._clock.lease()
            side.receive(connection.number, connection.account_id, message, now, self._store_now())
        except ProtocolError:
            connection.cut(PROTOCOL_ERROR)
        else:
            self._note(connection, message)
        self._deliver(side)

    def _note(self, connection: Connection, message: FromVerifier) -> None:
        """Keep what a verifier tells for people."""
        match message:
            case Resume():
                connection.agent = message.agent
                self._seen[connection.account_id, message.verifier] = connection
            case Renew(checks=Checks() as checks):
                self._metrics.checked(checks)
            case _:
                pass

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The connections that are open."""
        return tuple(self._connections.values())

    # Its work.

    async def _run(self) -> None:
        while True:
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()
                await self._turn()
            except Unavailable as error:
                log.warning("the database can't be followed: %s", error)
                await self._pause(1.0)
            except Exception:
                log.exception("this node can't follow its database; it tries again")
                await self._pause(1.0)

    async def _turn(self) -> None:
        """One look at the store: read on if it has changed, renew if it is time to."""
        side, now = self.side, self._clock.lease()
        if self._woken.is_set() or await self._store.data_version() != self._version:
            self._woken.clear()
            await self._read()
        due = now - self._renewed_at >= self._lease * margins.NODE_RENEWS
        if due or (self._behind(side) and self._acknowledged(side) != self._told):
            await self._renew()
        self._tidy(side, now)
        await self._settle(side)
        self._confirmations.look()

    async def _settle(self, side: NodeSide) -> None:
        """Call the timeline settled for who comes later, once this node has waited (rule 6)."""
        if not self._settled and side.settled(self._clock.lease()):
            at = side.view.position
            with contextlib.suppress(LostRace):  # it has gone on to another one
                await self._store.commit(base.SettleTimeline(at.epoch, at.timeline))
                self._settled = True

    def _tidy(self, side: NodeSide, now: float) -> None:
        side.tidy(now)
        if len(self._seen) > len(known := {(peer.account, peer.name) for peer in side.peers}):
            self._seen = {key: one for key, one in self._seen.items() if key in known}

    async def _begin(self) -> None:
        """Be a new node: registered, with the log as it is now, and without a lease (rule 8)."""
        name = new_node_id(self._entropy)
        await self._store.commit(base.RegisterNode(name, timedelta(seconds=self._lease)))
        view, self._settled = await self._load()
        self._told = None
        if self._side is None:
            self._side = self._confirmations.side = NodeSide(name, self._lease, view)
        else:
            self._side.fenced(name, view, self._clock.lease())
        if not self._settled:
            self._side.unsettled(self._clock.lease())
        self._deliver(self._side)

    async def _load(self) -> tuple[View, bool]:
        """Read all that is in force, and whether its timeline is settled."""
        # The keys first: what changes in between is among the events.
        ring = await self._signing.refresh()
        part = await self._store.read_log(0, since=self._clock.now() - self._remembered)
        view = translation.empty_view(part, ring.jwks())
        while True:
            for account, event in translation.log(part, ring.jwk).events:
                view.apply(account, event)
            if view.seq >= part.log.position.seq:
                return view, part.log.settled
            part = await self._store.read_log(view.seq)

    async def _read(self) -> None:
        """Read what is new, all of it, and how far the other nodes are."""
        async with self._busy:
            side = self.side
            while True:
                begun = self._clock.lease()
                since = None
                if begun - self._forgot_at >= FORGET_SECONDS:
                    since, self._forgot_at = self._clock.now() - self._remembered, begun
                part = await self._store.read_log(side.view.seq, since=since)
                ring = await self._signing.ring()
                if any(event.key_id is not None for event in part.events):
                    ring = await self._signing.refresh()
                try:
                    part_of = translation.log(part, ring.jwk)
                    side.read(part_of, begun, self._clock.lease(), self._store_now())
                    if not self._store.deposable:  # what can be read there is durable
                        side.durable(side.view.position, self._clock.lease())
                except ProtocolError:
                    log.warning("the database holds another log than before; it is read anew")
                    view, _ = await self._load()
                    side.replace(view, self._clock.lease())
                self._deliver(side)
                if side.view.seq >= part.log.position.seq:
                    break
            self._version, self._settled = part.version, part.log.settled
            side.see(translation.rows(part.nodes), part.log.position, self._clock.lease())
            self._deliver(side)
            await self._remove(side)

    async def _renew(self) -> None:
        """Renew the lease, and write what has been acknowledged (rules 7, 8 and 11)."""
        async with self._busy:
            self._require_open()
            side = self.side
            known, acked = side.view.position, self._acknowledged(side)
            noted = self._clock.lease()
            try:
                renewed = await self._store.commit(self._renewal(side, known, acked, noted))
            except LostRace:
                log.warning("this node is fenced by its database; it goes on as a new one")
                await self._begin()
                return
            self._told, self._renewed_at = acked, noted
            now = self._clock.lease()
            side.renewed(noted, known, renewed.position, now, self._store_now())
            self._deliver(side)
        if not side.view.contains(renewed.position):
            await self._read()
        await self._check_keys()

    def _renewal(
        self, side: NodeSide, known: Position, acked: Position | None, now: float
    ) -> base.RenewNode:
        seqs = [peer.acked.seq if peer.acked else 0 for peer in side.peers if now < peer.kept_until]
        leased, lag = len(seqs), side.view.seq - min(seqs, default=side.view.seq)
        self._metrics.following(len(self._connections), leased, lag)
        told = about.write(self._agent, self._started_at, side, self._seen, now, self._clock.now())
        return base.RenewNode(NodeId(side.name), known, acked, leased, told)

    def _behind(self, side: NodeSide) -> bool:
        """Whether this node's row does not say all that it could say."""
        return self._told != side.view.position

    def _acknowledged(self, side: NodeSide) -> Position | None:
        acked = side.acked(self._clock.lease())
        return acked if acked.seq > 0 else None

    async def _remove(self, side: NodeSide) -> None:
        gone = [output.row for output in side.outputs if isinstance(output, Remove)]
        side.outputs.clear()
        for row in gone:
            with contextlib.suppress(LostRace):  # it lives, or another node was faster
                await self._store.commit(base.RemoveNode(NodeId(row.id), row.beat))

    async def _leave(self, side: NodeSide) -> None:
        for row in (await self._store.nodes()).rows:
            if row.id == side.name:
                await self._store.commit(base.RemoveNode(row.id, row.beat))

    async def _check_keys(self) -> None:
        """Cut the connections of keys that were revoked."""
        for key_id in {connection.key_id for connection in self._connections.values()}:
            if await self._store.find_service_key(key_id) is None:
                self._cut_key(key_id)

    def _cut_key(self, key_id: KeyId) -> None:
        for connection in self._connections.values():
            if connection.key_id == key_id:
                connection.cut(REVOKED)

    def _deliver(self, side: NodeSide) -> None:
        """Do what was decided, in order; rows are removed by who reads them."""
        outputs, side.outputs = side.outputs, []
        for output in outputs:
            match output:
                case Send(number, message):
                    if (connection := self._connections.get(number)) is not None:
                        text = self._encoder.text(message)
                        connection.put(text, part=isinstance(message, Part))
                case Cut(number):
                    if (connection := self._connections.get(number)) is not None:
                        connection.cut(REPLACED)
                case Remove():
                    side.outputs.append(output)
        if side.all_acknowledged:
            self._confirmations.look()
            if self._behind(side):
                self._woken.set()  # the other nodes wait for this row

    def _store_now(self) -> float:
        return self._clock.now().timestamp()
