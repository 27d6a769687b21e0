"""A verifier's process around the real VerifierSide: its connection, its cache, its checks."""

import math
from collections.abc import Callable

from lastcall.leases.endings import Over
from lastcall.leases.messages import FromVerifier, ProtocolError, read_from_node
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import Verdict, View
from tests.simulation.network import Link
from tests.simulation.nodes import SimNode
from tests.simulation.truth import Token, Truth
from tests.simulation.world import Process, World


class SimVerifier(Process):
    """One application's process."""

    def __init__(
        self,
        world: World,
        name: str,
        account: str,
        truth: Truth,
        nodes: Callable[[], list[SimNode]],
    ) -> None:
        super().__init__(world, name)
        self.account, self.truth, self._nodes = account, truth, nodes
        self.side = VerifierSide(f"{name}-of-this-process")
        self.link: Link | None = None
        self._cache: dict[str, tuple[View, int]] = {}
        self._links = 0
        self._ticking = 0
        self._connect()

    # The connection.

    def _connect(self) -> None:
        ready = [node for node in self._nodes() if node.alive and node.side is not None]
        if not ready:
            self.soon(0.5, self._connect)
            return
        node = self.random.choice(ready)
        self._links += 1
        number = int(self.name[1:]) * 1000 + self._links
        self.link = Link(self.world, number, (node, node), (self, self))
        node.connected(self.link, self.account)
        self._say(self.side.opened())
        self._tick()

    def heard(self, link: Link, data: bytes) -> None:
        """The node has said something."""
        if link is not self.link:
            return
        try:
            self._say(self.side.receive(read_from_node(data), self.clock()))
        except ProtocolError as error:
            self.world.tell(f"{self.name} closes its connection: {error}")
            link.close(self)
            self.broken(link)
        else:
            self._tick()

    def broken(self, link: Link) -> None:
        """The connection is closed."""
        if link is self.link:
            self.link = None
            self.side.closed()
            self.soon(self.random.uniform(0.1, 2.0), self._connect)

    def _say(self, messages: list[FromVerifier]) -> None:
        for message in messages:
            if self.link is not None:
                self.link.to_node(message)

    def _tick(self) -> None:
        self._say(self.side.tick(self.clock()))
        due = self.side.due()
        if due == math.inf:
            return
        self._ticking += 1
        number = self._ticking
        self.soon(
            max(0.05, self.real(due - self.clock())),
            lambda: self._tick() if number == self._ticking else None,
        )

    # Checking.

    def check(self, token: Token) -> None:
        """Check a token, by what this process knows."""
        began, view = self.world.now, self.side.view
        if view is None or not self.clock() < view.leased_until:
            self.truth.checked(began, self.name, token, "unavailable", "unknown")
            return
        version = view.version
        verdict = Verdict.LIVES
        if not self.hit(token, view, version):
            found = view.judge(token.account, token.user, token.session, token.position)
            if isinstance(found, Over):
                cause = "ended" if token.session in self.truth.over else None
                self.truth.checked(began, self.name, token, "refused", cause)
                return
            verdict = found
        if verdict is Verdict.LIVES and token.key in view.keys:
            self._cache[token.id] = (view, version)
            self.truth.checked(began, self.name, token, "accepted", "unknown")
        else:
            self.truth.checked(began, self.name, token, "unavailable", "unknown")

    def hit(self, token: Token, view: View, version: int) -> bool:
        """Whether it was found good by this very state (rule 11)."""
        known = self._cache.get(token.id)
        return known is not None and known[0] is view and known[1] == version
