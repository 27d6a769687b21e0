"""Says whether those who follow are as they were: by a mark, a short text that changes with what
an account's admins are shown of them."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from lastcall.feed.leases import Leases, NodeState
from lastcall.ids import AccountId

LENGTH: Final = 16


def mark(end: int, states: Iterable[NodeState], account: AccountId) -> str:
    """Write the mark of an account's verifiers and of all nodes, where the log ends there. How long
    a lease goes on moves with every renewal, and is no part of it; whether there is one, is."""
    seen = [
        (
            state.row.id,
            state.row.acked and state.row.acked.seq,
            state.row.verifiers,
            state.leased,
            state.quiet,
            state.unnamed(account),
            [
                (one.name, one.connected_at, state.leases(one), one.seq)
                for one in state.followers(account)
            ],
        )
        for state in states
    ]
    return sha256(msgspec.json.encode((end, seen))).hexdigest()[:LENGTH]


async def find(leases: Leases, accounts: Iterable[AccountId]) -> dict[AccountId, str]:
    """Give the marks of these accounts as they are now. Raises Unavailable."""
    end, states = await leases.nodes()
    return {account: mark(end, states, account) for account in accounts}
