"""The filter of a page that lists records, as it stands in the address."""

from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from lastcall.http import cursors
from lastcall.stores.base import RecordQuery
from lastcall.web import record_words
from lastcall.web.translation import gettext as _


class Filter(Struct):
    """Which records: of a kind, by or about people (an id, or part of a name or address), by day
    (UTC, both included), from where on. What can't be read is passed over: an address that
    somebody has cut still shows the page."""

    kind: str = ""
    person: str = ""
    since: str = ""
    until: str = ""
    before: str = ""
    format: str = "csv"


def query(form: Filter, people: tuple[str, ...] | None = None) -> RecordQuery:
    """Give what a filter asks for, by or about these people. Raises InvalidRequest for a wrong
    place to go on from.
    """
    kind = record_words.kind(form.kind)
    since, until = day(form.since), day(form.until)
    return RecordQuery(
        before=cursors.read_number("records", form.before) if form.before else None,
        types=kind.types,
        unusual=kind.name == record_words.UNUSUAL_KIND,
        people=people,
        since=_start(since) if since else None,
        until=_start(until + timedelta(days=1)) if until else None,
    )


def readable(form: Filter) -> Filter:
    """Leave of a filter what can be read."""
    since, until = (text if day(text) else "" for text in (form.since, form.until))
    return replace(form, since=since, until=until, person=form.person.strip()[:200])


def day(text: str) -> date | None:
    """Read a day as a date field sends it; None where it is none, or the last one there is."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date.min < found < date.max else None


def kinds(form: Filter, *, without: tuple[str, ...] = ()) -> list[dict[str, object]]:
    """Give the kinds to choose from."""
    chosen = record_words.kind(form.kind)
    return [
        {"name": kind.name, "title": _(kind.title), "chosen": kind == chosen}
        for kind in record_words.KINDS
        if kind.name not in without
    ]


def address(path: str, form: Filter, **more: str) -> str:
    """Give the address of a page under this filter."""
    held = {name: getattr(form, name) for name in ("kind", "person", "since", "until")}
    fields = {name: value for name, value in {**held, **more}.items() if value}
    return f"{path}?{urlencode(fields)}" if fields else path


def _start(at: date) -> datetime:
    return datetime.combine(at, time(), UTC)
