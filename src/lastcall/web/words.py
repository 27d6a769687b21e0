"""What codes are called on the pages: why a session ended, why a place is unknown, the roles."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lastcall.errors import InvalidRequest, SessionEnded
from lastcall.sessions.model import Ending
from lastcall.sessions.policy import Policy
from lastcall.web.times import span
from lastcall.web.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason in words. `%(by)s` is who or what did it, `%(idle)s` and `%(absolute)s` the limits
    of the policy."""

    brief: str
    """In a list of ended sessions."""
    title: str
    """To the person who was signed out."""
    text: str


_CHECK = "If that wasn't you, sign in and terminate every session that you don't recognise."

REASONS: Final[Mapping[str, Reason]] = {
    "signed_out": Reason("Signed out", "You signed out", "Sign in to go on."),
    "terminated_by_user": Reason(
        "Terminated from %(by)s",
        "You were signed out from another device",
        f"This session was terminated from %(by)s. {_CHECK}",
    ),
    "terminated_by_admin": Reason(
        "Ended by %(by)s",
        "You were signed out by an administrator",
        "This session was ended by %(by)s. You can sign in again.",
    ),
    "terminated_by_service": Reason(
        "Ended by %(by)s",
        "You were signed out by an application",
        "This session was ended by %(by)s. You can sign in again.",
    ),
    "password_changed": Reason(
        "Password changed from %(by)s",
        "Your password was changed",
        "It was changed from %(by)s, which signed you out here. If that wasn't you, ask an "
        "administrator for help.",
    ),
    "password_reset": Reason(
        "Password reset",
        "Your password was reset",
        "That signs you out everywhere. Sign in with the new password.",
    ),
    "factor_changed": Reason(
        "Sign-in methods changed",
        "The ways you sign in were changed",
        f"They were changed from %(by)s, which signed you out here. {_CHECK}",
    ),
    "expired_inactive": Reason(
        "%(idle)s without activity",
        "You were signed out after %(idle)s without activity",
        "Sign in to go on.",
    ),
    "expired_absolute": Reason(
        "Lasted %(absolute)s",
        "You were signed out after %(absolute)s",
        "After that long everybody is asked for the password again. Sign in to go on.",
    ),
    "refresh_reuse": Reason(
        "A token was used twice",
        "You were signed out to keep you safe",
        "A token of this session was used twice: somebody may have copied it. Sign in and "
        "terminate every session that you don't recognise.",
    ),
    "user_suspended": Reason(
        "Suspended",
        "You can't sign in for now",
        "An administrator has suspended you. Ask them if you don't know why.",
    ),
    "user_deleted": Reason(
        "Removed",
        "You were removed from this organisation",
        "Ask an administrator if you don't know why.",
    ),
    "role_changed": Reason(
        "Role changed", "Your role was changed", "Sign in to go on with the new one."
    ),
    "policy_changed": Reason(
        "Rules changed",
        "The rules for sessions were changed",
        "This session was longer than they allow. Sign in to go on.",
    ),
    "session_limit": Reason(
        "Too many sessions",
        "You signed in on too many devices",
        "The session that was not used for longest made room for a new one. Sign in to go on.",
    ),
    "binding_failed": Reason(
        "Used on another device",
        "You were signed out to keep you safe",
        "This session was used on a device that it does not belong to. Sign in and terminate every "
        "session that you don't recognise.",
    ),
    "device_blocked": Reason(
        "Device blocked",
        "This device was blocked",
        "Ask an administrator if you don't know why.",
    ),
    "unusual": Reason(
        "Unusual activity",
        "You were signed out to keep you safe",
        "This session was used in an unusual way. Sign in and terminate every session that you "
        "don't recognise.",
    ),
    "reported": Reason(
        "Reported from %(by)s",
        "This session was reported",
        "Somebody signed in as you said, from %(by)s, that they don't recognise it. If this is "
        "you, sign in again; if that wasn't you, ask an administrator for help.",
    ),
    "revoked": Reason(
        "Revoked by its application",
        "Your session was given back",
        "The application that used it ended it. Sign in to go on.",
    ),
    "restored": Reason(
        "Database restored",
        "You were signed out by maintenance",
        "The server went back to a backup, which knows this session no more. Sign in to go on.",
    ),
}

_ENDED: Final = Reason("Ended", "Your session has ended", "Sign in to go on.")
_SOMEBODY: Final[Mapping[str, str]] = {
    "self": "this device",
    "user": "another device",
    "admin": "an administrator",
    "service": "an application",
}

_NO_PLACE: Final[Mapping[str, str]] = {
    "private_address": "This address is private: it belongs to a home or company network, or to "
    "this machine.",
    "no_data": "Nobody publishes where this address is.",
    "no_address": "The address is not known.",
    "anonymous": "This address belongs to a VPN or another service that hides where people are.",
}

_ROLES: Final[Mapping[str, str]] = {
    "owner": "Owner",
    "admin": "Administrator",
    "member": "Member",
}

_FIELDS: Final[Mapping[str, str]] = {
    "missing": "Fill this in.",
    "too_long": "This is too long.",
    "too_short": "Use at least %(n)s characters.",
    "not_text": "This holds characters that can't be kept.",
    "email": "This is not an email address.",
    "too_common": "This is among the first that somebody would guess. Choose another.",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How somebody's session has ended, in words; `at` where the time is known."""

    title: str
    text: str
    at: datetime | None


def ended(error: SessionEnded, policy: Policy) -> Ended:
    """Tell the person who was signed out why, by whom or from which device, and when."""
    reason = REASONS.get(error.reason or "", _ENDED)
    about = _about(error.by_kind, error.by_name, policy)
    return Ended(_(reason.title) % about, _(reason.text) % about, error.ended_at)


def ending(value: Ending, policy: Policy) -> str:
    """Tell in a few words why a session has ended."""
    reason = REASONS.get(value.reason, _ENDED)
    return _(reason.brief) % _about(value.by.kind, value.by.name, policy)


def no_place(reason: str | None) -> str:
    """Tell why a place is not known; nothing where it is."""
    return _(_NO_PLACE.get(reason, _NO_PLACE["no_data"])) if reason else ""


def role(value: str) -> str:
    """Name a role."""
    return _(_ROLES.get(value, value))


def field_errors(error: InvalidRequest, policy: Policy) -> dict[str, str]:
    """Tell by field what is wrong with a form; `form` is where no field is to blame."""
    return {
        at.field or "form": _(_FIELDS.get(at.code, at.message)) % {"n": policy.password_min_length}
        for at in error.errors
    }


def _about(kind: str | None, name: str | None, policy: Policy) -> dict[str, str]:
    return {
        "by": name or _(_SOMEBODY.get(kind or "", "lastcall")),
        "idle": span(policy.refresh_lifetime),
        "absolute": span(policy.absolute_lifetime),
    }
