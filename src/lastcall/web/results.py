"""What has come of something that was just asked for: by what the log holds, not by what the
address says."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from lastcall.errors import NotFound
from lastcall.events import Event
from lastcall.http.browser import AnyCall
from lastcall.sessions.endings import Confirmation, Termination
from lastcall.web.rendering import redirect
from lastcall.web.translation import gettext as _
from lastcall.web.translation import ngettext, number

WAIT: Final = 1.0
"""For how many seconds a form waits until what it has ended is confirmed; the page goes on."""


async def show(call: AnyCall, where: str, ended: Termination) -> Response:
    """Lead to the page that says what a termination has done, and how far it has come."""
    await call.node.confirmations.follow(ended, WAIT)
    return redirect(f"{where}?done={quote(ended.id)}")


async def find(call: AnyCall, name: str, allowed: Callable[[Event], bool]) -> Termination | None:
    """Find the termination that an address names, if it is one that the reader may see."""
    if not name:
        return None
    try:
        ended = await call.node.sessions.endings.termination(name, allowed)
    except NotFound:
        return None
    return await call.node.confirmations.follow(ended)


def count(ended: Termination) -> str:
    """Tell how many sessions it ended."""
    text = ngettext("%(n)s session ended.", "%(n)s sessions ended.", ended.ended)
    return text % {"n": number(ended.ended)}


def notice(tone: str, *sentences: str) -> dict[str, Any]:
    """Give what the page's notice shows."""
    return {"tone": tone, "text": " ".join(sentences)}


def told(ended: Termination, confirmed: str, confirming: str) -> dict[str, Any]:
    """Tell what ending sessions has done, and how sure it is: the first text where it is confirmed
    that nobody accepts them any more, the second one, which claims less, where it is not yet."""
    found = ended.confirmation
    if found.state == "confirmed":
        return notice("ok", *filter(None, (confirmed, count(ended), _confirmed(found))))
    return {
        **notice("warn", confirming, count(ended), _missing(found)),
        "confirming": ended.id,
        "certain_by": found.certain_by and _up(found.certain_by),
    }


def everywhere(ended: Termination) -> dict[str, Any]:
    """Tell what ending sessions has done."""
    if not ended.ended:
        return notice("info", _("There was no other session to end."))
    return told(ended, _("Signed out everywhere."), _("Signing out everywhere."))


def _confirmed(found: Confirmation) -> str:
    """Tell who has confirmed it; nothing where there was no service to ask."""
    if not found.verifiers:
        return ""
    values = {"n": number(found.acknowledged), "all": number(found.verifiers)}
    if found.acknowledged < found.verifiers:
        text = ngettext(
            "Confirmed by %(n)s of %(all)s service; no other accepts it any more.",
            "Confirmed by %(n)s of %(all)s services; no other accepts it any more.",
            found.verifiers,
        )
        return text % values
    if found.after is None:
        text = ngettext(
            "Confirmed by %(n)s of %(all)s service.",
            "Confirmed by %(n)s of %(all)s services.",
            found.verifiers,
        )
        return text % values
    text = ngettext(
        "Confirmed by %(n)s of %(all)s service in %(time)s ms.",
        "Confirmed by %(n)s of %(all)s services in %(time)s ms.",
        found.verifiers,
    )
    return text % {**values, "time": number(-(-found.after // timedelta(milliseconds=1)))}


def _missing(found: Confirmation) -> str:
    missing = found.verifiers - found.acknowledged
    if missing < 1:
        return _("A server can't be reached.")
    text = ngettext("%(n)s service can't be reached.", "%(n)s services can't be reached.", missing)
    return text % {"n": number(missing)}


def _up(moment: datetime) -> datetime:
    """Round up to the second that is shown: it is certain by then, not just before."""
    return (moment + timedelta(seconds=1, microseconds=-1)).replace(microsecond=0)
