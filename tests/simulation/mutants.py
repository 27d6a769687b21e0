"""Each rule broken on purpose, and where that shows: a mutant that nobody finds is a check that
can't fail."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from unittest.mock import patch

import msgspec

from lastcall.events import Position
from lastcall.leases import barrier, endings, margins, node, verifier, view
from lastcall.leases.messages import (
    Cover,
    Events,
    FromNode,
    FromVerifier,
    Grant,
    Happened,
    store_position,
)
from lastcall.leases.view import NEVER, Verdict
from lastcall.verifier.checking import Checker
from lastcall.verifier.session import Session
from tests.simulation import channel, nodes, scenarios, statements, store, verifiers, world
from tests.simulation.run import Outcome, Run, run
from tests.simulation.schedule import FAULTS

DENSE: Final = (0.0001, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0)
"""When after a confirmation what it covers is checked."""


@dataclass(frozen=True)
class Mutant:
    """A broken rule. `seed`: where it was found first, so that it is found at once; `often` makes
    what it takes more frequent."""

    name: str
    patches: tuple[Any, ...]
    seed: int = 0
    often: dict[str, float] | None = None
    scenario: scenarios.Scenario | None = None
    """The race that shows it, where random runs hit it too rarely."""

    @contextlib.contextmanager
    def broken(self) -> Iterator[None]:
        """Break it, within a block."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(patch.object(Run, "again", DENSE))
            for one in self.patches:
                stack.enter_context(one)
            yield

    def find(self, most: int = 60) -> Outcome | None:
        """Run seeds until one shows a fault."""
        with self.broken():
            for seed in range(self.seed, self.seed + most):
                outcome = run(seed, faults={**FAULTS, **(self.often or {})})
                if outcome.faults:
                    return outcome
        return None


# Leases.

_take = verifier.VerifierSide._take
_grant = node.NodeSide._grant
_closed = node.NodeSide.closed
_install = verifier.VerifierSide._install
_say = channel.Channel.say


def _from_receipt(self: verifier.VerifierSide, grant: Grant, now: float) -> None:
    if self._asked is not None:
        self._asked = (self._asked[0], now)
    _take(self, grant, now)


def _unchecked(self: verifier.VerifierSide, grant: Grant, now: float) -> None:
    if self.view is not None:
        position = store_position(self.view.position)
        _take(self, msgspec.structs.replace(grant, position=position), now)


def _without_own(self: node.NodeSide, peer: node.Peer, now: float, store_now: float) -> None:
    before = self.view.leased_until
    self.view.leased_until = max(before, now + self.lease)
    _grant(self, peer, now, store_now)
    self.view.leased_until = before


def _forgetting(self: node.NodeSide, connection: int) -> None:
    peer = self._connected.get(connection)
    _closed(self, connection)
    if peer is not None:
        peer.kept_until = NEVER


def _overtaking(self: channel.Channel, to: channel.End, message: Any) -> None:  # noqa: ANN401
    if isinstance(message, Events) and not self.broken:
        self._world.after(1.5, lambda: self._arrive(to, message))
    else:
        _say(self, to, message)


def _keeping(self: verifier.VerifierSide) -> list[FromVerifier]:
    until = NEVER if self.view is None else self.view.leased_until
    said = _install(self)
    if self.view is not None:
        self.view.leased_until = max(self.view.leased_until, until)
    return said


def _same_name(_: verifiers.Verifier, name: str) -> verifier.VerifierSide:
    return verifier.VerifierSide(f"{name.rstrip('+'):.<16}")


_acknowledge = verifier.VerifierSide._acknowledge


def _mute(self: verifier.VerifierSide) -> list[FromVerifier]:
    return [] if self.name.startswith("v0") else _acknowledge(self)


MUTE: Final = patch.object(verifier.VerifierSide, "_acknowledge", _mute)
"""One verifier hears all, and never acknowledges."""


# The log.

_snapshot = view.View.snapshot
_events = node.NodeSide._events
_judge = view.View.judge
_verify = Checker.verify


def _by_number(position: Position, epoch: str, _: Any, seq: int) -> Verdict:  # noqa: ANN401
    if position.epoch != epoch:
        return Verdict.REFRESH
    return Verdict.LIVES if position.seq <= seq else Verdict.AHEAD


def _lifting(_: Cover | None, event: Happened) -> Cover:
    return Cover(event.seq, event.spared, 0, event.at, event.reason or "")


def _no_floor(self: view.View, *about: Any) -> Any:  # noqa: ANN401
    floor, self.floor = self.floor, 0
    try:
        return _judge(self, *about)
    finally:
        self.floor = floor


def _events_without_floor(self: node.NodeSide, account: str, after: int) -> Events:
    return msgspec.structs.replace(_events(self, account, after), floor=0)


def _snapshot_without_floor(self: view.View, account: str) -> tuple[FromNode, ...]:
    head, *parts = _snapshot(self, account)
    return (msgspec.structs.replace(head, floor=0), *parts)


def _vouching(self: Checker, token: str) -> Session:
    known = self._new.get(token)
    seen = self._knows.view
    if known is None or known.view is None or seen is None:
        return _verify(self, token)
    if self._clock() < seen.leased_until:
        return known.session
    return _verify(self, token)


