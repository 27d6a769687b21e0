"""Rules that are broken on purpose, by the names that the protocol's page gives them."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from lastcall.events import Position
from lastcall.leases import margins
from lastcall.leases import node as node_module
from lastcall.leases.messages import Grant
from lastcall.leases.node import NodeSide
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import View
from tests.simulation.writes import Writes

Patch = pytest.MonkeyPatch


def _lease_from_receipt(patch: Patch) -> None:
    real = VerifierSide._take  # noqa: SLF001

    def take(self: VerifierSide, grant: Grant, now: float) -> None:
        if self._asked is not None:
            self._asked = (self._asked[0], now)
        real(self, grant, now)

    patch.setattr(VerifierSide, "_take", take)


def _grant_without_node_lease(patch: Patch) -> None:
    real = NodeSide._grant  # noqa: SLF001

    def grant(self: NodeSide, peer: Any, now: float, store_now: float) -> None:  # noqa: ANN401
        until = self.view.leased_until
        self.view.leased_until = max(until, now + self.lease)
        real(self, peer, now, store_now)
        self.view.leased_until = until

    patch.setattr(NodeSide, "_grant", grant)


def _forget_on_disconnect(patch: Patch) -> None:
    real = NodeSide.closed

    def closed(self: NodeSide, connection: int) -> None:
        peer = self._connected.get(connection)
        if peer is not None:
            peer.kept_until = float("-inf")
        real(self, connection)

    patch.setattr(NodeSide, "closed", closed)


def _no_margin(patch: Patch) -> None:
    patch.setattr(margins, "kept", lambda lease: lease)
    patch.setattr(margins, "inside", lambda left: left)


def _acknowledged_before_verifiers(patch: Patch) -> None:
    patch.setattr(NodeSide, "acked", lambda self, _: self.view.position)


def _no_floor(patch: Patch) -> None:
    def raise_floor(self: View, floor: int) -> None:
        for endings in self.accounts.values():
            endings.forget(floor)

    patch.setattr(View, "raise_floor", raise_floor)
    real = View.__init__

    def init(self: View, epoch: Any, timelines: Any, seq: int, _: int, keys: Any) -> None:  # noqa: ANN401
        real(self, epoch, timelines, seq, 0, keys)

    patch.setattr(View, "__init__", init)


def _position_read_at_insert(patch: Patch) -> None:
    patch.setattr(Writes, "sign_in_position", lambda _self, _started, at_insert: at_insert)


def _first_token_stamped_at_commit(patch: Patch) -> None:
    patch.setattr(Writes, "first_token_position", lambda _self, _begun, at_commit: at_commit)


def _place_without_timeline(patch: Patch) -> None:
    from lastcall.leases import view  # noqa: PLC0415

    def place(position: Position, epoch: str, _: Any, seq: int) -> view.Verdict:  # noqa: ANN401
        if position.epoch != epoch:
            return view.Verdict.REFRESH
        return view.Verdict.LIVES if position.seq <= seq else view.Verdict.AHEAD

    patch.setattr(view, "place", place)
    patch.setattr(node_module, "place", place)


FOUND: Final[dict[str, tuple[Callable[[Patch], None], int]]] = {
    "lease from receipt": (_lease_from_receipt, 315),
    "grant without node lease": (_grant_without_node_lease, 7),
    "forget on disconnect": (_forget_on_disconnect, 20),
    "no margin": (_no_margin, 16),
    "acknowledged before verifiers": (_acknowledged_before_verifiers, 15),
    "no floor": (_no_floor, 116),
    "position read at insert in place of start": (_position_read_at_insert, 18),
    "first token stamped at commit": (_first_token_stamped_at_commit, 45),
    "no timeline": (_place_without_timeline, 4),
}
"""How each is broken, and a seed whose run shows it."""
