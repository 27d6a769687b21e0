"""Settings: from flags, the environment and a TOML file, in that order; the only reader of any.

Names are those of the environment without `LASTCALL_`, in lower case in the file.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lastcall.credentials import LOOPBACK
from lastcall.errors import SettingsError
from lastcall.sessions.policy import PRESETS, Policy

PREFIX: Final = "LASTCALL_"
CONFIG: Final = "LASTCALL_CONFIG"
"""The variable that names the file; `lastcall.toml` in the working directory without it."""
CONFIG_FILE: Final = "lastcall.toml"
_COUNTS: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The Prometheus client's own variable; it reads it as it is imported."""
_TEST_PREFIX: Final = "LASTCALL_TEST_"
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
_DURATIONS: Final = (
    "access_lifetime",
    "refresh_lifetime",
    "absolute_lifetime",
    "refresh_grace",
    "step_up",
)
_NOT_YET: Final = {
    "smtp_url": "mail is not built yet",
    "mail_from": "mail is not built yet",
}

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Build one with `load`, or by hand in a test or an application."""

    database_url: str = field(default="sqlite:///lastcall.db", repr=False)
    public_url: str = "http://localhost:8000"
    """Where people reach the server: scheme, host, port, and a path where it is mounted."""
    secret_file: Path | None = None
    """None: `lastcall.key` beside the database."""
    policy: Policy = field(default_factory=Policy)
    lease: timedelta = timedelta(seconds=30)
    audience: str | None = None
    """The `aud` of access tokens; None: the issuer."""
    trusted_proxies: tuple[Network, ...] = ()
    city_db: Path | None = None
    sign_in_url: str | None = None
    """Where an application signs its users in by itself, a path of the same origin: who has to sign
    in is sent there. None: to this server's own page."""

    def __post_init__(self) -> None:
        check_public_url(self.public_url)
        if self.sign_in_url is not None:
            check_sign_in_url(self.sign_in_url, self.base_path)
        if self.policy.second_factor:
            raise SettingsError(
                "LASTCALL_POLICY: aal2 and aal3 need a second factor, which is not built yet; "
                "use default or aal1"
            )

    @property
    def secure(self) -> bool:
        """Whether people reach the server over TLS, as the public URL says; never a header."""
        return urlsplit(self.public_url).scheme == "https"

    @property
    def base_path(self) -> str:
        """The path of the public URL, without a slash at its end."""
        return urlsplit(self.public_url).path.rstrip("/")


NAMES: Final = frozenset(
    {
        "database_url",
        "public_url",
        "secret_file",
        "policy",
        "lease",
        "audience",
        "trusted_proxies",
        "city_db",
        "sign_in_url",
        *_DURATIONS,
        *_NOT_YET,
    }
)


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
    port: int = 8000,
) -> Settings:
    """Read the settings. `flags` are by name, and None counts as not given.

    Raises SettingsError for an unknown name, a wrong value, or a `config` that can't be read.
    """
    environ = os.environ if environ is None else environ
    values = {
        **_from_file(_named(config, environ)),
        **_from_environment(environ),
        **{name: value for name, value in (flags or {}).items() if value is not None},
    }
    for name, why in _NOT_YET.items():
        if name in values:
            raise SettingsError(f"{PREFIX}{name.upper()}: {why}")
    return _build(values, port)


def origins(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> tuple[str, ...]:
    """Tell where `load` would find settings: flags, variables by name, the file; never a value."""
    environ = os.environ if environ is None else environ
    path = _named(config, environ) or Path(CONFIG_FILE)
    given = any(value is not None for value in (flags or {}).values())
    variables = sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and not name.startswith(_TEST_PREFIX) and name != CONFIG
    )
    return (*(("flags",) if given else ()), *variables, *((str(path),) if path.exists() else ()))


def export(settings: Settings) -> None:
    """Put the settings into this process's environment, for the worker processes that it starts."""
    policy = settings.policy
    values = {
        "config": os.devnull,  # the file has been read
        "database_url": settings.database_url,
        "public_url": settings.public_url,
        "secret_file": settings.secret_file,
        "policy": _preset(policy),
        "lease": _seconds(settings.lease),
        "audience": settings.audience,
        "trusted_proxies": ",".join(str(network) for network in settings.trusted_proxies) or None,
        "city_db": settings.city_db,
        "sign_in_url": settings.sign_in_url,
        **{name: _seconds(getattr(policy, name)) for name in _DURATIONS},
    }
    for name in list(os.environ):
        if name.startswith(PREFIX) and not name.startswith(_TEST_PREFIX):
            del os.environ[name]
    for name, value in values.items():
        if value is not None:
            os.environ[PREFIX + name.upper()] = str(value)


