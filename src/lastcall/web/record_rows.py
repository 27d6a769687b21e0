"""A record of the audit log as the pages show it."""

from dataclasses import dataclass
from datetime import datetime

from lastcall.audit import Record
from lastcall.sessions.service import Caller
from lastcall.web import record_words, words
from lastcall.web.translation import gettext as _


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One record. An empty text is "not known", or of no meaning here."""

    at: datetime
    icon: str
    title: str
    detail: str
    """Why, or on which device."""
    attention: str
    """Why it wants a look."""
    doer: str
    doer_id: str
    doer_role: str
    target: str
    target_id: str
    """Of a user."""
    own: bool
    """Done by the reader."""
    here: bool
    """Done in the reader's own session."""
    device_type: str
    device: str
    location_label: str
    location_reason_text: str
    ip: str


def row(record: Record, caller: Caller) -> RecordRow:
    """Show a record to a reader, as much of it as they were given."""
    actor, target, origin = record.actor, record.target, record.origin
    on_session = target is not None and target.kind == "session"
    device, place = origin.device, origin.place
    own = target is not None and target.id == actor.id
    shown = target if target is not None and not on_session and not own else None
    # A sign-in's target is the session that it began, on the device that is shown anyway.
    begun = record.type == "session.sign_in"
    ended = target.name if target is not None and on_session and not begun else None
    detail = " · ".join(filter(None, (record_words.reason(record), ended)))
    return RecordRow(
        at=record.at,
        icon=record_words.icon(record),
        title=record_words.title(record),
        detail=detail,
        attention=record_words.attention(record),
        doer=record_words.doer(record),
        doer_id=(actor.id or "") if actor.kind in ("user", "admin") else "",
        doer_role=_("Administrator") if actor.kind == "admin" and actor.id else "",
        target=(shown.name or shown.id) if shown else "",
        target_id=shown.id if shown and shown.kind == "user" else "",
        own=actor.id == caller.user.id,
        here=origin.session_id == caller.session.id,
        device_type=device.type if device else "",
        device=words.device(device) if device else "",
        location_label=words.place(place) if place else "",
        location_reason_text=words.no_place(place.reason) if place else "",
        ip=origin.ip or "",
    )
