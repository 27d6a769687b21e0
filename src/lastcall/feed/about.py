"""What a node tells of itself and of its verifiers in its row, so that whichever is asked can show
all of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from lastcall.feed.connections import Connection
from lastcall.leases.node import NodeSide, Peer

MOST: Final = 200
"""How many verifiers a node names; it counts the others."""


class Follower(msgspec.Struct, frozen=True):
    """A verifier: what it calls itself, whose key it shows, from where, and how far it is. It is
    `connected` since a moment, or not any more; `leased` tells whether it may accept tokens; `seq`
    is the last event that it has acknowledged."""

    name: str
    account_id: str
    key_id: str
    key_name: str
    agent: str | None
    ip: str | None
    connected_at: datetime | None
    leased: bool
    seq: int


class About(msgspec.Struct, frozen=True):
    """A node: the process, as its host knows it, since when it runs, and its verifiers."""

    agent: str
    started_at: datetime
    followers: tuple[Follower, ...] = ()


def write(
    agent: str,
    started_at: datetime,
    side: NodeSide,
    connections: Mapping[tuple[str, str], Connection],
    now: float,
) -> str:
    """Write what this node tells."""
    followers = [
        _follower(peer, connections[peer.account, peer.name], now)
        for peer in side.peers
        if (peer.account, peer.name) in connections
    ]
    return msgspec.json.encode(About(agent, started_at, tuple(followers[:MOST]))).decode()


def read(text: str) -> About | None:
    """Read what a node tells; None where it is of another version, or has told nothing yet."""
    try:
        return msgspec.json.decode(text, type=About)
    except msgspec.MsgspecError:
        return None


def _follower(peer: Peer, connection: Connection, now: float) -> Follower:
    return Follower(
        peer.name,
        peer.account,
        connection.key_id,
        connection.key_name,
        connection.agent,
        connection.ip,
        connection.opened_at if peer.connection is not None else None,
        now < peer.kept_until,
        peer.acked.seq if peer.acked is not None else 0,
    )
