"""What is due when a backup was put in place of a database (instant-logout, rule 17)."""

from dataclasses import dataclass

from lastcall.audit import Record, Target
from lastcall.clock import Clock, Entropy
from lastcall.digests import encode
from lastcall.events import Actor, Timeline
from lastcall.sessions.counting import count_at_least
from lastcall.sessions.policy import Policy
from lastcall.stores import base


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
    backup was made can't be known. With `keep` they live on, these too. All in one commit; done
    twice, it costs everybody one more refresh, or sign-in.

    Raises Unavailable.
    """
    now = clock.now()
    accounts = () if keep else await store.list_accounts()
    opening = base.OpenEpoch(encode(entropy(9)), Timeline(1, encode(entropy(9))), now)
    writes: list[base.Write] = []
    for account in accounts:
        ended = await count_at_least(store, account.id, None, policy, now, clock)
        writes.append(base.EndAccount(account.id, None, "restored", by, now, ended))
        writes.append(
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
    committed = await store.commit(opening, *writes)
    return Restored(sum(event.ended for event in committed.events), len(accounts))
