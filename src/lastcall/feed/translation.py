"""The store's log in the feed's words."""

from collections.abc import Callable, Iterable
from typing import Final

from lastcall.events import Event
from lastcall.leases.barrier import Row
from lastcall.leases.messages import Happened, Jwk
from lastcall.leases.node import Log
from lastcall.leases.view import Begun, View
from lastcall.stores import base

FindKey = Callable[[str], Jwk | None]
"""Gives the public key with an id."""

_SESSIONS: Final = ("session_ended", "session_stale")


def log(part: base.LogPart, find_key: FindKey) -> Log:
    """Write a part of the log."""
    return Log(
        part.log.position,
        part.log.floor,
        timelines(part),
        events(part.events, find_key),
    )


def events(appended: Iterable[Event], find_key: FindKey) -> list[tuple[str | None, Happened]]:
    """Write events, each with the account that may know of it."""
    return [(event.account_id, happened(event, find_key)) for event in appended]


def happened(event: Event, find_key: FindKey) -> Happened:
    """Write an event. What only people need to know of it, who it was and by whom, stays here."""
    key: Jwk | str | None = event.key_id
    if event.kind == "key_published" and event.key_id is not None:
        key = find_key(event.key_id)
    return Happened(
        seq=event.position.seq,
        kind=event.kind,
        at=int(event.at.timestamp()),
        user=event.user_id if event.kind not in _SESSIONS else None,
        session=event.session_id,
        spared=event.spared,
        reason=event.reason,
        timeline=str(event.position.timeline) if event.kind == "timeline_opened" else None,
        key=key,
    )


def timelines(part: base.LogPart) -> tuple[Begun, ...]:
    """Write where each timeline began."""
    return tuple(Begun(one.timeline, one.seq) for one in part.timelines)


def empty_view(part: base.LogPart, keys: Iterable[Jwk]) -> View:
    """Begin a view at the part's floor: what comes before is not looked at again (rule 4)."""
    return View(
        part.log.position.epoch,
        timelines(part),
        part.log.floor,
        part.log.floor,
        {str(key["kid"]): key for key in keys},
    )


def rows(nodes: Iterable[base.NodeRow]) -> list[Row]:
    """Write the nodes' rows."""
    return [
        Row(row.id, row.beat, row.acked, row.lease.total_seconds(), row.verifiers) for row in nodes
    ]
