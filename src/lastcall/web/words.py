"""What things are called on the pages: why a session ended, devices, places, the roles."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lastcall.device.model import Device, Place
from lastcall.errors import InvalidRequest, RateLimited, Refused, SessionEnded
from lastcall.sessions.model import Ending
from lastcall.sessions.policy import Policy
from lastcall.web.times import span, wait
from lastcall.web.translation import gettext as _
from lastcall.web.translation import language, mark


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason in words. `%(by)s` is who or what did it, `%(idle)s` and `%(absolute)s` the limits
    of the policy."""

    brief: str
    """In a list of ended sessions."""
    title: str
    """To the person who was signed out."""
    text: str
    advice: str = ""
    """Goes on from the text."""


_CHECK: Final = mark(
    "If that wasn't you, sign in and terminate every session that you don't recognise."
)

REASONS: Final[Mapping[str, Reason]] = {
    "signed_out": Reason(mark("Signed out"), mark("You signed out"), mark("Sign in to go on.")),
    "terminated_by_user": Reason(
        mark("Terminated from %(by)s"),
        mark("You were signed out from another device"),
        mark("This session was terminated from %(by)s."),
        _CHECK,
    ),
    "terminated_by_admin": Reason(
        mark("Ended by %(by)s"),
        mark("You were signed out by an administrator"),
        mark("This session was ended by %(by)s. You can sign in again."),
    ),
    "terminated_by_service": Reason(
        mark("Ended by %(by)s"),
        mark("You were signed out by an application"),
        mark("This session was ended by %(by)s. You can sign in again."),
    ),
    "password_changed": Reason(
        mark("Password changed from %(by)s"),
        mark("Your password was changed"),
        mark(
            "It was changed from %(by)s, which signed you out here. If that wasn't you, ask an "
            "administrator for help."
        ),
    ),
    "password_reset": Reason(
        mark("Password reset"),
        mark("Your password was reset"),
        mark("That signs you out everywhere. Sign in with the new password."),
    ),
    "factor_changed": Reason(
        mark("Sign-in methods changed"),
        mark("The ways you sign in were changed"),
        mark("They were changed from %(by)s, which signed you out here."),
        _CHECK,
    ),
    "expired_inactive": Reason(
        mark("%(idle)s without activity"),
        mark("You were signed out after %(idle)s without activity"),
        mark("Sign in to go on."),
    ),
    "expired_absolute": Reason(
        mark("Lasted %(absolute)s"),
        mark("You were signed out after %(absolute)s"),
        mark("After that long everybody is asked for the password again. Sign in to go on."),
    ),
    "refresh_reuse": Reason(
        mark("A token was used twice"),
        mark("You were signed out to keep you safe"),
        mark(
            "A token of this session was used twice: somebody may have copied it. Sign in and "
            "terminate every session that you don't recognise."
        ),
    ),
    "user_suspended": Reason(
        mark("Suspended"),
        mark("You can't sign in for now"),
        mark("An administrator has suspended you. Ask them if you don't know why."),
    ),
    "user_deleted": Reason(
        mark("Removed"),
        mark("You were removed from this organisation"),
        mark("Ask an administrator if you don't know why."),
    ),
    "role_changed": Reason(
        mark("Role changed"),
        mark("Your role was changed"),
        mark("Sign in to go on with the new one."),
    ),
    "policy_changed": Reason(
        mark("Rules changed"),
        mark("The rules for sessions were changed"),
        mark("This session was longer than they allow. Sign in to go on."),
    ),
    "session_limit": Reason(
        mark("Too many sessions"),
        mark("You signed in on too many devices"),
        mark(
            "The session that was not used for longest made room for a new one. Sign in to go on."
        ),
    ),
    "binding_failed": Reason(
        mark("Used on another device"),
        mark("You were signed out to keep you safe"),
        mark(
            "This session was used on a device that it does not belong to. Sign in and terminate "
            "every session that you don't recognise."
        ),
    ),
    "device_blocked": Reason(
        mark("Device blocked"),
        mark("This device was blocked"),
        mark("Ask an administrator if you don't know why."),
    ),
    "unusual": Reason(
        mark("Unusual activity"),
        mark("You were signed out to keep you safe"),
        mark(
            "This session was used in an unusual way. Sign in and terminate every session that you "
            "don't recognise."
        ),
    ),
    "reported": Reason(
        mark("Reported from %(by)s"),
        mark("This session was reported"),
        mark(
            "Somebody signed in as you said, from %(by)s, that they don't recognise it. If this is "
            "you, sign in again; if that wasn't you, ask an administrator for help."
        ),
    ),
    "revoked": Reason(
        mark("Revoked by its application"),
        mark("Your session was given back"),
        mark("The application that used it ended it. Sign in to go on."),
    ),
    "restored": Reason(
        mark("Database restored"),
        mark("You were signed out by maintenance"),
        mark(
            "The server went back to a backup, which knows this session no more. Sign in to go on."
        ),
    ),
}

