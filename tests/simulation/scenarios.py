"""Races that a random run hits too rarely, each step by step; gives whether an ended session was
accepted after its end was confirmed."""

import contextlib
from collections.abc import Callable
from typing import Any, Final

from lastcall.errors import LostRace
from lastcall.events import Position
from lastcall.leases.messages import Grant, Happened, Renew, Resume, Welcome, store_position
from lastcall.leases.node import NodeSide, Remove
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import Verdict, View
from tests.simulation import statements
from tests.simulation.store import Redo, Server, Store, Transaction
from tests.simulation.world import World

LEASE: Final = 6.0
ENDED: Final = Happened(0, "session_ended", 0, session="s1", reason="signed_out")


class Table:
    """A store, and nodes that do what a scenario tells them, when it does."""

    def __init__(self) -> None:
        self.store = Store(World("scenario"))
        self.now = 100.0
        begun = self.server.state.end
        self.token = begun

    @property
    def server(self) -> Server:
        """The primary."""
        return self.store.primary

    def state(self, transaction: Transaction) -> tuple[Redo, Any]:
        """Run a statement; what it changes is not visible yet. Raises LostRace."""
        return transaction.execute(self.server)

    def show(self, redo: Redo) -> None:
        """Its commit is visible, durable and answered."""
        redo(self.server.state)

    def commit(self, transaction: Transaction) -> Any:  # noqa: ANN401
        """All of it at once."""
        redo, result = self.state(transaction)
        self.show(redo)
        return result

    def node(self, name: str) -> NodeSide:
        """A node that has registered and read the log, and has no lease."""
        self.commit(statements.register(name, LEASE))
        return NodeSide(name, LEASE, self.view())

    def view(self) -> View:
        """The log as it is."""
        state = self.server.state
        part = state.read_log(0)
        view = View(state.epoch, part.timelines, part.floor, part.floor, dict(state.keys))
        for account, event in part.events:
            view.apply(account, event)
        return view

    def renew(self, node: NodeSide) -> None:
        """Renew a node's lease. Raises LostRace."""
        noted, known = self.now, node.view.position
        renewal = statements.renew(node.name, known, node.acked(self.now), LEASE, 0)
        node.renewed(noted, known, self.commit(renewal), self.now, self.now)

    def read(self, node: NodeSide) -> None:
        """Have a node read on, and look at all rows."""
        part = self.server.state.read_log(node.view.seq)
        node.read(part, self.now, self.now, self.now)
        node.see([*self.server.state.rows.values()], self.server.state.end, self.now)

    def end(self, node: NodeSide) -> Position:
        """A node ends the session, knows that durable, and reads on."""
        position: Position = self.commit(statements.end("a", ENDED))
        node.durable(position, self.now)
        self.read(node)
        node.durable(position, self.now)
        return position

    def accepted(self, ender: NodeSide, position: Position, other: NodeSide) -> bool:
        """Whether one calls the end confirmed while the other one accepts the session."""
        confirmed = ender.progress(position, self.now).state == "confirmed"
        found = other.view.judge("a", "ada", "s1", self.token)
        return confirmed and other.leased(self.now) and found is Verdict.LIVES


def renewal_without_a_row() -> bool:
    """A node whose row is gone renews; its statement comes before an ending, its row after."""
    table = Table()
    ender, other = table.node("n0"), table.node("n1")
    table.renew(ender)
    del table.server.state.rows["n1"]
    noted = table.now
    try:
        known = other.view.position
        redo, end = table.state(statements.renew("n1", known, None, LEASE, 0))
    except LostRace:
        return False
    table.now += 0.1
    position = table.end(ender)
    table.show(redo)
    other.renewed(noted, known, end, table.now, table.now)
    return table.accepted(ender, position, other)


