"""The whole examination, in the order in which one thing rests on another."""

from collections.abc import Callable, Sequence

from lastcall.doctor import clocks, data, database, durability, keys, people, postgres, reach
from lastcall.doctor.check import Check, skipped
from lastcall.doctor.configuration import (
    check_issuer,
    check_policy,
    check_proxies,
    check_public_url,
    check_settings,
)
from lastcall.doctor.database import Found
from lastcall.doctor.machine import Machine
from lastcall.settings import Settings
from lastcall.stores.place import is_postgres


def examine(
    load: Callable[[], Settings],
    origins: Sequence[str],
    machine: Machine,
    host: str | None = None,
) -> tuple[Check, ...]:
    """Check everything; nothing is changed. `load` raises SettingsError, `origins` say where
    settings stand, `host` is what the server would listen on."""
    first, settings = check_settings(load, origins)
    if settings is None:
        return (first, *_without(machine))
    now = machine.clock.now()
    if is_postgres(settings.database_url):
        file, found = postgres.examine(settings, machine)
        lasting: Sequence[Check] = ()
    else:
        file, found = database.examine(settings, machine)
        lasting = durability.examine(found, machine)
    issuer = (
        skipped(("issuer",), found.because)
        if found.facts is None
        else (check_issuer(settings, found.facts.born.issuer),)
    )
    return (
        first,
        check_policy(settings),
        *file,
        *lasting,
        *keys.examine(settings.secret_file, found, now),
        *clocks.examine(found, machine),
        *data.examine(settings.city_db, now),
        check_proxies(settings),
        check_public_url(settings, host),
        *issuer,
        *reach.examine(settings, machine),
        people.check_people(found),
    )


def _without(machine: Machine) -> tuple[Check, ...]:
    """Check what needs no settings, and name the rest."""
    because = "the settings are wrong"
    unknown = Found(because=because)
    return (
        *skipped(("policy", *database.FILE, *database.CONTENT), because),
        *durability.examine(unknown, machine),
        *keys.examine(None, unknown, machine.clock.now()),
        *clocks.examine(unknown, machine),
        *skipped(("city data",), because),
        *data.examine(None, machine.clock.now())[1:],
        *skipped(("proxies", "public URL", "issuer", reach.REACH, reach.CERTIFICATE), because),
        people.check_people(unknown),
    )
