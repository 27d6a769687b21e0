"""The reads of those who follow the log: its next events, where its timelines began, who else
follows it. For every database; the statements of one read see one snapshot."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, true

from lastcall.events import Position, Timeline
from lastcall.ids import NodeId
from lastcall.stores import reads, rows, schema
from lastcall.stores.base import LogEnd, LogPart, NodeRow, Nodes, TimelineStart
from lastcall.stores.columns import constant
from lastcall.stores.prepared import Prepared
from lastcall.stores.rows import micros
from lastcall.stores.schema import events

_OPENED = events.c.kind == constant("timeline_opened")

_NODES = Prepared(
    select(
        *(column for column in schema.log.c if column.name != "id"),
        *(column.label(f"n_{column.name}") for column in schema.nodes.c),
    ).select_from(schema.log.outerjoin(schema.nodes, true()))
)
_TIMELINES = Prepared(
    select(events.c.timeline_number, events.c.timeline_name, events.c.seq)
    .where(_OPENED, events.c.epoch == bindparam("epoch"), events.c.seq <= bindparam("end"))
    .order_by(events.c.seq)
)
_NEXT = Prepared(
    select(events)
    .where(events.c.seq > bindparam("after"))
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)
# From the newest event backwards. One by which a session ran out is told with the moment at which
# it did, days ago perhaps: it says nothing about the age of those before it.
_NEWEST_OLD = Prepared(
    select(events.c.seq)
    .where(
        events.c.seq > bindparam("floor"),
        events.c.at < bindparam("since"),
        events.c.reason.is_distinct_from("expired_inactive"),
        events.c.reason.is_distinct_from("expired_absolute"),
    )
    .order_by(events.c.seq.desc())
    .limit(1)
)


def nodes(db: Connection) -> Nodes:
    """Give the log's end with every node's row, in one statement (rule 10)."""
    found = _NODES.rows(db)
    return Nodes(
        LogEnd(rows.position_of(found[0]), found[0]["floor"], bool(found[0]["settled"])),
        tuple(
            sorted(
                (_node_of(row) for row in found if row["n_id"] is not None),
                key=lambda node: node.id,
            )
        ),
    )


def read_log(
    db: Connection, after: int, most: int, since: datetime | None, version: int
) -> LogPart:
    """Give the events after a place and after the floor, with the log, its timelines and nodes."""
    known = nodes(db)
    log = known.log
    if since is not None:
        # The floor, before what it stands for is left out (rule 4).
        for row in _NEWEST_OLD.rows(db, floor=log.floor, since=micros(since)):
            log = replace(log, floor=row["seq"])
    found = _NEXT.rows(db, after=max(after, log.floor), most=most)
    return LogPart(
        log, _timelines(db, log.position), tuple(map(rows.event_of, found)), known.rows, version
    )


def holds(db: Connection, position: Position) -> bool:
    """Tell whether a position is on this log, as its timelines tell, also where the event is
    forgotten (rule 6)."""
    end = reads.log_end(db).position
    if position.epoch != end.epoch or position.seq > end.seq:
        return False
    return [one.timeline for one in _timelines(db, position)][-1:] == [position.timeline]


def _timelines(db: Connection, end: Position) -> tuple[TimelineStart, ...]:
    """Give where the timelines of an epoch began, up to a position. Opening events are never
    forgotten."""
    return tuple(
        TimelineStart(Timeline(row["timeline_number"], row["timeline_name"]), row["seq"])
        for row in _TIMELINES.rows(db, epoch=end.epoch, end=end.seq)
    )


def _node_of(row: rows.Row) -> NodeRow:
    acked = None
    if row["n_acked_epoch"] is not None:
        timeline = Timeline(row["n_acked_timeline_number"], row["n_acked_timeline_name"])
        acked = Position(row["n_acked_epoch"], timeline, row["n_acked_seq"])
    return NodeRow(
        NodeId(row["n_id"]),
        row["n_beat"],
        acked,
        timedelta(seconds=row["n_lease"]),
        row["n_verifiers"],
        row["n_about"],
    )
