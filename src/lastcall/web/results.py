"""What has come of something that was just asked for: by what the log holds, not by what the
address says."""

from collections.abc import Callable

from lastcall.errors import NotFound
from lastcall.events import Event
from lastcall.http.browser import AnyCall
from lastcall.sessions.endings import Termination
from lastcall.web.translation import gettext as _
from lastcall.web.translation import ngettext, number


async def find(call: AnyCall, name: str, allowed: Callable[[Event], bool]) -> Termination | None:
    """Find the termination that an address names, if it is one that the reader may see."""
    if not name:
        return None
    try:
        return await call.node.sessions.endings.termination(name, allowed)
    except NotFound:
        return None


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
