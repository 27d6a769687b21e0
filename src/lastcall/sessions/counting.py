"""Counting the sessions that logging out a whole account ends, which may neither refuse the log-out
nor hold it up for long."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Final

from lastcall.clock import Clock
from lastcall.errors import Unavailable
from lastcall.ids import AccountId, SessionId
from lastcall.sessions.policy import Policy
from lastcall.stores import base

SECONDS: Final = 2.0
"""How long a log-out waits for the count."""


async def count_at_least(
    store: base.Store,
    account_id: AccountId,
    spared: SessionId | None,
    policy: Policy,
    now: datetime,
    clock: Clock,
) -> int:
    """Count an account's active sessions, but the spared one: all of them, or those that were found
    in `SECONDS`, or until the database failed. Whether that can be written to says who writes."""
    until = clock.monotonic() + SECONDS
    number, after = 0, None
    with suppress(TimeoutError, Unavailable):
        while (left := until - clock.monotonic()) > 0:
            async with asyncio.timeout(left):
                part = await store.count_account_sessions(account_id, spared, policy, now, after)
            number += part.number
            if part.next is None:
                break
            after = part.next
    return number
