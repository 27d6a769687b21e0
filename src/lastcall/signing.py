"""The signing keys in use: kept in the process, read anew when a token names an unknown one."""

from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from lastcall.access import Access, open_access
from lastcall.audit import Record, Target
from lastcall.clock import Clock, Entropy
from lastcall.errors import Conflict, InvalidToken, LostRace, NotFound
from lastcall.events import SYSTEM, Actor, Event
from lastcall.keys import Keyring, SigningKey, StoredKey, new_key
from lastcall.secretfile import Secrets
from lastcall.stores.base import AddRecord, DropKeys, PublishKey, Store, Write

READ_AGAIN: Final = timedelta(seconds=60)
"""How long a process goes on with the keys that it has read. Shorter than a key's lead, so that
every process knows a key before it signs."""
UNKNOWN_KEY_PAUSE: Final = 1.0
"""Seconds between two reads for tokens that name unknown keys."""


class Signing:
    """Signs and opens access tokens for one issuer and audience."""

    def __init__(
        self,
        store: Store,
        secrets: Secrets,
        clock: Clock,
        entropy: Entropy,
        access_lifetime: timedelta,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._clock = clock
        self._entropy = entropy
        self._access_lifetime = access_lifetime
        self._ring = Keyring((), secrets)
        self._read_at: datetime | None = None
        self._looked_at = float("-inf")

    async def ring(self) -> Keyring:
        """Give the keys; make the first, replace one that is too old, drop those that are spent."""
        now = self._clock.now()
        if self._read_at is None or not timedelta(0) <= now - self._read_at < READ_AGAIN:
            await self._read()
            self._read_at = now
            if self._ring.due(now):
                await self._replace(self._ring.newest)
            spent = self._ring.spent(now, self._access_lifetime)
            if spent:
                await self._store.commit(DropKeys(spent, now))
                await self._read()
        return self._ring

    async def refresh(self) -> Keyring:
        """Give the keys as the store has them now."""
        await self._read()
        return self._ring

    async def rotate(self, by: Actor = SYSTEM) -> StoredKey | None:
        """Publish a new key; it signs after its lead. None where another process just did."""
        await self._read()
        return await self._replace(self._ring.newest, by)

    async def revoke(self, key_id: str, by: Actor = SYSTEM) -> Event:
        """End a key before its time, as one that others may have seen: what it has signed is
        accepted no more once its event is confirmed (rule 18). Where no other key is ready to sign,
        a new one does at once. Raises NotFound, Conflict.
        """
        await self._read()
        if self._ring.find(key_id) is None:
            raise NotFound(f"there is no signing key {key_id}; see: lastcall signing-key list")
        now = self._clock.now()
        writes: list[Write] = []
        if not any(key.id != key_id and key.signs_from <= now for key in self._ring):
            key = new_key(now, first=True, secrets=self._secrets, entropy=self._entropy)
            writes.append(PublishKey(key, self._ring.newest))
        record = Record("signing_key.revoke", now, None, None, by, Target("signing_key", key_id))
        try:
            done = await self._store.commit(*writes, DropKeys((key_id,), now), AddRecord(record))
        except LostRace as error:
            raise Conflict("another process has changed the keys; look again") from error
        await self._read()
        if not done.events or done.events[-1].kind != "key_revoked":
            raise NotFound(f"the signing key {key_id} is gone already")
        return done.events[-1]

    async def _replace(self, newest: str | None, by: Actor = SYSTEM) -> StoredKey | None:
        now = self._clock.now()
        key = new_key(now, first=newest is None, secrets=self._secrets, entropy=self._entropy)
        record = Record("signing_key.rotate", now, None, None, by, Target("signing_key", key.id))
        try:
            await self._store.commit(PublishKey(key, newest), AddRecord(record))
        except LostRace:
            await self._read()
            return None
        await self._read()
        return key

    async def signer(self) -> SigningKey:
        """Give the key that signs now."""
        return (await self.ring()).signer(self._clock.now())

    async def open(self, token: str, issuer: str, audience: str) -> Access:
        """Open an access token, whether or not it has run out. Raises InvalidToken."""
        ring = await self.ring()
        unknown = False

        def find(key_id: str) -> EllipticCurvePublicKey | None:
            nonlocal unknown
            key = ring.find(key_id)
            unknown = key is None
            return key

        try:
            return open_access(token, find, issuer, audience)
        except InvalidToken:
            tick = self._clock.monotonic()
            if not unknown or tick - self._looked_at < UNKNOWN_KEY_PAUSE:
                raise
            # Another process may have made a key; a flood of made-up ones reads once a second.
            self._looked_at = tick
            await self._read()
            return open_access(token, self._ring.find, issuer, audience)

    async def _read(self) -> None:
        self._ring = Keyring(await self._store.signing_keys(), self._secrets)
