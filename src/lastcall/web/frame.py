"""What surrounds the pages of somebody signed in: who they are, and where they can go."""

from dataclasses import dataclass
from typing import Any

from lastcall.http.endpoint import Call
from lastcall.identity.roles import ADMINS
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
    return {
        "me": me(call.caller),
        "session_id": call.caller.session.id,
        "recorded": call.caller.recorded,
        "account_name": account.name if account else "",
        "nav": _groups(call),
        "attribution": attribution and {"text": attribution[0], "href": attribution[1]},
    }


def _groups(call: Call[Caller, Any, Any]) -> list[dict[str, object]]:
    """Give where the caller can go, by group; the page that a path is below is the current one."""
    groups = [
        (
            _("Settings"),
            [
                (HOME, _("Sessions"), "monitor-smartphone"),
                ("/settings/security", _("Security"), "lock-keyhole"),
                ("/settings/activity", _("Activity"), "activity"),
            ],
        )
    ]
    if call.caller.role in ADMINS:
        account = [
            ("/account/users", _("Users"), "users"),
            ("/account/audit", _("Audit log"), "scroll-text"),
            ("/account/services", _("Services"), "server"),
        ]
        groups.append((_("Account Management"), account))
    here = call.request.scope["path"].removeprefix(call.request.scope.get("root_path", ""))
    return [
        {
            "label": label,
            "entries": [
                {
                    "href": call.base + path,
                    "label": text,
                    "icon": icon,
                    "current": f"{here}/".startswith(f"{path}/"),
                }
                for path, text, icon in entries
            ],
        }
        for label, entries in groups
    ]
