"""What has come of something that was just asked for: by what the log holds, not by what the
address says."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from lastcall.clock import round_up
from lastcall.errors import NotFound
from lastcall.events import Event
from lastcall.http.browser import AnyCall
from lastcall.sessions.endings import Confirmation, Termination
from lastcall.web.rendering import redirect
from lastcall.web.translation import gettext as _
from lastcall.web.translation import ngettext, number

WAIT: Final = 1.0
"""For how many seconds a form waits until what it has ended is confirmed; the page goes on."""
JUST_NOW: Final = timedelta(minutes=1)
"""How long it is said of something that it was changed."""


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
    if found.state == "confirming":
        return _unsure(ended, confirming)
    return notice("ok", *filter(None, (confirmed, count(ended), _confirmed(found), _late(found))))


def logged_out(ended: Termination, confirmed: str, confirming: str) -> dict[str, Any]:
    """Tell the same of what did nothing else than end them; the first text is half a sentence."""
    found = ended.confirmation
    if found.state == "confirming":
        return _unsure(ended, confirming)
    return notice("ok", *filter(None, (_joined(confirmed, found), count(ended), _late(found))))


def everywhere(ended: Termination) -> dict[str, Any]:
    """Tell what ending sessions has done."""
    if not ended.ended:
        return notice("info", _("There was no other session to end."))
    return logged_out(ended, _("Signed out everywhere"), _("Signing out everywhere."))


def _unsure(ended: Termination, confirming: str) -> dict[str, Any]:
    found = ended.confirmation
    return {
        **notice("warn", confirming, count(ended), *_missing(found)),
        "confirming": ended.id,
        "certain_by": found.certain_by and round_up(found.certain_by),
    }


def _joined(done: str, found: Confirmation) -> str:
    """Say what was done and who has confirmed it."""
    if not found.acknowledged:
        return _("%(done)s.") % {"done": done}
    if found.after is None:
        text = ngettext(
            "%(done)s, confirmed by %(n)s of %(all)s service.",
            "%(done)s, confirmed by %(n)s of %(all)s services.",
            found.verifiers,
        )
    else:
        text = ngettext(
            "%(done)s, confirmed by %(n)s of %(all)s service in %(time)s ms.",
            "%(done)s, confirmed by %(n)s of %(all)s services in %(time)s ms.",
            found.verifiers,
        )
    return text % {"done": done, **_numbers(found)}


def _confirmed(found: Confirmation) -> str:
    """Tell who has confirmed it; nothing where nobody has."""
    if not found.acknowledged:
        return ""
    if found.after is None:
        text = ngettext(
            "Confirmed by %(n)s of %(all)s service.",
            "Confirmed by %(n)s of %(all)s services.",
            found.verifiers,
        )
    else:
        text = ngettext(
            "Confirmed by %(n)s of %(all)s service in %(time)s ms.",
            "Confirmed by %(n)s of %(all)s services in %(time)s ms.",
            found.verifiers,
        )
    return text % _numbers(found)


def _numbers(found: Confirmation) -> dict[str, str]:
    """Give who has confirmed it, of how many, in how many milliseconds."""
    after = found.after or timedelta(0)
    return {
        "n": number(found.acknowledged),
        "all": number(found.verifiers),
        "time": number(-(-after // timedelta(milliseconds=1))),
    }


def _late(found: Confirmation) -> str:
    """Tell who has not confirmed what is certain all the same."""
    missing = found.verifiers - found.acknowledged
    if not missing:
        return ""
    text = ngettext(
        "%(n)s service has not confirmed it, but its lease has run out: it accepts nothing that "
        "has ended.",
        "%(n)s services have not confirmed it, but their leases have run out: they accept nothing "
        "that has ended.",
        missing,
    )
    return text % {"n": number(missing)}


def _missing(found: Confirmation) -> list[str]:
    """Tell who has not confirmed it yet, and who of them can't."""
    missing = found.verifiers - found.acknowledged
    if missing < 1:
        return [_("A server has not confirmed it yet.")]
    gone, silent = found.unreachable, missing - found.unreachable
    texts = []
    if silent:
        text = ngettext(
            "%(n)s service has not confirmed it yet.",
            "%(n)s services have not confirmed it yet.",
            silent,
        )
        texts.append(text % {"n": number(silent)})
    if gone:
        text = ngettext("%(n)s service can't be reached.", "%(n)s services can't be reached.", gone)
        texts.append(text % {"n": number(gone)})
    return texts
