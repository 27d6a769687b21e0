"""A verifier's process: the real decisions of `leases.verifier`, and the real check."""

from datetime import UTC, datetime
from typing import Any

from lastcall.access import Access
from lastcall.errors import Error, InvalidToken, SessionEnded, Unavailable
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.leases.messages import Goodbye, ProtocolError
from lastcall.leases.verifier import VerifierSide
from lastcall.verifier.checking import Checker, Known, Meant
from lastcall.verifier.session import Session
from tests.simulation.channel import Channel
from tests.simulation.nodes import Node, Task
from tests.simulation.truth import Token, Truth
from tests.simulation.world import Process, World
from tests.support.verdicts import Verdict

LIFETIME = 20.0
"""Seconds that an access token lives, by the store's clock."""


class Check(Checker):
    """The library's check, of tokens without a signature: who holds one has it from a node."""

    def __init__(self, knows: Any, clock: Any, tokens: dict[str, Token]) -> None:  # noqa: ANN401
        super().__init__(knows, clock, cached=20)
        self._tokens = tokens

    def _connected(self) -> bool:
        return True

    def _meant(self) -> Meant:
        return Meant("iss", "aud", "a")

    def _ask(self, token: str) -> Session:
        raise Unavailable(token)

    async def _ask_aside(self, token: str) -> Session:
        raise Unavailable(token)

    def _prove(self, token: str) -> Known | None:
        view, found = self._knows.view, self._tokens[token]
        if view is None:
            return None
        if found.key not in view.keys:
            raise InvalidToken
        return Known(_access(found), found.key, view.keys[found.key])


def _access(token: Token) -> Access:
    made = datetime.fromtimestamp(1e9 + token.made, UTC)
    runs_out = datetime.fromtimestamp(1e9 + token.made + LIFETIME, UTC)
    return Access(
        "iss", UserId(token.user), "native", SessionId(token.session), "aud", made, runs_out,
        token.id, made, ("pwd",), AccountId(token.account), ("member",), token.position,
    )  # fmt: skip


class Verifier(Process):
    """One process of a service."""

    introspects = True

    def __init__(
        self, world: World, truth: Truth, name: str, nodes: list[Node], *, encoded: bool
    ) -> None:
        super().__init__(world, name)
        self.truth = truth
        self.nodes = nodes
        self.encoded = encoded
        self.side = self.new_side(name)
        self.check_of = Check(self.side, self.clock, truth.by_id)
        self.channel: Channel | None = None

    def new_side(self, name: str) -> VerifierSide:
        """Begin without anything (rule 12)."""
        return VerifierSide(f"{name:.<16}")

    def life(self) -> Task:
        """Follow one node after another."""
        while self.alive:
            if self.channel is None:
                alive = [node for node in self.nodes if node.alive]
                if not alive:
                    yield 0.5
                    continue
                self._connect(self.random.choice(alive))
            self._say(self.side.tick(self.clock()))
            due = self.side.due() - self.clock()
            yield min(0.4, max(0.05, due))
            if self.channel is None:
                yield self.random.uniform(0.05, 1.0)

    def _connect(self, node: Node) -> None:
        channel = Channel(self.world, self, node, encoded=self.encoded)
        self.channel = channel
        channel.verifier.hear = lambda message: self._hear(channel, message)
        channel.verifier.lost = lambda: self._lost(channel)
        self.world.after(0.001, lambda: node.soon(0.0, lambda: node.accept(channel)))
        self._say(self.side.opened())

    def _hear(self, channel: Channel, message: Any) -> None:  # noqa: ANN401
        if channel is not self.channel:
            return
        try:
            answers = self.side.receive(message, self.clock())
        except ProtocolError:
            channel.close(channel.verifier)
            return
        self._say(answers)
        if any(isinstance(answer, Goodbye) for answer in answers):
            channel.close(channel.verifier)
            return
        self._say(self.side.tick(self.clock()))

    def _lost(self, channel: Channel) -> None:
        if channel is self.channel:
            self.side.closed()
            self.channel = None

    def _say(self, messages: Any) -> None:  # noqa: ANN401
        for message in messages:
            if self.channel is not None:
                self.channel.say(self.channel.node, message)

    def fork(self, world: World, name: str) -> "Verifier":
        """A child: without lease, connection and name of its parent's (rule 12)."""
        child = type(self)(world, self.truth, name, self.nodes, encoded=self.encoded)
        child.rate, child._start, child._slept = self.rate, self._start, self._slept  # noqa: SLF001  one machine
        return child

    # Checks.

    def check(self, token: Token) -> Task:
        """Check a token; ask a node where this process can't tell."""
        began = self.world.now
        cause = self.truth.cause(token)
        verdict: Verdict
        try:
            self.check_of.verify(token.id)
            verdict = "accepted"
        except (InvalidToken, SessionEnded):
            verdict = "refused"
        except Error:
            verdict = "unavailable"
            alive = [node for node in self.nodes if node.alive]
            if self.introspects and alive:
                node = self.random.choice(alive)
                answer = yield from self._ask(node, token)
                if answer is not None and self.alive:
                    verdict = "accepted" if answer else "refused"
        self.truth.checked(began, self.name, token, verdict, cause)

    def _ask(self, node: Node, token: Token) -> Task:
        from tests.simulation.world import Reply  # noqa: PLC0415

        reply = Reply()
        self.world.after(5.0, lambda: reply.give(None))

        def task() -> Task:
            answer = yield from node.introspect(token)
            self.world.after(0.005, lambda: reply.give(answer))

        self.world.after(0.005, lambda: node.soon(0.0, lambda: node.start(task())))
        return (yield reply)
