"""Finds the primary among a database's hosts: the one that takes writes on the newest timeline.

An old primary that comes back, or was never told, takes writes on an older one. What is committed
there is lost, so it is refused (instant-logout, rule 15).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from lastcall.errors import Unavailable
from lastcall.stores.postgres.timeline import SERVER

CONNECT_SECONDS: Final = 5.0
OTHERS_SECONDS: Final = 1.0
"""How long the others may take to answer once one is found that takes writes."""
SETTINGS: Final[dict[str, str]] = {
    "synchronous_commit": "on",  # instant-logout, rule 15
    "client_min_messages": "warning",  # what else a commit is answered with is taken for one
    "default_transaction_isolation": "read committed",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    # The locks of one that is not there any more go before others have waited too long for them.
    "idle_in_transaction_session_timeout": "4s",
    # A node that is gone without a word would leave its connections for two hours (tcp(7)).
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "jit": "off",
    "timezone": "UTC",
}
"""What every connection sets, whatever the server's own settings are: once it is there, since a
pooler refuses one that asks for them at its start."""
STATEMENTS: Final = 300
"""How many prepared statements a connection keeps."""

Raw: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_ASK: Final = (
    f"SELECT CASE WHEN NOT pg_is_in_recovery() THEN {SERVER} END AS server,"  # noqa: S608  no words of others
    " pg_postmaster_start_time() AS started, set_config(name, value, false)"
    " FROM unnest($1::text[], $2::text[]) AS given (name, value)"
)
_newest: dict[str, int] = {}
"""The newest timeline that this process has seen of each cluster."""


@dataclass(frozen=True, slots=True)
class _Primary:
    """A server that takes writes: of which cluster, on which timeline, and since when it runs,
    which tells two servers from one that has two names."""

    link: asyncpg.Connection
    cluster: str
    timeline: int
    started: object


def hosts_of(database_url: str) -> list[str]:
    """Give an address for each host that an address names, in its order."""
    parts = urlsplit(database_url)
    user, at, named = parts.netloc.rpartition("@")
    if named:
        return [urlunsplit(parts._replace(netloc=f"{user}{at}{host}")) for host in named.split(",")]
    place, _, asked = database_url.partition("?")
    query = dict(parse_qsl(asked))
    hosts, ports = query.get("host", "").split(","), query.get("port", "").split(",")
    if len(hosts) == 1:
        return [database_url]
    if len(ports) != len(hosts):
        ports = ports[:1] * len(hosts)
    return [
        f"{place}?{urlencode(query | _place(host, port))}"
        for host, port in zip(hosts, ports, strict=True)
    ]


async def connect(database_url: str) -> Raw:
    """Connect to the primary.

    Raises what the driver raises; Unavailable where the one that takes writes is not on the newest
    timeline that this process knows of, and where it can't be told which one is the primary.
    """
    asked = [asyncio.create_task(_ask(url)) for url in hosts_of(database_url)]
    chosen: Raw | None = None
    try:
        found = await _answers(asked)
        chosen = _choose(found).link
    finally:
        for one in asked:
            one.cancel()
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, _Primary) and answer.link is not chosen:
                answer.link.terminate()
    return chosen


async def _answers(asked: Sequence["asyncio.Task[_Primary]"]) -> list[_Primary]:
    """Wait for all; once one takes writes, for a little longer alone. Raises where none does."""
    found: list[_Primary] = []
    failures: list[BaseException] = []
    waiting = {*asked}
    while waiting:
        done, waiting = await asyncio.wait(
            waiting,
            timeout=OTHERS_SECONDS if found else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not done:
            break
        for one in done:
            error = one.exception()
            if error is None:
                found.append(one.result())
            else:
                failures.append(error)
    if not found:
        raise max(failures, key=_tells)
    return found


def _choose(found: Sequence[_Primary]) -> _Primary:
    if len({one.cluster for one in found}) > 1:
        raise Unavailable(
            "the hosts in LASTCALL_DATABASE_URL are not of one cluster: name one's alone"
        )
    first = max(found, key=lambda one: one.timeline)
    newest = _newest[first.cluster] = max(first.timeline, _newest.get(first.cluster, 0))
    if first.timeline < newest:
        raise Unavailable(
            f"the database server that takes writes is on timeline {first.timeline}, and another "
            f"one has gone on to {newest}: start that one; this one may only follow it"
        )
    if len({one.started for one in found if one.timeline == newest}) > 1:
        raise Unavailable(
            f"two database servers take writes on timeline {newest}: stop the one that is not to"
        )
    return first


async def _ask(url: str) -> _Primary:
    """Connect to one host. Raises what the driver raises, also for a standby."""
    async with asyncio.timeout(CONNECT_SECONDS):
        link: Raw = await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            server_settings={"application_name": "lastcall"},
            statement_cache_size=STATEMENTS,
            max_cached_statement_lifetime=0,
        )
        try:
            answer, *_ = await link.fetch(_ASK, [*SETTINGS], [*SETTINGS.values()])
        except BaseException:
            link.terminate()
            raise
    if answer["server"] is None:
        link.terminate()
        raise asyncpg.ReadOnlySQLTransactionError("it is a standby")
    cluster, _, number = str(answer["server"]).partition("/")
    return _Primary(link, cluster, int(number, 16), answer["started"])


def _tells(error: BaseException) -> int:
    """How much a failure says of what is to be mended: most where a server has refused us, least
    where it is just not the primary now."""
    if not isinstance(error, asyncpg.PostgresError):
        return 1
    return 0 if (error.sqlstate or "")[:2] in ("25", "57") else 2


def _place(host: str, port: str) -> dict[str, str]:
    return {name: value for name, value in (("host", host), ("port", port)) if value}
