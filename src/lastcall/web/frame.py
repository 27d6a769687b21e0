"""What surrounds the pages of somebody signed in: who they are, and where they can go."""

from dataclasses import dataclass
from typing import Any

from lastcall.http.endpoint import Call
from lastcall.sessions.service import Caller
from lastcall.web import words
from lastcall.web.rendering import HOME
from lastcall.web.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Me:
    """Who is signed in, for themselves to see."""

    name: str
    email: str
    initials: str
    role: str


def me(caller: Caller) -> Me:
    """Tell who is signed in."""
    user = caller.user
    email = user.email or user.external_id or ""
    parts = (user.name or email.partition("@")[0]).split()
    ends = (parts[0], parts[-1]) if len(parts) > 1 else parts
    initials = "".join(part[0] for part in ends).upper()
    return Me(user.name or "", email, initials, words.role(caller.role))


async def frame(call: Call[Caller, Any, Any]) -> dict[str, object]:
    """Give what the frame shows."""
    account = await call.node.store.find_account(call.caller.user.account_id)
    attribution = call.node.locator.attribution
    sessions = {
        "label": _("Sessions"),
        "href": call.base + HOME,
        "current": True,
        "icon": "monitor-smartphone",
    }
    return {
        "me": me(call.caller),
        "account_name": account.name if account else "",
        "nav": [sessions],
        "attribution": attribution and {"text": attribution[0], "href": attribution[1]},
    }