_ENDED: Final = Reason(mark("Ended"), mark("Your session has ended"), mark("Sign in to go on."))
_SOMEBODY: Final[Mapping[str, str]] = {
    "self": mark("this device"),
    "user": mark("another device"),
    "admin": mark("an administrator"),
    "service": mark("an application"),
}

_NO_PLACE: Final[Mapping[str, str]] = {
    "private_address": mark(
        "This address is private: it belongs to a home or company network, or to this machine."
    ),
    "no_data": mark("Nobody publishes where this address is."),
    "no_address": mark("The address is not known."),
    "anonymous": mark(
        "This address belongs to a VPN or another service that hides where people are."
    ),
}

_THINGS: Final = frozenset({mark("Android tablet")})
"""Names of devices that are no brands."""

_ROLES: Final[Mapping[str, str]] = {
    "owner": mark("Owner"),
    "admin": mark("Administrator"),
    "member": mark("Member"),
}

_FIELDS: Final[Mapping[str, str]] = {
    "missing": mark("Fill this in."),
    "too_long": mark("This is too long."),
    "too_short": mark("Use at least %(n)s characters."),
    "not_text": mark("This holds characters that can't be kept."),
    "email": mark("This is not an email address."),
    "taken": mark("There is a user with this address already."),
    "wrong_password": mark("This is not your password."),
    "too_common": mark("This is among the first that somebody would guess. Choose another."),
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
    text = " ".join(filter(None, (_(reason.text) % about, _(reason.advice))))
    return Ended(_(reason.title) % about, text, error.ended_at)


def ending(value: Ending, policy: Policy) -> str:
    """Tell in a few words why a session has ended."""
    reason = REASONS.get(value.reason, _ENDED)
    return _(reason.brief) % _about(value.by.kind, value.by.name, policy)


def device(value: Device) -> str:
    """Name a browser and its system in one: "Chrome on macOS", "Chrome unter macOS"."""
    if value.browser and value.os:
        return _("%(browser)s on %(system)s") % {"browser": value.browser, "system": value.os}
    return value.browser or value.os or _("Unknown device")


def thing(value: Device) -> str:
    """Name what a session runs on, as people call it; nothing where its system is not known."""
    if value.os is None:
        return ""
    return _(value.name) if value.name in _THINGS else value.name


def place(value: Place) -> str:
    """Name a place: "London, United Kingdom", "London, Vereinigtes Königreich"."""
    if value.country is None:
        return _("unknown")
    country = language().countries.get(value.country_code or "", value.country)
    alone = value.label == value.country
    return country if alone else f"{value.city}, {country}"


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


def password_refused(refusal: Refused) -> str:
    """Tell why a password that was asked for again was not taken."""
    if isinstance(refusal, RateLimited):
        return _("Too many attempts. Try again in %(wait)s.") % {"wait": wait(refusal.retry_after)}
    return _("The password is wrong.")


def _about(kind: str | None, name: str | None, policy: Policy) -> dict[str, str]:
    return {
        "by": name or _(_SOMEBODY.get(kind or "", "lastcall")),
        "idle": span(policy.refresh_lifetime),
        "absolute": span(policy.absolute_lifetime),
    }