class _Skewed:
    """Stamps tokens by clocks that differ, as instants would be."""

    def __init__(self) -> None:
        self._random = Random("skew")

    def __call__(self, end: Position) -> Position:
        return end._replace(seq=max(1, end.seq + self._random.choice((-1, 0, 1, 2))))


def _never(*_: Any) -> None:  # noqa: ANN401
    return None


_progress = node.NodeSide.progress


def _visible(self: node.NodeSide, position: Position, now: float) -> barrier.Progress:
    """What is visible is taken as durable."""
    known = self._barrier
    if math.isinf(known.certain_in(position.seq, now)) and self.view.contains(position):
        known._durable.append((position.seq, now))
    return _progress(self, position, now)


MUTANTS: Final = (
    Mutant("lease from receipt", (patch.object(verifier.VerifierSide, "_take", _from_receipt),),
           often={"pause verifier at a grant": 8}, seed=5),
    Mutant("grant without node lease", (patch.object(node.NodeSide, "_grant", _without_own),),
           often={"store cut off": 5, "pause node": 5}),
    Mutant("forget on disconnect", (patch.object(node.NodeSide, "closed", _forgetting),),
           often={"cut": 8}, seed=4),
    Mutant("no margin", (patch.object(margins, "kept", lambda lease: lease),
                         patch.object(margins, "inside", lambda left: left)),
           often={"stall": 10}, seed=7),
    Mutant("grant before events", (patch.object(channel.Channel, "say", _overtaking),
                                   patch.object(verifier.VerifierSide, "_take", _unchecked)),
           often={"cut": 6}, seed=5),
    Mutant("registration in the renewal's transaction",
           (patch.object(statements.Rules, "registers_alone", False),),
           scenario=scenarios.renewal_without_a_row),
    Mutant("a renewal that does not name what its node knows",
           (patch.object(statements.Rules, "fences_other_logs", False),),
           scenario=scenarios.renewal_of_what_was_lost),
    Mutant("unconditional delete", (patch.object(statements.Rules, "deletes_by_beat", False),),
           scenario=scenarios.delete_of_a_row_that_moved),
    Mutant("id inserted twice", (patch.object(statements.Rules, "ids_once", False),),
           scenario=scenarios.delete_of_a_row_that_was_made_anew),
    Mutant("acknowledged before verifiers",
           (patch.object(node.NodeSide, "acked", lambda self, _: self.view.position),), seed=21),
    Mutant("shared id after fork", (patch.object(verifiers.Verifier, "new_side", _same_name),),
           often={"fork verifier": 4, "stall": 4}),
    Mutant("clock that sleeps", (patch.object(world.Process, "sleeping_counts", False),),
           often={"machine sleeps": 6}),
    Mutant("snapshot going back", (patch.object(verifier.VerifierSide, "_install", _keeping),),
           scenario=scenarios.snapshot_of_a_node_that_is_behind),
    Mutant("no timeline", (patch.object(view, "place", _by_number),
                           patch.object(node, "place", _by_number),
                           patch.object(barrier, "place", _by_number),
                           patch.object(store, "place", _by_number)),
           often={"lossy failover": 3, "late durability": 4}, seed=4),
    Mutant("number without name for a timeline", (patch.object(store.Store, "names", False),),
           often={"lossy failover": 4, "late durability": 5}),
    Mutant("append without opening", (patch.object(store.Store, "opens", False),),
           often={"lossy failover": 4, "late durability": 4}),
    Mutant("no grace after failover", (patch.object(barrier.Barrier, "meet", _never),),
           scenario=scenarios.beat_that_was_lost_and_came_again),
    Mutant("wall-clock instant in place of positions",
           (patch.object(statements.Rules, "stamp", _Skewed()),)),
    Mutant("exception that lifts", (patch.object(endings, "_cover", _lifting),
                                     patch.object(statements.Rules, "spares_the_living", False)),
           seed=5),
    Mutant("no floor", (patch.object(view.View, "judge", _no_floor),), often={"kill verifier": 2}),
    Mutant("floor that stays at home",
           (patch.object(node.NodeSide, "_events", _events_without_floor),
            patch.object(view.View, "snapshot", _snapshot_without_floor)),
           often={"kill verifier": 3}, seed=4),
    Mutant("position read at insert in place of start",
           (patch.object(statements.Rules, "position_at_start", False),), seed=19),
    Mutant("first token stamped at commit",
           (patch.object(statements.Rules, "first_token_of_session", False),), seed=19),
    Mutant("position read after the check",
           (patch.object(statements.Rules, "one_snapshot", False),),
           often={"slow store": 4}, seed=28),
    Mutant("a cache that vouches for more than the signature",
           (patch.object(Checker, "verify", _vouching),)),
    Mutant("a mere read as the answer of a node without lease",
           (patch.object(nodes.Node, "decides_under_lease", False),),
           often={"failover": 2, "store cut off": 3, "cut": 4}, seed=38),
    Mutant("unknown commit taken as done", (patch.object(store.Store, "unknown_is_done", True),),
           often={"lossy failover": 4, "late durability": 6}, seed=8),
    Mutant("never-acknowledging verifier that is waited for", (
        MUTE, patch.object(barrier.Barrier, "certain_in", lambda *_: float("inf"))), seed=2),
    Mutant("acknowledgements of what is not known durable",
           (patch.object(node.NodeSide, "progress", _visible),),
           often={"lossy failover": 3, "late durability": 4}, seed=4),
)  # fmt: skip
