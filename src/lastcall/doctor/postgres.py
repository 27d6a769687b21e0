"""A PostgreSQL database: there, of this version, and what its server does with a commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from lastcall.doctor.check import Check, failed, ok, problem, skipped, warning
from lastcall.doctor.database import Found, check_schema
from lastcall.doctor.machine import Machine
from lastcall.errors import Error
from lastcall.settings import Settings
from lastcall.stores.inspection import Facts
from lastcall.stores.postgres.place import PostgresPlace

_NAMES: Final = ("server", "schema", "commits", "standby")
_ASKED: Final = text(
    "SELECT current_setting('server_version') AS version,"
    " current_setting('server_version_num')::int AS number, current_setting('fsync') AS fsync,"
    " current_setting('full_page_writes') AS full_page_writes,"
    " current_setting('synchronous_standby_names') AS synchronous,"
    " (SELECT count(*) FROM pg_stat_replication) AS standbys,"
    " current_setting('max_connections')::int AS most,"
    # Of others' connections this is all that whoever is nobody special is told.
    " (SELECT sum(numbackends)::int FROM pg_stat_database) AS used"
)


@dataclass(frozen=True, slots=True)
class _Seen:
    told: Mapping[str, Any]
    schema: Check
    facts: Facts | None


def examine(settings: Settings, machine: Machine) -> tuple[list[Check], Found]:
    """Look at the server, then into the database."""
    place = PostgresPlace(settings.database_url)
    now = machine.clock.now()
    try:
        seen = place.look(lambda db: _look(db, place.name, now))
    except Error as error:
        because = "the database can't be reached"
        advice = "Check LASTCALL_DATABASE_URL, and that the server runs and lets this machine in."
        found = Found(secret_file=place.secret_file, because=because)
        return [failed(_NAMES[0], error, advice), *skipped(_NAMES[1:], because)], found
    found = Found(
        secret_file=place.secret_file,
        facts=seen.facts,
        because="the database can't be used as it is",
    )
    return [_server(seen.told), seen.schema, _commits(seen.told), _standby(seen.told)], found


def _look(db: Connection, name: str, now: datetime) -> _Seen:
    told = dict(db.execute(_ASKED).mappings().one())
    return _Seen(told, *check_schema(name, db, now))


def _server(told: Mapping[str, Any]) -> Check:
    name, version = _NAMES[0], str(told["version"]).split()[0]
    if told["number"] < 15_00_00:
        return warning(name, f"PostgreSQL {version} is untried", "Use 15 or later.")
    used, most = told["used"], told["most"]
    if used > 0.8 * most:
        return warning(
            name,
            f"{used} of its {most} connections are taken",
            "Each server process takes up to 14: raise max_connections.",
        )
    return ok(name, f"PostgreSQL {version}, a primary, {used} of {most} connections taken")


def _commits(told: Mapping[str, Any]) -> Check:
    name = _NAMES[2]
    off = [one for one in ("fsync", "full_page_writes") if told[one] != "on"]
    if off:
        return problem(
            name,
            f"{' and '.join(off)} off: a crash of the machine loses what was answered, or more",
            "Set them on in postgresql.conf, and restart the server.",
        )
    return ok(name, "on the server's disk before they are answered")


def _standby(told: Mapping[str, Any]) -> Check:
    name = _NAMES[3]
    if told["synchronous"]:
        return ok(name, "commits wait for a synchronous standby")
    if told["standbys"]:
        return warning(
            name,
            "replication is asynchronous: with the primary, a termination that was reported "
            "confirmed can be lost, and the session lives again",
            "Set synchronous_standby_names, or don't fail over without `lastcall restored`.",
        )
    return ok(name, "none: what is committed is as safe as the server's disk")
