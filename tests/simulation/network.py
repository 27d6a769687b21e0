"""Connections between verifiers and nodes: in order each way, slow, held up, broken."""

from collections.abc import Callable
from typing import Protocol

from lastcall.leases.messages import FromNode, FromVerifier, write
from tests.simulation.world import Process, World


class End(Protocol):
    """One end of a connection."""

    def heard(self, link: "Link", data: bytes) -> None:
        """A message has come."""

    def broken(self, link: "Link") -> None:
        """The connection is closed, as far as this end knows."""


class Link:
    """One connection. What is sent arrives in order, or not at all after a break."""

    overtakes: Callable[[FromNode | FromVerifier], bool] = staticmethod(lambda _: False)
    """Which messages don't wait for those before them: none, where the transport keeps order."""

    def __init__(
        self, world: World, number: int, node: tuple[Process, End], verifier: tuple[Process, End]
    ) -> None:
        self.world = world
        self.number = number
        self.node, self.verifier = node, verifier
        self.random = world.random(f"link {number}")
        self.open = True
        self._knows = {id(node[1]), id(verifier[1])}
        """The ends that believe it open."""
        self._arrives = {id(node[1]): 0.0, id(verifier[1]): 0.0}
        self._held = dict(self._arrives)

    def to_node(self, message: FromVerifier) -> None:
        """The verifier says something."""
        self._send(self.node, message)

    def to_verifier(self, message: FromNode, data: bytes | None = None) -> None:
        """The node says something, perhaps written already."""
        self._send(self.verifier, message, data)

    def hold(self, seconds: float, *, to_node: bool = True, to_verifier: bool = True) -> None:
        """Let nothing through for a while: it all arrives after."""
        for wanted, (_, end) in ((to_node, self.node), (to_verifier, self.verifier)):
            if wanted:
                self._held[id(end)] = max(self._held[id(end)], self.world.now + seconds)

    def release(self) -> None:
        """Hold nothing back any more that is sent from now on."""
        self._held = dict.fromkeys(self._held, 0.0)

    def cut(self, node_after: float = 0.0, verifier_after: float = 0.0) -> None:
        """Break the connection; each end notices after so many seconds."""
        self.open = False
        for (process, end), after in ((self.node, node_after), (self.verifier, verifier_after)):
            process.soon(after, lambda end=end: self._tell(end))  # type: ignore[misc]

    def close(self, by: End) -> None:
        """Close it from one end; the other end notices at once, where it can."""
        self._knows.discard(id(by))
        if self.open:
            self.open = False
            process, other = self.verifier if by is self.node[1] else self.node
            delay = max(self.random.uniform(0, 0.02), self._held[id(other)] - self.world.now)
            process.soon(delay, lambda: self._tell(other))

    def _tell(self, end: End) -> None:
        if id(end) in self._knows:
            self._knows.discard(id(end))
            end.broken(self)

    def _send(
        self, to: tuple[Process, End], message: FromNode | FromVerifier, data: bytes | None = None
    ) -> None:
        if not self.open:
            return
        process, end = to
        raw = write(message) if data is None else data
        moment = self.world.now + self.random.uniform(0.0005, 0.02)
        if not self.overtakes(message):
            moment = self._arrives[id(end)] = max(
                moment, self._arrives[id(end)], self._held[id(end)]
            )

        def arrive() -> None:
            if self.open and id(end) in self._knows:
                end.heard(self, raw)

        self.world.at(moment, lambda: process.soon(0.0, arrive))
