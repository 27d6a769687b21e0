"""`LASTCALL` of Django's settings: whose tokens are taken, and who is `request.user`.

LASTCALL = {"ADDRESS": "https://id.example.com", "KEY": "lck_…"}
LASTCALL = {"VERIFIER": "myproject.auth.verifier"}
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from lastcall.errors import SettingsError
from lastcall.integrations.core import Gate
from lastcall.missing import needs
from lastcall.verifier.checking import Checker
from lastcall.verifier.client import Verifier
from lastcall.verifier.session import Session

with needs("Django", "django"):
    from django.apps import apps
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.signals import setting_changed
    from django.utils.module_loading import import_string

_KNOWN: Final = ("ADDRESS", "KEY", "VERIFIER", "PUBLIC_URL", "USER")
_EXAMPLE: Final = (
    'LASTCALL = {"ADDRESS": "https://id.example.com", "KEY": "lck_…"}, or '
    'LASTCALL = {"VERIFIER": "myproject.auth.verifier"}'
)


@dataclass(frozen=True, slots=True)
class Configured:
    """What the settings make."""

    gate: Gate
    user_of: Callable[[Session], object] | None


_made: list[Configured] = []
_locks: dict[int, Lock] = {}
"""One a process: a forked child must not wait for its parent's."""


def configured() -> Configured:
    """Give what the settings make, made with the first call in this process or an ancestor of it.

    Raises ImproperlyConfigured.
    """
    if not _made:
        with _locks.setdefault(os.getpid(), Lock()):
            if not _made:
                _made.append(_make(checked()))
    return _made[0]


def checked() -> Mapping[str, Any]:
    """Give LASTCALL, of which as much is right as can be told without importing or following
    anything. Raises ImproperlyConfigured."""
    given = getattr(settings, "LASTCALL", None)
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"set {_EXAMPLE}")
    if unknown := sorted(map(str, given.keys() - set(_KNOWN))):
        raise ImproperlyConfigured(
            f"LASTCALL knows no {', '.join(unknown)}; it may have {', '.join(_KNOWN)}"
        )
    remote = "ADDRESS" in given and "KEY" in given
    if remote == ("VERIFIER" in given):
        raise ImproperlyConfigured(f"set either an address and a key or a verifier: {_EXAMPLE}")
    for name, value in given.items():
        several = name == "ADDRESS" and isinstance(value, list | tuple) and value
        if not all(isinstance(one, str) and one for one in (value if several else [value])):
            wanted = "texts" if several else "a text"
            raise ImproperlyConfigured(f'LASTCALL["{name}"] must be {wanted}')
    return given


def _make(given: Mapping[str, Any]) -> Configured:
    user_of = None
    if "USER" in given:
        user_of = _named(given, "USER")
        if not apps.is_installed("django.contrib.auth"):
            raise ImproperlyConfigured(
                'LASTCALL["USER"] needs "django.contrib.auth" in INSTALLED_APPS'
            )
    return Configured(Gate(_verifier(given), public_url=given.get("PUBLIC_URL")), user_of)


def _verifier(given: Mapping[str, Any]) -> Checker:
    if "VERIFIER" in given:
        found = _named(given, "VERIFIER")
        if not isinstance(found, Checker):
            raise ImproperlyConfigured(f'LASTCALL["VERIFIER"] is no verifier: {found!r}')
        return found
    address = given["ADDRESS"]
    try:
        return Verifier(*([address] if isinstance(address, str) else address), key=given["KEY"])
    except SettingsError as error:
        raise ImproperlyConfigured(f"LASTCALL: {error}") from error


def _named(given: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    try:
        return import_string(given[name])
    except ImportError as error:
        raise ImproperlyConfigured(f'LASTCALL["{name}"] can\'t be imported: {error}') from error


def _forget(setting: str, **_: object) -> None:
    """Take new settings, which Django's tests give with `override_settings`."""
    if setting == "LASTCALL":
        _made.clear()


setting_changed.connect(_forget)
