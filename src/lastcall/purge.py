"""Deleting for good what is over and no longer shown, in small transactions one after the other."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, get_args

from lastcall.audit import Record
from lastcall.clock import Clock
from lastcall.errors import Conflict, LostRace, Unavailable
from lastcall.events import Actor
from lastcall.sessions.policy import Policy
from lastcall.sessions.service import ENDED_KEPT
from lastcall.stores import base

AUDIT_KEPT: Final = timedelta(days=400)
"""How long records are kept, unless it is said otherwise."""
AUDIT_KEPT_LEAST: Final = ENDED_KEPT
EVENTS_KEPT: Final = timedelta(days=1)
"""How long events are kept at least. Longer than access tokens that were minted under another
setting: what is forgotten too early costs a refresh (instant-logout, rule 4)."""
BATCH: Final = 500
"""How many rows a transaction deletes at most."""
TRIES: Final = 10
KINDS: Final[tuple[base.PurgeKind, ...]] = get_args(base.PurgeKind)
"""In this order: with a session go the last reasons to keep its removed user, and events."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction has deleted (or would delete), and its seconds with all waiting."""

    kind: base.PurgeKind
    deleted: int
    seconds: float = 0.0


@dataclass(slots=True)
class Report:
    """What was deleted so far."""

    deleted: dict[base.PurgeKind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    batches: int = 0
    longest: float = 0.0
    """Seconds that the longest transaction took, its waiting for others included."""
    seconds: float = 0.0

    def add(self, batch: Batch) -> None:
        """Count a batch."""
        self.deleted[batch.kind] += batch.deleted
        self.batches += 1
        self.longest = max(self.longest, batch.seconds)

    @property
    def total(self) -> int:
        """How many rows of all kinds."""
        return sum(self.deleted.values())

    def __str__(self) -> str:
        return ", ".join(f"{kind} {number}" for kind, number in self.deleted.items() if number)


class Purge:
    """Walks through the kinds, each in the order of its keys. Any number may run at once, beside
    servers; one that is stopped leaves everything whole, and the next one goes on."""

    def __init__(
        self,
        store: base.Store,
        policy: Policy,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._policy = policy
        self._clock = clock
        self._pause = pause

    async def run(
        self,
        by: Actor,
        *,
        audit_kept: timedelta = AUDIT_KEPT,
        dry: bool = False,
        batch: int = BATCH,
        watch: Callable[[Batch], None] = lambda _: None,
    ) -> Report:
        """Delete what is over, and record it; `watch` is told of each batch. `dry` only counts.

        Raises Unavailable, Conflict; what was deleted before stays deleted.
        """
        report, started = Report(), self._clock.monotonic()
        now = self._clock.now()
        try:
            for kind in KINDS:
                before = now - self._kept(kind, audit_kept)
                await self._walk(kind, before, batch, dry, report, watch)
        except (Unavailable, Conflict, asyncio.CancelledError):
            with suppress(Unavailable):
                await self._record(by, report, dry)
            raise
        await self._record(by, report, dry)
        report.seconds = self._clock.monotonic() - started
        return report

    def _kept(self, kind: base.PurgeKind, audit_kept: timedelta) -> timedelta:
        """Tell how long what is over is kept."""
        if kind == "records":
            return max(audit_kept, AUDIT_KEPT_LEAST)
        if kind == "events":
            # A repeat within the grace mints an access token a little later than its rotation.
            token = self._policy.access_lifetime + self._policy.refresh_grace
            return max(EVENTS_KEPT, 2 * token)
        return ENDED_KEPT

    async def _walk(
        self,
        kind: base.PurgeKind,
        before: datetime,
        limit: int,
        dry: bool,
        report: Report,
        watch: Callable[[Batch], None],
    ) -> None:
        after: base.Key | None = None
        tries = 0
        while True:
            page = await self._store.over(base.PurgeQuery(kind, before, after, limit))
            if page.keys:
                drop = asyncio.ensure_future(self._drop(kind, page.keys, before, dry))
                try:
                    batch = await asyncio.shield(drop)
                except asyncio.CancelledError:
                    with suppress(LostRace, Unavailable):
                        report.add(await drop)  # it was under way, and counts
                    raise
                except LostRace as error:  # another purge was here: what is there now?
                    tries += 1
                    if tries == TRIES:
                        raise Conflict("other purges are running; let one do it") from error
                    continue
                report.add(batch)
                watch(batch)
                # Half of the time is for whoever else waits for the database's lock, which goes to
                # whoever asks at the right moment.
                await self._pause(batch.seconds)
            tries = 0
            if page.next is None:
                return
            after = page.next

    async def _drop(
        self, kind: base.PurgeKind, keys: tuple[base.Key, ...], before: datetime, dry: bool
    ) -> Batch:
        if dry:
            return Batch(kind, len(keys))
        started = self._clock.monotonic()
        await self._store.commit(base.Drop(kind, keys, before))
        return Batch(kind, len(keys), self._clock.monotonic() - started)

    async def _record(self, by: Actor, report: Report, dry: bool) -> None:
        if report.total and not dry:
            now = self._clock.now()
            record = Record("audit.purge", now, None, None, by, reason=str(report))
            await self._store.commit(base.AddRecord(record))
