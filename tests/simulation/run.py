"""One run: nodes, verifiers and people, what befalls them, and the judgement over it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from lastcall.errors import LostRace, Unavailable
from lastcall.events import Position
from lastcall.leases.messages import Happened
from tests.simulation import statements
from tests.simulation.befalls import befall
from tests.simulation.nodes import LEASE, CommandLine, Node, Task
from tests.simulation.schedule import FAULTS, LENGTH, REST, Step, draw
from tests.simulation.store import Entry, State, Store, Transaction
from tests.simulation.truth import Token, Truth
from tests.simulation.verifiers import Verifier
from tests.simulation.world import World
from tests.support import verdicts

USERS = ("ada", "bob", "grace")


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    seed: int
    steps: Sequence[Step]
    faults: list[str]
    story: list[tuple[float, str]]
    confirmed: int
    checks: int


class Run:
    """A seed's run with some of its steps."""

    again: Sequence[float] = (0.0001, 2.0)
    """How many seconds after a confirmation what it covers is checked by every verifier."""

    def __init__(self, seed: int, steps: Sequence[Step], *, calm: bool) -> None:
        self.world = World(str(seed))
        self.random = self.world.random("run")
        self.truth = Truth(self.world)
        self.truth.calm = calm
        self.truth.on_confirmed = self._check_at_once
        self.store = Store(self.world)
        self.encoded = seed % 8 == 0
        self.nodes = [
            self.new_node(f"n{number}") for number in range(self.random.choice((1, 2, 3)))
        ]
        self.verifiers = [self.new_verifier(f"v{number}") for number in range(3)]
        self.backup: State | None = None
        self.visible: dict[Any, tuple[Position, Entry]] = {}
        """The event of each ending that is visible, and where it is."""
        self._sessions = 0
        for step in steps:
            self.world.at(step.at, lambda step=step: self._take(step))  # type: ignore[misc]

    def go(self) -> None:
        """Let it happen."""
        self.world.run(LENGTH)
        self.store.slow_until = self.store.lag_until = 0.0
        self.store.cut.clear()
        for process in (*self.nodes, *self.verifiers):
            process.resume()
        self.world.run(LENGTH + REST)

    # Who is there.

    def new_node(self, name: str) -> Node:
        """A node that has just started."""
        node = Node(self.world, self.store, self.truth, name)
        self.store.listeners.append(lambda _: node.wake() if self.random.random() < 0.7 else None)
        node.soon(self.random.uniform(0, 0.3), lambda: node.start(node.life()))
        return node

    def new_verifier(self, name: str) -> Verifier:
        """A verifier that has just started."""
        verifier = Verifier(self.world, self.truth, name, self.nodes, encoded=self.encoded)
        self.begin(verifier)
        return verifier

    def begin(self, verifier: Verifier) -> None:
        """Have it live."""
        verifier.soon(self.random.uniform(0, 1.0), lambda: verifier.start(verifier.life()))

    # What is done.

    def _take(self, step: Step) -> None:
        random = Random(step.number)
        if step.kind in FAULTS:
            befall(self, step.kind, random)
            return
        nodes = [node for node in self.nodes if node.awake]
        if not nodes:
            return
        node = random.choice(nodes)
        if step.kind == "sign in":
            node.start(self._sign_in(node, random))
        elif not self.truth.tokens:
            pass
        elif step.kind == "command line":
            self._command_line(random)
        elif step.kind in self._deeds:
            self._deeds[step.kind](node, random)
        else:
            node.start(self._end(node, self._ending(step.kind, random)))

    @property
    def _deeds(self) -> dict[str, Callable[[Node, Random], None]]:
        return {
            "refresh": lambda node, random: node.start(
                self._refresh(node, random.choice(self.truth.tokens))
            ),
            "check": lambda _, random: self._check(random),
            "forget": lambda node, random: node.start(self._forget(node, random)),
            "change key": lambda node, _: node.start(self._change_key(node)),
        }

    def _command_line(self, random: Random) -> None:
        self._sessions += 1
        line = CommandLine(self.world, self.store, self.truth, f"line{self._sessions}")
        line.start(line.run(self._ending(random.choice(("end session", "end user")), random)))

    def _sign_in(self, node: Node, random: Random) -> Task:
        self._sessions += 1
        session, user = f"s{self._sessions}", random.choice(USERS)
        try:

            def start(state: State) -> Position:
                self.truth.starts(session, user, "a")
                return state.end

            position = yield from node.read(start)
            if random.random() < 0.5:  # steps: a second factor, a mailed link
                yield random.uniform(0.1, 6.0)
            token = yield from node.commit(
                statements.begin(self.truth, session, user, "a", position)
            )
        except (Unavailable, LostRace):
            return
        self._hand_out(token)

    def _refresh(self, node: Node, token: Token) -> Task:
        self._sessions += 1
        try:
            new = yield from node.commit(
                statements.refresh(self.truth, token.session, self._sessions)
            )
        except (Unavailable, LostRace):
            return
        self._hand_out(new)

    def _hand_out(self, token: Token) -> None:
        self.truth.hand_out(replace(token, made=self.world.now))

    def _ending(self, kind: str, random: Random) -> Transaction:
        token = random.choice(self.truth.tokens[-12:])
        match kind:
            case "end session":
                event = Happened(0, "session_ended", 0, session=token.session, reason="signed_out")
            case "end user":
                event = Happened(0, "user_ended", 0, user=token.user, reason="signed_out")
            case "end user but one":
                event = Happened(
                    0, "user_ended", 0, user=token.user, spared=token.session, reason="signed_out"
                )
            case "end account":
                event = Happened(0, "account_ended", 0, reason="signed_out")
            case "stale session":
                event = Happened(0, "session_stale", 0, session=token.session)
            case _:
                event = Happened(0, "user_stale", 0, user=token.user)
        return self._telling(statements.end("a", event))

    def _telling(self, transaction: Transaction) -> Transaction:
        """Have the truth know of its event when it is visible."""

        def seen(position: Position) -> None:
            for server in self.store.servers:
                if server.state.epoch == position.epoch:
                    found = server.state.events.get(position.seq)
                    if found is not None and server.state.holds(position):
                        self.visible[transaction.execute] = position, found
                        self.truth.happens(position, *found)
                        return

        return replace(transaction, seen=seen)

    def _end(self, node: Node, transaction: Transaction) -> Task:
        try:
            yield from node.commit(transaction)
        except LostRace:
            return
        except Unavailable:  # of unknown outcome, so not done (rule 15)
            if not self.store.unknown_is_done:
                return
        if (known := self.visible.get(transaction.execute)) is not None:
            node.ended(*known)

    def _change_key(self, node: Node) -> Task:
        self._sessions += 1
        key = {"kid": f"k{self._sessions}"}
        published = Happened(0, "key_published", 0, key=key)
        try:
            yield from node.commit(statements.end(None, published))
        except (Unavailable, LostRace):
            return
        yield 2 * LEASE  # a key signs only once its publication is confirmed
        old = statements.newest_key(node.server.state)
        others = [name for name in node.server.state.keys if name != old]
        if others:
            gone = Happened(0, "key_revoked", 0, key=others[0])
            yield from self._end(node, self._telling(statements.end(None, gone)))

    def _forget(self, node: Node, random: Random) -> Task:
        seq = node.server.state.seq - random.choice((0, 0, 2, 5))
        self.truth.floor = max(self.truth.floor, seq)
        try:
            yield from node.commit(statements.forget(seq))
        except (Unavailable, LostRace):
            return

    # Checks.

    def _check(self, random: Random) -> None:
        for verifier in self.verifiers:
            if verifier.awake:
                verifier.start(verifier.check(random.choice(self.truth.tokens[-20:])))

    def _check_at_once(self, position: Position) -> None:
        """Have every verifier check what has just been confirmed as over, and again later."""
        covered = self.truth.covers[position]
        tokens = [token for token in self.truth.tokens if covered.intersection(token.shows)][-3:]
        for delay in self.again:
            for verifier in self.verifiers:
                for token in tokens:
                    verifier.soon(
                        delay,
                        lambda verifier=verifier, token=token: verifier.start(  # type: ignore[misc]
                            verifier.check(token)
                        ),
                    )


