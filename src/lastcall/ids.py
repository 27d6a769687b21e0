"""Typed ids. An id is opaque to whoever holds it, and never a secret."""

from datetime import datetime
from typing import NewType

from lastcall.clock import Entropy

AccountId = NewType("AccountId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
KeyId = NewType("KeyId", str)
TerminationId = NewType("TerminationId", str)
NodeId = NewType("NodeId", str)

MAX_LENGTH = 80
"""Longest id accepted from outside, in characters."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_account_id(now: datetime, entropy: Entropy) -> AccountId:
    """Name a new account."""
    return AccountId("a_" + _sortable(now, entropy))


def new_user_id(now: datetime, entropy: Entropy) -> UserId:
    """Name a new user."""
    return UserId("u_" + _sortable(now, entropy))


def new_session_id(cell: str, now: datetime, entropy: Entropy) -> SessionId:
    """Name a new session after the cell that keeps it (instant-logout, past one machine)."""
    return SessionId(f"s_{cell}_{_sortable(now, entropy)}")


def new_key_id(now: datetime, entropy: Entropy) -> KeyId:
    """Name a new service key."""
    return KeyId("k_" + _sortable(now, entropy))


def new_node_id(entropy: Entropy) -> NodeId:
    """Name a process that serves, at its start and anew in a forked child; a name is used once
    (instant-logout, rule 12)."""
    return NodeId("n_" + _base32(int.from_bytes(entropy(16), "big")))


def new_verifier_name(entropy: Entropy) -> str:
    """Name a process that verifies, as `new_node_id` does one that serves."""
    return "v_" + _base32(int.from_bytes(entropy(16), "big"))


def _sortable(now: datetime, entropy: Entropy) -> str:
    """26 base32 characters: 48 bits of milliseconds, then 80 random ones.

    Ids made later sort later, so that a clean-up can walk the primary key in ranges of age.
    """
    number = int(now.timestamp() * 1000) << 80 | int.from_bytes(entropy(10), "big")
    return _base32(number)


def _base32(number: int) -> str:
    """Write 128 bits in 26 characters that sort as the numbers do."""
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
