"""Times in words. What `ago` and `until` say is what `static/app.js` makes of it a second later."""

from datetime import UTC, datetime, timedelta
from typing import Final

from lastcall.web.translation import ngettext

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_UNITS: Final = (
    (31_557_600, "%(n)s year ago", "%(n)s years ago", "in %(n)s year", "in %(n)s years"),
    (2_629_800, "%(n)s month ago", "%(n)s months ago", "in %(n)s month", "in %(n)s months"),
    (86_400, "%(n)s day ago", "%(n)s days ago", "in %(n)s day", "in %(n)s days"),
    (3_600, "%(n)s hour ago", "%(n)s hours ago", "in %(n)s hour", "in %(n)s hours"),
    (60, "%(n)s minute ago", "%(n)s minutes ago", "in %(n)s minute", "in %(n)s minutes"),
)
"""Seconds, then the past and the future. Largest first; no weeks, which nobody counts in."""
NOW: Final = "now"


def ago(at: datetime, now: datetime) -> str:
    """Tell how long ago something was, in its largest whole unit, cut off and not rounded."""
    seconds = int((now - at).total_seconds())
    for length, one, many, _, _ in _UNITS:
        if seconds >= length:
            count = seconds // length
            return ngettext(one, many, count) % {"n": count}
    return NOW


def until(at: datetime, now: datetime) -> str:
    """Tell how long it is until something, as `ago` does: it is at least that long."""
    seconds = int((at - now).total_seconds())
    for length, _, _, one, many in _UNITS:
        if seconds >= length:
            count = seconds // length
            return ngettext(one, many, count) % {"n": count}
    if seconds >= 1:
        return ngettext("in %(n)s second", "in %(n)s seconds", seconds) % {"n": seconds}
    return NOW


def span(length: timedelta) -> str:
    """Tell a length of time that somebody has set: "24 hours", "30 days", "15 minutes"."""
    seconds = int(length.total_seconds())
    for unit, least, one, many in (
        (86_400, 2, "%(n)s day", "%(n)s days"),
        (3_600, 1, "%(n)s hour", "%(n)s hours"),
        (60, 1, "%(n)s minute", "%(n)s minutes"),
    ):
        if seconds % unit == 0 and seconds >= unit * least:
            return ngettext(one, many, seconds // unit) % {"n": seconds // unit}
    return ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}


def utc(at: datetime) -> str:
    """Write a time out: "3 Nov 2026, 12:04 UTC"."""
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def iso(at: datetime) -> str:
    """Write a time for programs (RFC 3339, in UTC), to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