def run(
    seed: int, steps: Sequence[Step] | None = None, faults: dict[str, float] | None = None
) -> Outcome:
    """Run a seed, with all of its steps or those that are given."""
    calm = faults is None and seed % 10 == 0
    wrong = {} if calm else FAULTS if faults is None else faults
    taken = draw(seed, wrong) if steps is None else steps
    one = Run(seed, taken, calm=calm)
    one.go()
    history = one.truth.history
    found = verdicts.faults(history, LEASE * verdicts.BOUND)
    checks = sum(isinstance(record, verdicts.Check) for record in history)
    confirmed = len(one.truth.first_confirmed)
    return Outcome(seed, taken, found, one.world.story, confirmed, checks)


def shortest(outcome: Outcome, faults: dict[str, float] | None = None, most: int = 150) -> Outcome:
    """Leave out steps for as long as the run still shows a fault."""
    best, size, tries = outcome, max(1, len(outcome.steps) // 2), 0
    while tries < most:
        smaller = None
        for start in range(0, len(best.steps), size):
            rest = [*best.steps[:start], *best.steps[start + size :]]
            tries += 1
            tried = run(outcome.seed, rest, faults)
            if tried.faults:
                smaller = tried
                break
            if tries >= most:
                break
        if smaller is not None:
            best = smaller
        elif size == 1:
            break
        size = max(1, min(size, len(best.steps)) // (1 if smaller else 2))
    return best


def tell(outcome: Outcome) -> str:
    """Write what a run showed, for people."""
    lines = [f"seed {outcome.seed}, {len(outcome.steps)} steps:"]
    lines += [f"  {at:8.3f}  {text}" for at, text in outcome.story]
    lines += [f"  {fault}" for fault in outcome.faults[:5]]
    return "\n".join(lines)
