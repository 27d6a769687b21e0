"""Records taken away as a file: streamed, so that a long log costs no memory."""

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

import msgspec
from starlette.responses import Response, StreamingResponse

from lastcall.audit import Record
from lastcall.http import wire_records
from lastcall.identity.administration import Records
from lastcall.stores.base import RecordQuery
from lastcall.web.times import iso

Read = Callable[[RecordQuery], Awaitable[Records]]

BATCH: Final = 200
"""Records that are read at once."""
COLUMNS: Final = (
    *("id", "at", "type", "outcome", "reason", "actor_kind", "actor_id", "actor"),
    *("target_kind", "target_id", "target", "session_id", "device", "location", "ip"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for a formula at the start of a cell; full-width forms too."""


def answer(read: Read, query: RecordQuery, format_: str, name: str, now: datetime) -> Response:
    """Give all records that a query finds, newest first, as a file: CSV (RFC 4180) or JSON."""
    form, kind = (_json, "application/json") if format_ == "json" else (_csv, "text/csv")
    file = f"{name}-{now:%Y-%m-%d}.{'json' if form is _json else 'csv'}"
    return StreamingResponse(
        form(_batches(read, replace(query, limit=BATCH, before=None))),
        headers={"content-disposition": f'attachment; filename="{file}"'},
        media_type=kind,
    )


async def _batches(read: Read, query: RecordQuery) -> AsyncIterator[tuple[Record, ...]]:
    while True:
        page = await read(query)
        yield page.records
        if page.next is None:
            return
        query = replace(query, before=page.next)


async def _csv(batches: AsyncIterator[tuple[Record, ...]]) -> AsyncIterator[str]:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    async for batch in batches:
        for record in batch:
            writer.writerow(map(inert, _cells(record)))
        yield text.getvalue()
        text.seek(0)
        text.truncate()


async def _json(batches: AsyncIterator[tuple[Record, ...]]) -> AsyncIterator[bytes]:
    mark = b"["
    async for batch in batches:
        for record in batch:
            yield mark + msgspec.json.encode(wire_records.event(record))
            mark = b",\n"
    yield b"[]" if mark == b"[" else b"]"


def _cells(record: Record) -> tuple[str, ...]:
    actor, target, origin = record.actor, record.target, record.origin
    return (
        f"r_{record.number}",
        iso(record.at),
        record.type,
        record.outcome,
        record.reason or "",
        actor.kind,
        actor.id or "",
        actor.name or "",
        target.kind if target else "",
        target.id if target else "",
        (target.name or "") if target else "",
        origin.session_id or "",
        origin.device.label if origin.device else "",
        origin.place.label if origin.place else "",
        origin.ip or "",
    )


def inert(cell: str) -> str:
    """Give a cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
