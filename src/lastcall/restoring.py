"""What is due when a backup was put in place of a database (instant-logout, rule 17)."""

from dataclasses import dataclass
from typing import Final

from lastcall.audit import Record, Target
from lastcall.clock import Clock, Entropy
from lastcall.digests import encode
from lastcall.events import Actor, Timeline
from lastcall.sessions.counting import count_at_least
from lastcall.sessions.policy import Policy
from lastcall.stores import base

ACCOUNTS: Final = 500
"""Of how many accounts the sessions end in one commit."""


@dataclass(frozen=True, slots=True)
class Restored:
    """How many sessions were ended, of how many accounts; at least so many, where one had more than
    could be counted in two seconds."""

    ended: int
    accounts: int


async def restored(
    store: base.Store,
    policy: Policy,
    clock: Clock,
    entropy: Entropy,
    by: Actor,
    *,
    keep: bool = False,
) -> Restored:
    """Begin another epoch of the log, and end every session: which ones had been ended after the
    backup was made can't be known. With `keep` they live on, these too. The epoch comes with the
    last endings, so that what fails before is done again; done twice, it costs everybody one more
    refresh, or sign-in.

    Raises Unavailable.
    """
    now = clock.now()
    accounts = () if keep else await store.list_accounts()
    ended = 0
    endings: list[base.Write] = []
    for number, account in enumerate(accounts):
        if number and number % ACCOUNTS == 0:
            await store.commit(*endings)
            endings.clear()
        found = await count_at_least(store, account.id, None, policy, now, clock)
        ended += found
        endings.append(base.EndAccount(account.id, None, "restored", by, now, found))
        endings.append(
            base.AddRecord(
                Record(
                    type="account.logout",
                    at=now,
                    account_id=account.id,
                    user_id=None,
                    actor=by,
                    target=Target("account", account.id, account.name),
                    reason="restored",
                )
            )
        )
    epoch = base.OpenEpoch(encode(entropy(9)), Timeline(1, encode(entropy(9))), now)
    await store.commit(epoch, *endings)
    return Restored(ended, len(accounts))
