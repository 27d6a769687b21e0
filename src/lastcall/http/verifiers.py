"""Who follows the event log: the nodes, and the verifiers of an account's services."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET
from starlette.responses import Response

from lastcall.feed import marks
from lastcall.feed.about import Follower
from lastcall.feed.leases import NodeState
from lastcall.http import cursors
from lastcall.http.endpoint import API, AnyEndpoint, Call, Endpoint, reply
from lastcall.http.guard import ADMIN
from lastcall.sessions.service import Caller


class NodeRow(msgspec.Struct, frozen=True, tag_field="kind", tag="node"):
    """A node. `leased`: it may say of sessions that they live. `behind`: of how many events it has
    not acknowledged that it and its verifiers know them."""

    id: str
    current: bool
    agent: str | None
    started_at: datetime | None
    leased: bool
    silent_for: int
    """Seconds since its row has moved last, as far as was seen here."""
    seq: int
    behind: int
    verifiers: int


class Verifier(msgspec.Struct, frozen=True, tag_field="kind", tag="verifier"):
    """A verifier: a process of a service. `leased`: it may accept tokens, until `leased_until`
    unless it renews; a termination waits for it to acknowledge, or for its lease to run out."""

    id: str
    service: str
    key_id: str
    agent: str | None
    ip: str | None
    node: str
    connected_at: datetime | None
    leased: bool
    leased_until: datetime | None
    seq: int
    behind: int


class ServiceList(msgspec.Struct, frozen=True):
    """Some of them, and where the list goes on; `seq` is the event log's end."""

    services: tuple[NodeRow | Verifier, ...]
    next: str | None
    seq: int


class Following(NamedTuple):
    """All of them, and the event log's end; how many more verifiers the nodes don't name, and the
    mark of it all (see `feed.marks`)."""

    nodes: tuple[NodeRow, ...]
    verifiers: tuple[Verifier, ...]
    seq: int
    unnamed: int
    mark: str


async def find(call: Call[Caller, Any, Any]) -> Following:
    """Give the nodes, and the verifiers of the caller's account, each by their ids."""
    end, states = await call.node.leases.nodes()
    account = call.caller.user.account_id
    verifiers = sorted(
        (
            _verifier(follower, state, end)
            for state in states
            for follower in state.followers(account)
        ),
        key=lambda row: (row.id, row.node),
    )
    return Following(
        tuple(_node(state, end) for state in states),
        tuple(verifiers),
        end,
        sum(state.unnamed(account) for state in states),
        marks.mark(end, states, account),
    )


async def list_services(call: Call[Caller, None, cursors.Part]) -> Response:
    """List who follows the event log: the nodes, then the verifiers, each by their ids."""
    query, found = call.query, await find(call)
    start = 0 if query.before is UNSET else cursors.read_number("services", query.before)
    rows: tuple[NodeRow | Verifier, ...] = (*found.nodes, *found.verifiers)
    # Counted, since a verifier may call itself anything.
    end = start + query.limit
    place = cursors.write_place("services", end if end < len(rows) else None)
    return reply(ServiceList(rows[start:end], place, found.seq))


def _node(state: NodeState, end: int) -> NodeRow:
    acked = state.row.acked.seq if state.row.acked else 0
    return NodeRow(
        state.row.id,
        state.own,
        state.about.agent if state.about else None,
        state.about.started_at if state.about else None,
        state.leased,
        int(state.silent_for),
        acked,
        max(0, end - acked),
        state.row.verifiers,
    )


def _verifier(follower: Follower, state: NodeState, end: int) -> Verifier:
    return Verifier(
        follower.name,
        follower.key_name,
        follower.key_id,
        follower.agent,
        follower.ip,
        state.row.id,
        follower.connected_at,
        state.leases(follower),
        follower.leased_until,
        follower.seq,
        max(0, end - follower.seq),
    )


ENDPOINTS: list[AnyEndpoint] = [
    Endpoint(
        method="GET",
        path=f"{API}/services",
        caller=ADMIN,
        handler=list_services,
        summary="See the nodes and the verifiers: connected, leased, how far",
        query=cursors.Part,
        answer=ServiceList,
    ),
]
