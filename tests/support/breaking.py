"""Verifiers and servers that break the protocol, each in one way: what judges histories finds them.

`python -m tests.support.breaking NAME serve …` is a server that does; `tests.support.verifying` is
told the name of its verifier's break.
"""

import sys
from typing import Any
from unittest.mock import patch

from lastcall.cli import main
from lastcall.leases.barrier import Barrier, Progress
from lastcall.leases.messages import Events, FromVerifier, Grant
from lastcall.leases.node import NodeSide, Peer
from lastcall.leases.verifier import VerifierSide
from lastcall.leases.view import View

_apply, _closed, _progress = VerifierSide._apply, VerifierSide.closed, NodeSide.progress


def _ignore(view: View, _account: str, message: Events) -> None:
    """Take note of how far the log has come, and of nothing in it."""
    view.seq = message.position[2]


def _from_receipt(side: VerifierSide, grant: Grant, now: float) -> None:
    """Take a lease from when it comes, whichever request it answers."""
    if side.view is not None:
        side.view.store_ahead = grant.now - now
        side.view.leased_until = max(side.view.leased_until, now + grant.seconds)


def _unsaid(side: VerifierSide, message: Events) -> list[FromVerifier]:
    """Take in what has happened, and say nothing of it."""
    _apply(side, message)
    return []


def _with_connection(side: VerifierSide) -> None:
    """Let go of the lease where the connection ends."""
    _closed(side)
    side._drop()


def _at_once(side: NodeSide, position: object, now: float) -> Progress:
    """Call a termination confirmed as soon as it is known durable."""
    found = _progress(side, position, now)  # type: ignore[arg-type]
    return Progress("confirmed", 0.0, found.verifiers, found.acknowledged)


def _never_certain(barrier: Barrier, seq: int, _now: float) -> float:
    """Know what is durable, and not how long that lasts."""
    known = bool(barrier._durable) and barrier._durable[-1][0] >= seq
    return 1e-3 if known else float("inf")


def _never_overdue(_side: NodeSide, _peer: Peer, _now: float) -> bool:
    """Renew the lease of whoever asks."""
    return False


BREAKS: dict[str, tuple[Any, ...]] = {
    "ignores events": (patch.object(View, "apply_all", _ignore),),
    "lease from receipt": (patch.object(VerifierSide, "_take", _from_receipt),),
    "acknowledges nothing": (patch.object(VerifierSide, "_apply", _unsaid),),
    "lease ends with its connection": (patch.object(VerifierSide, "closed", _with_connection),),
    "confirms at once": (patch.object(NodeSide, "progress", _at_once),),
    "waits for the deaf": (
        patch.object(Barrier, "certain_in", _never_certain),
        patch.object(NodeSide, "_overdue", _never_overdue),
    ),
}


def break_it(name: str) -> None:
    """Break the protocol in this process, from now on; the empty name is no break."""
    for one in BREAKS[name] if name else ():
        one.start()


if __name__ == "__main__":
    break_it(sys.argv.pop(1))
    main()
