"""Throttling: attempts are counted before they are looked at, and in the store, so that a burst
over any number of processes has no more of them than the limit (ASVS 6.1.1, 6.3.1).

Nobody can lock somebody else out: a browser in which a user has signed in before counts by itself,
a session's proofs count by session, and a genuine refresh token or link is never refused here.
Strangers get the same answers for known and unknown users.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from lastcall import limits, secretfile
from lastcall.clock import Clock
from lastcall.errors import RateLimited
from lastcall.ids import SessionId
from lastcall.limits import SLOTS, Limit, Slot
from lastcall.sessions.model import SignIn
from lastcall.stores import base

log = logging.getLogger("lastcall.throttle")

_QUIET_SECONDS: Final = 10.0
"""How long the log says nothing after it has told of a refusal."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has been counted."""

    slots: tuple[Slot, ...]


class Throttle:
    """The verbs: take an attempt, by what it is for, and give one back. `refused` is told the name
    of the limit that refused."""

    def __init__(
        self,
        store: base.Store,
        key: bytes,
        clock: Clock,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._refused = refused
        self._quiet_until = 0.0
        self._unsaid = 0

    async def sign_in(self, email_key: str, seen: SignIn) -> Attempt:
        """Count an attempt to sign in. Raises RateLimited."""
        device = seen.device_hash
        if device is not None and await self._store.recognises(email_key, device):
            own = self._slot(limits.SIGN_IN_DEVICE, email_key.encode() + device)
            return await self._take(own)
        return await self._take(
            self._slot(limits.SIGN_IN_USER, email_key.encode()),
            self._slot(limits.SIGN_IN_USER_DAY, email_key.encode()),
            *self._by_address(limits.SIGN_IN_ADDRESS, seen.ip),
        )

    async def proof(self, session_id: SessionId) -> Attempt:
        """Count an attempt to prove who one is, within a session. Raises RateLimited."""
        return await self._take(self._slot(limits.PROOF, session_id.encode()))

    async def unknown(self, limit: Limit, ip: str | None) -> None:
        """Count a secret that nobody knows. Raises RateLimited."""
        await self._take(*self._by_address(limit, ip))

    def give_back(self, attempt: Attempt) -> base.GiveBack:
        """Give the write that forgets an attempt: it was right, or was not looked at."""
        return base.GiveBack(attempt.slots, self._clock.now())

    async def _take(self, *slots: Slot) -> Attempt:
        if slots:
            try:
                await self._store.commit(base.Take(slots, self._clock.now()))
            except RateLimited as refused:
                self._tell(refused.limit)
                raise
        return Attempt(slots)

    def _by_address(self, limit: Limit, ip: str | None) -> tuple[Slot, ...]:
        """Give the slot of an address; who has a /64 of IPv6 has all of it. None on a socket."""
        if ip is None:
            return ()
        address = ip_address(ip)
        prefix = 64 if address.version == 6 else 32
        network = ip_network((address.packed, prefix), strict=False)
        return (self._slot(limit, network.network_address.packed),)

    def _slot(self, limit: Limit, value: bytes) -> Slot:
        # Keyed: nobody can choose an address to share another's slot.
        named = limit.name.encode() + b"\0" + value
        number = int.from_bytes(secretfile.mac(self._key, named)[:8], "big") % SLOTS
        return Slot(limit, number)

    def _tell(self, name: str) -> None:
        self._refused(name)
        self._unsaid += 1
        now = self._clock.monotonic()
        if now >= self._quiet_until:
            log.warning("too many attempts: %d refused since this was last said", self._unsaid)
            self._unsaid = 0
            self._quiet_until = now + _QUIET_SECONDS
