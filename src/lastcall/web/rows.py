"""A session as the pages show it."""

from dataclasses import dataclass
from datetime import datetime

from lastcall.sessions import rules
from lastcall.sessions.model import Session
from lastcall.sessions.policy import Policy
from lastcall.web import words
from lastcall.web.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Row:
    """One session. An empty text is "not known"; texts from clients are escaped where they show."""

    id: str
    current: bool
    device_type: str
    device_name: str
    os: str
    os_version: str
    browser: str
    browser_version: str
    name: str
    """What an application calls itself or its device."""
    location_label: str
    location_reason_text: str
    ip: str
    last_active_at: datetime
    created_at: datetime
    expires_at: datetime
    expires_by: str
    """`inactivity` or `absolute`."""
    ended_at: datetime | None
    ended_text: str


def row(session: Session, policy: Policy, now: datetime, current: Session) -> Row:
    """Show a session to somebody whose own is `current`."""
    device, place = session.device, session.place
    expires_at = rules.expiry(session, policy)
    absolute = rules.absolute_expiry(session, policy)
    ending = rules.ending(session, policy, now)
    return Row(
        id=session.id,
        current=session.id == current.id,
        device_type=device.type,
        device_name=words.thing(device),
        os=device.os or "",
        os_version=device.os_version or "",
        browser=device.browser or "",
        browser_version=device.browser_version or "",
        name=session.client.name or "",
        location_label=words.place(place),
        location_reason_text=words.no_place(place.reason),
        ip=session.ip or _("no address"),
        last_active_at=session.last_active_at,
        created_at=session.created_at,
        expires_at=expires_at,
        expires_by="absolute" if expires_at == absolute else "inactivity",
        ended_at=ending.at if ending else None,
        ended_text=words.ending(ending, policy) if ending else "",
    )
