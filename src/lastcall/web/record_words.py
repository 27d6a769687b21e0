"""What the audit log's words are called on the pages: what happened, why, and what wants a look."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lastcall.audit import UNUSUAL, Record, RecordType
from lastcall.web import words
from lastcall.web.translation import gettext as _
from lastcall.web.translation import mark


@dataclass(frozen=True, slots=True)
class Word:
    """A type of record: in a list, where it failed, and the icon beside it."""

    title: str
    icon: str
    failed: str = ""


WORDS: Final[Mapping[RecordType, Word]] = {
    "session.sign_in": Word(mark("Signed in"), "key-round", mark("Sign-in failed")),
    "session.reauthenticate": Word(
        mark("Confirmed who they are"), "lock-keyhole", mark("Confirmation failed")
    ),
    "session.move": Word(mark("Used from another address"), "arrow-right-left"),
    "session.sign_out": Word(mark("Signed out"), "log-out"),
    "session.terminate": Word(mark("Session terminated"), "circle-x"),
    "session.terminate_others": Word(mark("All other sessions terminated"), "circle-x"),
    "session.report": Word(mark("Session reported as not recognised"), "triangle-alert"),
    "session.reuse": Word(mark("A refresh token was used twice"), "triangle-alert"),
    "session.expire": Word(mark("Session ran out"), "history"),
    "user.add": Word(mark("User added"), "user-plus"),
    "user.invite": Word(mark("Invitation made"), "mail"),
    "user.accept_invitation": Word(mark("Invitation accepted"), "user-check"),
    "user.change_password": Word(
        mark("Password changed"), "lock-keyhole", mark("Password change failed")
    ),
    "user.rename": Word(mark("Name changed"), "pencil"),
    "user.change_role": Word(mark("Role changed"), "users"),
    "user.suspend": Word(mark("User suspended"), "ban"),
    "user.resume": Word(mark("User resumed"), "user-check"),
    "user.remove": Word(mark("User removed"), "trash-2"),
    "user.logout": Word(mark("Logged out everywhere"), "log-out"),
    "account.add": Word(mark("Account added"), "users"),
    "account.logout": Word(mark("Everybody logged out"), "log-out"),
    "key.create": Word(mark("Service key created"), "key-round"),
    "key.revoke": Word(mark("Service key revoked"), "circle-x"),
    "signing_key.rotate": Word(mark("Signing key rotated"), "key-round"),
    "signing_key.revoke": Word(mark("Signing key revoked"), "key-round"),
    "audit.export": Word(mark("Audit log exported"), "file-down"),
    "audit.purge": Word(mark("Old entries purged"), "trash-2"),
}

_REASONS: Final[Mapping[str, str]] = {
    "expired_inactive": mark("It was not used for too long"),
    "expired_absolute": mark("It had lasted as long as it may"),
}
"""Why, where neither the title nor what wants a look says so."""

_SUSPENDED: Final = mark("Somebody tried to sign in as a suspended user.")
_ATTENTION: Final[Mapping[RecordType, str]] = {
    "session.sign_in": mark("Somebody did not know the password."),
    "session.reauthenticate": mark("Somebody in this session did not know the password."),
    "user.change_password": mark("Somebody in this session did not know the password."),
    "session.reuse": mark("Somebody may have copied it. The session was ended."),
    "session.report": mark("Its user did not recognise it."),
}
"""Why an entry wants a look."""

_DOERS: Final[Mapping[str, str]] = {
    "admin": mark("an administrator"),
    "service": mark("an application"),
    "user": mark("a user"),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A group of types, as a filter names it."""

    name: str
    title: str
    types: tuple[RecordType, ...] = ()


UNUSUAL_KIND: Final = "unusual"
REPORTS_KIND: Final = "reports"
KINDS: Final = (
    Kind("", mark("Everything")),
    Kind(
        "sign-ins",
        mark("Sign-ins"),
        (
            *("session.sign_in", "session.reauthenticate", "session.sign_out"),
            *("session.move", "user.accept_invitation"),
        ),
    ),
    Kind(
        "endings",
        mark("Ended sessions"),
        (
            *("session.sign_out", "session.terminate", "session.terminate_others"),
            *("session.report", "session.reuse", "session.expire"),
            *("user.logout", "account.logout"),
        ),
    ),
    Kind(
        "people",
        mark("People and passwords"),
        (
            *("user.add", "user.invite", "user.accept_invitation", "user.change_password"),
            *("user.rename", "user.change_role", "user.suspend", "user.resume", "user.remove"),
        ),
    ),
    Kind(
        "keys",
        mark("Keys and exports"),
        (
            *(
                "key.create",
                "key.revoke",
                "signing_key.rotate",
                "signing_key.revoke",
                "account.add",
            ),
            *("audit.export", "audit.purge"),
        ),
    ),
    Kind(UNUSUAL_KIND, mark("Unusual")),
    Kind(REPORTS_KIND, mark("Reported sessions"), ("session.report",)),
)
"""Every type is in one of them at least."""


def kind(name: str) -> Kind:
    """Find a group by its name; everything where there is none of that name."""
    return next((one for one in KINDS if one.name == name), KINDS[0])


def title(record: Record) -> str:
    """Tell what happened."""
    word = WORDS[record.type]
    has_failed = record.outcome == "failure" and word.failed
    text = word.failed if has_failed else word.title
    return _(text)


def icon(record: Record) -> str:
    """Name the icon of what happened."""
    return "triangle-alert" if attention(record) else WORDS[record.type].icon


def reason(record: Record) -> str:
    """Tell why, where the title doesn't; for another role, which one it is now."""
    if record.type == "user.change_role":
        return words.role(record.reason or "")
    return _(_REASONS.get(record.reason or "", ""))


def attention(record: Record) -> str:
    """Tell why an entry wants a look; nothing where it doesn't."""
    if record.reason == "user_suspended" and record.outcome == "failure":
        return _(_SUSPENDED)
    if record.outcome == "failure" or record.type in UNUSUAL:
        return _(_ATTENTION.get(record.type, ""))
    return ""


def doer(record: Record) -> str:
    """Name who did it; nothing where lastcall did it by itself or nobody knows."""
    actor = record.actor
    return actor.name or _(_DOERS.get(actor.kind, ""))
