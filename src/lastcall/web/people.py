"""A user as the pages of administration show them, and what may be done to them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, get_args

from starlette.responses import Response

from lastcall.errors import Forbidden
from lastcall.http.endpoint import Call
from lastcall.identity import roles
from lastcall.identity.administration import Invitation
from lastcall.identity.model import Profile, Role, User
from lastcall.sessions.service import Caller
from lastcall.web import words
from lastcall.web.frame import frame
from lastcall.web.rendering import render
from lastcall.web.translation import gettext as _
from lastcall.web.translation import number

ROLES: Final[tuple[Role, ...]] = tuple(reversed(get_args(Role)))
"""As a form offers them, the least first."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A user in a list. An empty text is "none"."""

    id: str
    address: str
    name: str
    role: str
    status: str
    status_text: str
    active_sessions: str
    last_seen_at: datetime | None
    you: bool


@dataclass(frozen=True, slots=True)
class Powers:
    """What the reader may do to a user; what they may not is not offered."""

    over: bool
    """Log out, terminate, rename."""
    role: bool
    suspend: bool
    resume: bool
    remove: bool
    invite: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is done to people."""

    title: str
    texts: tuple[str, ...]
    button: str
    destroys: bool = True


def summary(profile: Profile, caller: Caller) -> Summary:
    """Show a user in a list."""
    user = profile.user
    return Summary(
        id=user.id,
        address=user.email or user.external_id or user.id,
        name=user.name or "",
        role=words.role(user.role),
        status=status(user),
        status_text=status_text(user),
        active_sessions=number(profile.active_sessions),
        last_seen_at=profile.last_seen_at,
        you=user.id == caller.user.id,
    )


def status(user: User) -> str:
    """Tell `suspended`, `invited` (no password chosen yet) or `active`."""
    if user.status == "suspended":
        return "suspended"
    return "invited" if _is_invited(user) else "active"


def status_text(user: User) -> str:
    """Name it."""
    return {
        "suspended": _("Suspended"),
        "invited": _("Invited"),
        "active": _("Active"),
    }[status(user)]


def powers(caller: Caller, user: User) -> Powers:
    """Tell what a caller may do to a user, by the same rules that decide it."""
    over = _holds(lambda: roles.require_over(caller.role, user))
    other = _holds(lambda: roles.require_other(caller.user.id, user))
    return Powers(
        over=over,
        role=over and other and caller.role == "owner",
        suspend=over and other and user.status == "active",
        resume=over and other and user.status == "suspended",
        remove=over and other,
        invite=over and _is_invited(user) and user.status == "active",
    )


def role_of(text: str) -> Role:
    """Read a role from a form; a member's where it is none."""
    return next((role for role in ROLES if role == text), "member")


async def show_invitation(
    call: Call[Caller, Any, Any], user: User, invited: Invitation, user_href: str
) -> Response:
    """Show the link of an invitation, this once."""
    return render(
        call.request,
        "invited.html",
        201,
        frame=await frame(call),
        user=user.label,
        link=f"{call.node.settings.public_url}/invitation?token={invited.secret}",
        lifetime=invited.lifetime,
        user_href=user_href,
    )


def _is_invited(user: User) -> bool:
    return user.password_changed_at is None and user.email_key is not None


def _holds(rule: Callable[[], None]) -> bool:
    try:
        rule()
    except Forbidden:
        return False
    return True
