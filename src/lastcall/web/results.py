"""What has come of something that was just asked for: by what the log holds, not by what the
address says."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from lastcall.errors import NotFound
from lastcall.events import Event
from lastcall.http.browser import AnyCall
from lastcall.sessions.endings import Termination
from lastcall.web.rendering import redirect
from lastcall.web.translation import gettext as _
from lastcall.web.translation import ngettext, number

WAIT: Final = 1.0
"""For how many seconds a form waits until what it has ended is confirmed; the page goes on."""


async def show(call: AnyCall, where: str, ended: Termination) -> Response:
    """Lead to the page that says what a termination has done, and how far it has come."""
    await call.node.leases.follow(ended, WAIT)
    return redirect(f"{where}?done={quote(ended.id)}")


async def find(call: AnyCall, name: str, allowed: Callable[[Event], bool]) -> Termination | None:
    """Find the termination that an address names, if it is one that the reader may see."""
    if not name:
        return None
    try:
        ended = await call.node.sessions.endings.termination(name, allowed)
    except NotFound:
        return None
    return await call.node.leases.follow(ended)


def count(ended: Termination) -> str:
    """Tell how many sessions it ended."""
    text = ngettext("%(n)s session ended.", "%(n)s sessions ended.", ended.ended)
    return text % {"n": number(ended.ended)}


def notice(tone: str, *sentences: str) -> dict[str, str]:
    """Give what the page's notice shows."""
    return {"tone": tone, "text": " ".join(sentences)}


def everywhere(ended: Termination) -> dict[str, str]:
    """Tell what ending sessions has done."""
    if not ended.ended:
        return notice("info", _("There was no other session to end."))
    return notice("ok", _("Signed out everywhere."), count(ended))