def _removal() -> tuple[Table, NodeSide, NodeSide, Remove]:
    """One node has seen another one silent for long enough, and is about to delete its row."""
    table = Table()
    ender, other = table.node("n0"), table.node("n1")
    table.renew(ender)
    table.renew(other)
    table.read(ender)
    table.now += 2 * LEASE
    table.renew(ender)
    table.read(ender)
    removal = next(one for one in ender.outputs if isinstance(one, Remove))
    return table, ender, other, removal


def delete_of_a_row_that_moved() -> bool:
    """The row moves before it is deleted."""
    table, ender, other, removal = _removal()
    table.renew(other)
    try:
        table.commit(statements.remove(removal.row))
    except LostRace:
        return False
    return table.accepted(ender, table.end(ender), other)


def delete_of_a_row_that_was_made_anew() -> bool:
    """The row goes, the node registers again, and then comes a delete that was meant for it."""
    table, ender, other, removal = _removal()
    table.commit(statements.remove(removal.row))
    name = other.name if not statements.Rules.ids_once else "n1.2"
    table.commit(statements.register(name, LEASE))
    other.fenced(name, table.view(), table.now)
    table.renew(other)
    try:
        table.commit(statements.remove(removal.row))
    except LostRace:
        return False
    return table.accepted(ender, table.end(ender), other)


def beat_that_was_lost_and_came_again() -> bool:
    """A renewal is lost with the primary, and its node renews at the next one: the same beat, which
    another node has looked at for long."""
    table = Table()
    ender, other = table.node("n0"), table.node("n1")
    table.renew(ender)
    before = table.server.state.twin()
    table.renew(other)
    table.read(ender)
    table.now += 2 * LEASE
    table.store.primary.state = before
    table.store.fail_over(lossless=True)
    table.server.state = before.twin()
    table.commit(statements.end("a", Happened(0, "session_ended", 0, session="another")))
    table.read(other)
    table.renew(other)
    table.read(ender)
    table.renew(ender)
    for output in ender.outputs:
        if isinstance(output, Remove):
            table.commit(statements.remove(output.row))
    return table.accepted(ender, table.end(ender), other)


def renewal_of_what_was_lost() -> bool:
    """A node reads an end that is then lost with the primary, and renews at the next one. One of
    its verifiers has not acknowledged it, so that its row names nothing that was lost."""
    table = Table()
    ender, other = table.node("n0"), table.node("n1")
    table.renew(ender)
    resume = Resume("v" * 16, store_position(ender.view.position))
    asked = Renew(1, store_position(ender.view.position))
    for said in (resume, asked):
        ender.receive(1, "a", said, table.now, table.now)
    before = table.server.state.twin()
    position: Position = table.commit(statements.end("a", ENDED))
    table.read(ender)
    table.store.fail_over(lossless=True)
    table.server.state = before
    with contextlib.suppress(LostRace):
        table.renew(ender)
    table.now += 2 * LEASE
    table.read(other)
    table.renew(other)
    return table.accepted(ender, position, other)


def snapshot_of_a_node_that_is_behind() -> bool:
    """A verifier with a lease gets a snapshot from before what it knew."""
    table = Table()
    ahead = table.node("n0")
    behind = table.view().snapshot("a")
    table.renew(ahead)
    table.end(ahead)
    verifier = VerifierSide("v" * 16)
    verifier.opened()
    verifier.receive(Welcome("n0", "a", "iss", "aud", LEASE), table.now)
    for piece in ahead.view.snapshot("a"):
        verifier.receive(piece, table.now)
    for asked in verifier.tick(table.now):
        position = store_position(ahead.view.position)
        verifier.receive(Grant(getattr(asked, "request", 0), 4.0, position, 0.0), table.now)
    if not verifier.leased(table.now):
        raise AssertionError("the scenario does not begin")
    verifier.closed()
    verifier.opened()
    verifier.receive(Welcome("n1", "a", "iss", "aud", LEASE), table.now)
    for piece in behind:
        verifier.receive(piece, table.now)
    view = verifier.view
    lives = view is not None and view.judge("a", "ada", "s1", table.token) is Verdict.LIVES
    return verifier.leased(table.now) and lives


Scenario = Callable[[], bool]