def counts_are_shared() -> bool:
    """Tell whether this process counts together with others, in a folder of theirs."""
    return _COUNTS in os.environ


def share_counts(folder: Path) -> None:
    """Let the processes that this one starts count together."""
    os.environ[_COUNTS] = str(folder)


def _preset(policy: Policy) -> str:
    for name, preset in PRESETS.items():
        if (preset.password_min_length, preset.second_factor) == (
            policy.password_min_length,
            policy.second_factor,
        ):
            return name
    raise SettingsError("LASTCALL_POLICY: server processes take a preset's password length only")


def check_public_url(url: str) -> None:
    """Raise SettingsError unless the public URL is https, or http on loopback."""
    # The URL is not repeated in what is said of it: there may be a password in it.
    wrong = "LASTCALL_PUBLIC_URL takes https://host[:port][/path]"
    try:
        parts = urlsplit(url)
        good = parts.port != 0
    except ValueError as error:
        raise SettingsError(wrong) from error
    if parts.username is not None or parts.password is not None:
        raise SettingsError("LASTCALL_PUBLIC_URL must not hold a user name or password")
    if (
        not good
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        raise SettingsError(wrong)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise SettingsError(
            f"LASTCALL_PUBLIC_URL: {url} is plain http and not loopback; cookies need https"
        )


def check_sign_in_url(path: str, base_path: str) -> None:
    """Raise SettingsError unless it is a path of the public URL's origin that isn't under the
    server's own: people would be sent back and forth."""
    own = f"{base_path}/" if base_path else "/sign-in"
    if not _PATH.fullmatch(path) or path.startswith(own):
        raise SettingsError(
            "LASTCALL_SIGN_IN_URL takes a path of the application, where it signs its users in, "
            f"as /login; none under {own}"
        )


def _named(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Give the file that was named, by a flag or by the variable."""
    return Path(environ[CONFIG]) if config is None and CONFIG in environ else config


def _from_file(config: Path | None) -> dict[str, object]:
    path = config or Path(CONFIG_FILE)
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if config is None:
            return {}
        raise SettingsError(f"there is no settings file {config}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"can't read the settings file {path}: {error}") from error
    for name in values:
        if name not in NAMES:
            raise SettingsError(f"{path}: there is no setting {name!r}")
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(_TEST_PREFIX):
            continue
        if variable == CONFIG:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in NAMES or variable != variable.upper():
            raise SettingsError(f"there is no setting {variable}")
        values[name] = value
    return values


def _build(values: Mapping[str, object], port: int) -> Settings:
    durations = {name: _duration(values, name) for name in _DURATIONS if name in values}
    preset = str(values.get("policy", "default"))
    if preset not in PRESETS:
        raise SettingsError(f"LASTCALL_POLICY takes one of {', '.join(PRESETS)}, not {preset!r}")
    try:
        policy = replace(PRESETS[preset], **durations)  # type: ignore[arg-type]
    except ValueError as error:
        raise SettingsError(str(error)) from error
    audience, sign_in_url = values.get("audience"), values.get("sign_in_url")
    return Settings(
        database_url=str(values.get("database_url", "sqlite:///lastcall.db")),
        public_url=str(values.get("public_url", f"http://localhost:{port}")).rstrip("/"),
        secret_file=_path(values, "secret_file"),
        policy=policy,
        lease=_duration(values, "lease") if "lease" in values else timedelta(seconds=30),
        audience=None if audience is None else str(audience),
        trusted_proxies=_networks(values.get("trusted_proxies")),
        city_db=_path(values, "city_db"),
        sign_in_url=None if sign_in_url is None else str(sign_in_url),
    )


def _path(values: Mapping[str, object], name: str) -> Path | None:
    value = values.get(name)
    return None if value is None else Path(str(value))


def _duration(values: Mapping[str, object], name: str) -> timedelta:
    text = str(values[name])
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0):
        raise SettingsError(
            f"{PREFIX}{name.upper()} takes whole seconds from 1 to 999999999, not {text!r}"
        )
    return timedelta(seconds=int(text))


def _networks(value: object) -> tuple[Network, ...]:
    items = value if isinstance(value, list) else str(value or "").split(",")
    try:
        return tuple(ip_network(str(item).strip()) for item in items if str(item).strip())
    except ValueError as error:
        raise SettingsError(
            f"LASTCALL_TRUSTED_PROXIES takes addresses or networks with commas between: {error}"
        ) from error


def _seconds(value: timedelta) -> int:
    return int(value.total_seconds())
