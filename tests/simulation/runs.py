"""One run: a plan of what is done and what befalls everybody, from a seed, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from lastcall.errors import LostRace, Unavailable
from lastcall.events import Position
from tests.simulation.nodes import SimNode
from tests.simulation.store import Store
from tests.simulation.truth import Truth
from tests.simulation.verifiers import SimVerifier
from tests.simulation.world import Task, World
from tests.simulation.writes import Writes
from tests.support.verdicts import Confirmed, faults

LEASE: Final = 8.0
USERS: Final = (("ada", "acme"), ("bob", "acme"), ("eve", "other"))
ACTIVE: Final = 40.0
END: Final = 70.0
KINDS: Final = (
    *["sign_in"] * 4, *["refresh"] * 5, *["end_session"] * 3, *["end_user"] * 4, "end_account",
    "stale", "forget", "pause_verifier", "pause_verifier", "hold", "hold", "deaf", "deaf", "cut",
    "cut", "pause_node", "cut_store", "crash_node", "slow_store", "lag", "fail_over",
)  # fmt: skip


@dataclass(frozen=True)
class Act:
    """Something that is done, or that befalls somebody, at a moment."""

    at: float
    kind: str
    who: int
    other: int
    seconds: float


def plan(seed: str) -> list[Act]:
    """What happens in a run."""
    random = Random(f"plan {seed}")
    acts = [Act(random.uniform(1, 4), "sign_in", one, one, 0.0) for one in range(6)]
    for _ in range(random.randint(15, 40)):
        kind = random.choice(KINDS)
        at = random.uniform(3, ACTIVE)
        who, other = random.randrange(1 << 16), random.randrange(1 << 16)
        acts.append(Act(at, kind, who, other, random.choice((1.0, 4.0, 9.0, 14.0))))
    return sorted(acts, key=lambda act: act.at)


class Run:
    """A run of a plan."""

    def __init__(self, seed: str, acts: Sequence[Act]) -> None:
        self.world = World(seed)
        self.truth = Truth(self.world)
        self.writes = Writes(self.truth)
        self.store = Store(self.world)
        random = self.world.random("size")
        self.nodes = [self._node(number) for number in range(random.randint(1, 3))]
        self.verifiers = [
            SimVerifier(
                self.world, f"v{number}", random.choice(("acme", "acme", "other")), self.truth,
                lambda: self.nodes,
            )
            for number in range(random.randint(1, 4))
        ]  # fmt: skip
        self.truth.on_confirmed = self._probe
        self.store.listeners.append(self._notify)
        self._sessions = 0
        for act in acts:
            self.world.at(act.at, lambda act=act: self._do(act))  # type: ignore[misc]

    def faults(self) -> list[str]:
        """Let it run, and judge it."""
        self.world.run(END)
        found = faults(self.truth.history, LEASE)
        confirmed = {one.event for one in self.truth.history if isinstance(one, Confirmed)}
        self.world.tell(f"{len(confirmed)} of {len(self.truth.covers)} events are confirmed")
        return found

    def _node(self, number: int) -> SimNode:
        return SimNode(self.world, f"n{number}", self.store, self.writes, LEASE)

    def _notify(self, server: object) -> None:
        for node in self.nodes:
            if node.server is server and node.random.random() < 0.2:
                node.wake()

    def _probe(self, position: Position) -> None:
        """Check what has just been confirmed as over, everywhere, now and later."""
        covers = self.truth.covers[position]
        tokens = [one for one in self.truth.tokens if covers.intersection(one.shows)][-3:]

        def check() -> None:
            for verifier in self.verifiers:
                for token in tokens:
                    if verifier.awake and token.account == verifier.account:
                        verifier.check(token)

        for delay in (1e-6, 0.3, 1.0, 2.5, 5.0, 8.0):
            self.world.after(delay, check)

    def _do(self, act: Act) -> None:  # noqa: C901, PLR0912
        node = self.nodes[act.who % len(self.nodes)]
        verifier = self.verifiers[act.other % len(self.verifiers)]
        tokens = self.truth.tokens
        token = tokens[act.other % len(tokens)] if tokens else None
        user, account = USERS[act.other % len(USERS)]
        at = int(node.wall())
        match act.kind:
            case "sign_in":
                node.start(self._sign_in(node, user, account, act.seconds))
            case "refresh" if token:
                node.start(self._refresh(node, token.session))
            case "end_session" if token:
                node.start(
                    self._end(node, self.writes.end_session(token.session, token.account, at))
                )
            case "end_user" | "end_account":
                kind, owner = (
                    ("user_ended", user) if act.kind == "end_user" else ("account_ended", account)
                )
                spared = token.session if token and act.seconds > 4 and token.user == user else None
                node.start(self._end(node, self.writes.end_all(kind, owner, account, at, spared)))
            case "stale" if token:
                node.start(
                    self._end(node, self.writes.stale(token.session, None, token.account, at))
                )
            case "forget":
                node.start(self._end(node, self.writes.forget(3)))
            case "pause_verifier":
                verifier.pause(act.seconds)
            case "pause_node":
                node.pause(act.seconds)
            case "hold" if verifier.link:
                verifier.link.hold(act.seconds)
            case "deaf" if verifier.link:
                verifier.link.hold(act.seconds, to_node=False)
            case "cut" if verifier.link:
                verifier.link.cut(0.0, act.seconds)
            case "cut_store":
                self.store.cut[node.name] = self.world.now + act.seconds
            case "crash_node":
                self._crash(act.who % len(self.nodes), act.seconds)
            case "slow_store":
                self.store.slow_until = self.world.now + act.seconds
            case "lag":
                self.store.lag_until = self.world.now + act.seconds
            case "fail_over":
                self.store.fail_over(lossless=bool(act.other % 2))
                for one in self.nodes:
                    one.soon(one.random.uniform(0, 6), lambda one=one: self._switch(one))  # type: ignore[misc]
            case _:
                return
        self.world.tell(f"{act.kind} node {node.name} verifier {verifier.name} {act.seconds:.0f} s")

    def _switch(self, node: SimNode) -> None:
        node.server = self.store.primary

    def _crash(self, number: int, seconds: float) -> None:
        node = self.nodes[number]
        node.alive = False
        for link in node.links.values():
            link.cut(0.0, seconds / 4)
        made = len(self.world.story)

        def again() -> None:
            self.nodes[number] = self._node(made * 10 + number + 10)

        self.world.after(seconds, again)

    # What clients do.

    def _sign_in(self, node: SimNode, user: str, account: str, seconds: float) -> Task:
        self._sessions += 1
        session = f"s{self._sessions}"

        def start(state: object) -> Position:
            self.truth.starts(session, user, account)
            return state.end  # type: ignore[attr-defined,no-any-return]

        try:
            started = yield self.store.read(node, node.server, start)
            yield seconds / 4
            begin = self.writes.begin(session, user, account, started, "k0")
            self.truth.tokens.append((yield self.store.commit(node, node.server, begin)))
        except (LostRace, Unavailable):
            return

    def _refresh(self, node: SimNode, session: str) -> Task:
        try:
            made = yield self.store.commit(node, node.server, self.writes.refresh(session, "k0"))
            self.truth.tokens.append(made.token())
        except (LostRace, Unavailable):
            return

    def _end(self, node: SimNode, transaction: object) -> Task:
        try:
            found = yield self.store.commit(node, node.server, transaction)  # type: ignore[arg-type]
        except (LostRace, Unavailable):
            return
        for position, _ in found or ():
            if position in self.truth.covers:
                node.committed(position)
