"""What a node tells of itself and of its verifiers in its row, so that whichever is asked can show
all of them."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from lastcall.feed.connections import Connection
from lastcall.leases.node import NodeSide, Peer

MOST: Final = 200
"""How many verifiers a node names, those first that something is the matter with; of the others it
tells how many each account has."""


class Follower(msgspec.Struct, frozen=True):
    """A verifier: what it calls itself, whose key it shows, from where, and how far it is. It is
    connected since a moment, or not any more; until `leased_until` it may accept tokens, None: it
    may not; `seq` is the last event that it has acknowledged."""

    name: str
    account_id: str
    key_id: str
    key_name: str
    agent: str | None
    ip: str | None
    connected_at: datetime | None
    leased_until: datetime | None
    seq: int


class About(msgspec.Struct, frozen=True):
    """A node: the process, as its host knows it, since when it runs, and its verifiers: some by
    name, and how many more by their accounts."""

    agent: str
    started_at: datetime
    followers: tuple[Follower, ...] = ()
    unnamed: dict[str, int] = {}

    def unreachable(self, seq: int, now: datetime) -> int:
        """Count those that have a lease, no connection, and not acknowledged this event."""
        return sum(
            one.connected_at is None
            and one.leased_until is not None
            and now < one.leased_until
            and one.seq < seq
            for one in self.followers
        )


def write(
    agent: str,
    started_at: datetime,
    side: NodeSide,
    connections: Mapping[tuple[str, str], Connection],
    now: float,
    clock: datetime,
) -> str:
    """Write what this node tells: `now` on the clock of leases, `clock` on that of people."""
    known = [peer for peer in side.peers if (peer.account, peer.name) in connections]
    if len(known) > MOST:  # those whom a termination may wait for
        known.sort(key=lambda peer: _is_fine(peer, side.view.seq, now))
    named = tuple(
        _follower(peer, connections[peer.account, peer.name], now, clock) for peer in known[:MOST]
    )
    unnamed = Counter(peer.account for peer in known[MOST:])
    return msgspec.json.encode(About(agent, started_at, named, dict(unnamed))).decode()


def read(text: str) -> About | None:
    """Read what a node tells; None where it is of another version, or has told nothing yet."""
    try:
        return msgspec.json.decode(text, type=About)
    except msgspec.MsgspecError:
        return None


def _is_fine(peer: Peer, seq: int, now: float) -> bool:
    up = peer.acked is not None and peer.acked.seq >= seq
    return peer.connection is not None and now < peer.kept_until and up


def _follower(peer: Peer, connection: Connection, now: float, clock: datetime) -> Follower:
    left = peer.kept_until - now
    return Follower(
        peer.name,
        peer.account,
        connection.key_id,
        connection.key_name,
        connection.agent and "".join(filter(str.isprintable, connection.agent)),
        connection.ip,
        connection.opened_at if peer.connection is not None else None,
        clock + timedelta(seconds=left) if left > 0 else None,
        peer.acked.seq if peer.acked is not None else 0,
    )
