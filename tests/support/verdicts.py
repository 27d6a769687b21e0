"""What was confirmed, and what checks said on real time: a judge of histories, simulated or real.

A history is a list of records, kept as JSON lines. All moments are seconds on one clock, that of
whoever writes the history, whatever the clocks of the processes say.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec

BOUND: Final = (1 + 0.1) / (1 - 0.1) / (1 - 0.1)
"""Of how many leases of real time a confirmation may take: the margin, on the slowest clock."""

Verdict = Literal["accepted", "refused", "unavailable"]


class _Record(msgspec.Struct, frozen=True, tag_field="record", omit_defaults=True):
    at: float


class Check(_Record, frozen=True, tag="check"):
    """A check that began at a moment, and took so many seconds. `shows`: the ids of the token, its
    session, its key. `cause`: why the token may be refused, as the truth has it; None where it must
    be accepted."""

    verifier: str
    shows: tuple[str, ...]
    verdict: Verdict
    cause: str | None = "unknown"
    took: float = 0.0


class Durable(_Record, frozen=True, tag="durable"):
    """From here on a process knows that an event is durable."""

    process: str
    event: str


class Confirmed(_Record, frozen=True, tag="confirmed"):
    """A process says that an event is confirmed: the sessions, tokens and keys of `covers` are over
    for every check that begins later."""

    process: str
    event: str
    covers: frozenset[str]


class Confirming(_Record, frozen=True, tag="confirming"):
    """A process says that an event is not confirmed yet."""

    process: str
    event: str


Record = Check | Durable | Confirmed | Confirming

_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def write(history: Iterable[Record]) -> bytes:
    """Write a history as JSON lines."""
    return b"".join(msgspec.json.encode(record) + b"\n" for record in history)


def read(lines: bytes) -> list[Record]:
    """Read what `write` has written."""
    return [_decoder.decode(line) for line in lines.splitlines() if line.strip()]


def faults(history: Sequence[Record], bound: float) -> list[str]:
    """Tell what must not be: an ended session that is accepted, a confirmation that takes longer
    than the bound, a genuine session that is refused."""
    return [*_unsafe(history), *_late(history, bound), *_refused(history)]


def longest(history: Sequence[Record]) -> float:
    """Give how long a process that knew an event durable did not call it confirmed, at most: what
    must not be longer than the bound."""
    since = _known(history)
    return max(
        (
            record.at - since[record.process, record.event]
            for record in history
            if isinstance(record, Confirming) and (record.process, record.event) in since
        ),
        default=0.0,
    )


def _unsafe(history: Sequence[Record]) -> Iterator[str]:
    """Safety: no check that begins after a confirmation accepts what it covers."""
    over: dict[str, Confirmed] = {}
    for record in history:
        if isinstance(record, Confirmed):
            for name in record.covers:
                known = over.get(name)
                if known is None or record.at < known.at:
                    over[name] = record
    for record in history:
        if isinstance(record, Check) and record.verdict == "accepted":
            for name in record.shows:
                end = over.get(name)
                if end is not None and end.at < record.at:
                    yield (
                        f"unsafe: at {record.at:.3f} {record.verifier} accepted {name}, which was "
                        f"confirmed as over at {end.at:.3f} by {end.process} ({end.event})"
                    )


def _late(history: Sequence[Record], bound: float) -> Iterator[str]:
    """Liveness: who knows an event durable calls it confirmed within the bound."""
    since = _known(history)
    for record in history:
        if isinstance(record, Confirming):
            known = since.get((record.process, record.event))
            if known is not None and record.at - known > bound:
                yield (
                    f"late: at {record.at:.3f} {record.process} had known {record.event} durable "
                    f"for {record.at - known:.1f} s and did not call it confirmed"
                )


def _known(history: Sequence[Record]) -> dict[tuple[str, str], float]:
    """Since when each process knows which event durable."""
    since: dict[tuple[str, str], float] = {}
    for record in history:
        if isinstance(record, Durable):
            since.setdefault((record.process, record.event), record.at)
    return since


def _refused(history: Sequence[Record]) -> Iterator[str]:
    """Availability: what is genuine is not refused without a cause."""
    for record in history:
        if isinstance(record, Check) and record.verdict != "accepted" and record.cause is None:
            yield (
                f"refused: at {record.at:.3f} {record.verifier} said {record.verdict} of "
                f"{record.shows[0]}, which is good"
            )
