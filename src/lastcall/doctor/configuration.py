"""Settings: whether they can be read, and what of them an operator may want to know."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from lastcall.credentials import LOOPBACK
from lastcall.doctor.check import Check, failed, ok, problem, warning
from lastcall.errors import SettingsError
from lastcall.settings import Network, Settings

NIST_LONGEST: Final = timedelta(days=30)
"""Between two proofs at AAL1 (NIST SP 800-63B-4, 2.1.3)."""
LONG_ACCESS: Final = timedelta(hours=1)
LONG_STEP_UP: Final = timedelta(hours=1)


def check_settings(
    load: Callable[[], Settings], origins: Sequence[str]
) -> tuple[Check, Settings | None]:
    """Read the settings; None where they are wrong."""
    where = ", ".join(origins)
    try:
        settings = load()
    except SettingsError as error:
        read = f"set by {where}" if where else "no file"
        return failed("settings", error, f"Mend or remove it where it stands ({read})."), None
    return ok("settings", f"from {where}" if where else "none given: the defaults hold"), settings


def check_policy(settings: Settings) -> Check:
    """Look for durations that weaken what lastcall is for."""
    policy = settings.policy
    name = "policy"
    if policy.absolute_lifetime > NIST_LONGEST:
        return warning(
            name,
            f"a session may last {_days(policy.absolute_lifetime)} without a new sign-in; NIST's "
            "longest is 30",
            "Set LASTCALL_ABSOLUTE_LIFETIME to 2592000 or less.",
        )
    if policy.access_lifetime > LONG_ACCESS:
        return warning(
            name,
            f"an access token lives {_hours(policy.access_lifetime)}; what checks it against the "
            "key set alone accepts an ended session for as long",
            "Set LASTCALL_ACCESS_LIFETIME to 3600 or less.",
        )
    if policy.step_up > LONG_STEP_UP:
        return warning(
            name,
            f"a proof of {_hours(policy.step_up)} ago counts as fresh",
            "Set LASTCALL_STEP_UP to 3600 or less.",
        )
    return ok(
        name,
        f"access {_hours(policy.access_lifetime)}, idle {_hours(policy.refresh_lifetime)}, "
        f"at most {_days(policy.absolute_lifetime)}, "
        f"passwords of {policy.password_min_length} or more",
    )


def check_proxies(settings: Settings) -> Check:
    """Look at whose word about a client's address counts."""
    name, trusted = "proxies", settings.trusted_proxies
    for network in trusted:
        if _everybody(network):
            return problem(
                name,
                f"{network} is trusted: anybody can claim any address",
                "Set LASTCALL_TRUSTED_PROXIES to the addresses of your own proxies.",
            )
    for network in trusted:
        if _wide(network):
            return warning(
                name,
                f"{network} is a wide public network, and each address in it is trusted to say "
                "where a client is",
                "Narrow it in LASTCALL_TRUSTED_PROXIES to your own proxies.",
            )
    for index, network in enumerate(trusted):
        for other in trusted[index + 1 :]:
            if network.version == other.version and network.overlaps(other):
                return warning(
                    name,
                    f"{network} and {other} overlap",
                    "Keep the one that you mean in LASTCALL_TRUSTED_PROXIES.",
                )
    if settings.secure and not trusted:
        return warning(
            name,
            "the public URL is https and no proxy is trusted: each session will show the address "
            "of whatever ends TLS, not its user's, and all strangers share one limit of attempts",
            "Set LASTCALL_TRUSTED_PROXIES to the proxy's address as the server sees it, "
            "for instance 127.0.0.1",
        )
    count = len(trusted)
    return ok(name, f"{count} trusted" if count else "none, and none needed: no TLS in front")


def check_public_url(settings: Settings, host: str | None) -> Check:
    """Look at the address that people are told; `host` is what the server listens on."""
    url = settings.public_url
    local = urlsplit(url).hostname in LOOPBACK
    if local and host is not None and not _loopback(host):
        return warning(
            "public URL",
            f"others can reach the server at {host}, but it calls itself {url}",
            "Set LASTCALL_PUBLIC_URL to where people reach it.",
        )
    return ok("public URL", f"{url} (this machine only)" if local else url)


def check_issuer(settings: Settings, issuer: str | None) -> Check:
    """Compare the public URL with the name that the database's tokens carry."""
    if issuer is None:
        return ok("issuer", "will be the public URL, from the first start of a server")
    if issuer == settings.public_url:
        return ok("issuer", "the public URL")
    return warning(
        "issuer",
        f"tokens name {issuer}, as at the first start, and not {settings.public_url}; an "
        "application that expects the public URL refuses them",
        f"Set LASTCALL_PUBLIC_URL={issuer} again, or have applications expect that issuer.",
    )


def _everybody(network: Network) -> bool:
    # Two halves of the world are the world.
    return network.prefixlen < 8 and not _private(network)


def _wide(network: Network) -> bool:
    return not _private(network) and network.prefixlen < (16 if network.version == 4 else 32)


def _private(network: Network) -> bool:
    return network.prefixlen > 0 and network.is_private


def _loopback(host: str) -> bool:
    if host in LOOPBACK:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _days(length: timedelta) -> str:
    return f"{length / timedelta(days=1):.4g} days"


def _hours(length: timedelta) -> str:
    return f"{length / timedelta(hours=1):.3g} h"
