"""Times in words. What `ago` and `until` say is what `static/app.js` makes of it a second later."""

from datetime import UTC, datetime, timedelta
from typing import Final

from lastcall.web.translation import gettext, language, mark, mark_plural, ngettext

_UNITS: Final = (
    (
        31_557_600,
        mark_plural("%(n)s year ago", "%(n)s years ago"),
        mark_plural("in %(n)s year", "in %(n)s years"),
    ),
    (
        2_629_800,
        mark_plural("%(n)s month ago", "%(n)s months ago"),
        mark_plural("in %(n)s month", "in %(n)s months"),
    ),
    (
        86_400,
        mark_plural("%(n)s day ago", "%(n)s days ago"),
        mark_plural("in %(n)s day", "in %(n)s days"),
    ),
    (
        3_600,
        mark_plural("%(n)s hour ago", "%(n)s hours ago"),
        mark_plural("in %(n)s hour", "in %(n)s hours"),
    ),
    (
        60,
        mark_plural("%(n)s minute ago", "%(n)s minutes ago"),
        mark_plural("in %(n)s minute", "in %(n)s minutes"),
    ),
)
"""Seconds, then the past and the future. Largest first; no weeks, which nobody counts in."""
_NOW: Final = mark("now")


def ago(at: datetime, now: datetime) -> str:
    """Tell how long ago something was, in its largest whole unit, cut off and not rounded."""
    seconds = int((now - at).total_seconds())
    for length, (one, many), _ in _UNITS:
        if seconds >= length:
            count = seconds // length
            return ngettext(one, many, count) % {"n": count}
    return gettext(_NOW)


def until(at: datetime, now: datetime) -> str:
    """Tell how long it is until something, as `ago` does: it is at least that long."""
    seconds = int((at - now).total_seconds())
    for length, _, (one, many) in _UNITS:
        if seconds >= length:
            count = seconds // length
            return ngettext(one, many, count) % {"n": count}
    if seconds >= 1:
        return ngettext("in %(n)s second", "in %(n)s seconds", seconds) % {"n": seconds}
    return gettext(_NOW)


def span(length: timedelta) -> str:
    """Tell a length of time that somebody has set: "24 hours", "30 days", "15 minutes"."""
    seconds = int(length.total_seconds())
    for unit, least, (one, many) in (
        (86_400, 2, mark_plural("%(n)s day", "%(n)s days")),
        (3_600, 1, mark_plural("%(n)s hour", "%(n)s hours")),
        (60, 1, mark_plural("%(n)s minute", "%(n)s minutes")),
    ):
        if seconds % unit == 0 and seconds >= unit * least:
            return ngettext(one, many, seconds // unit) % {"n": seconds // unit}
    return ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}


def wait(seconds: int) -> str:
    """Tell how long to wait: in seconds up to a minute, then in minutes, rounded up."""
    return span(timedelta(seconds=seconds if seconds <= 60 else -(-seconds // 60) * 60))


def utc(at: datetime) -> str:
    """Write a time out: "3 Nov 2026, 12:04 UTC", "3. Nov. 2026, 12:04 UTC"."""
    at, reader = at.astimezone(UTC), language()
    date = reader.date.format(day=at.day, month=reader.months[at.month - 1], year=at.year)
    return f"{date}, {at:%H:%M} UTC"


def clock(at: datetime) -> str:
    """Write a time of today to the second: "12:04:31 UTC"."""
    return f"{at.astimezone(UTC):%H:%M:%S} UTC"


def iso(at: datetime) -> str:
    """Write a time for programs (RFC 3339, in UTC), to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
