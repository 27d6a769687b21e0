"""Fills a lastcall database on PostgreSQL with people and their sessions, by the million.

    python -m tools.crowd postgresql:///lastcall --users 1000000 --sessions 10000000

The database must be one that lastcall has made. Rows are made in the server itself, a part at a
time. The first of the users has `--of-one` sessions, the others an equal share of the rest.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import asyncpg
import click

from lastcall.clock import SystemClock
from lastcall.digests import digest
from lastcall.stores.rows import micros

PART: Final = 50_000
"""How many rows are made in one transaction."""
ACCOUNT: Final = "a_crowd"

_ACCOUNT: Final = """
INSERT INTO accounts (id, name, created_at, ended_seq)
VALUES ($1, 'The crowd', $2, 0) ON CONFLICT DO NOTHING
"""
_USERS: Final = """
INSERT INTO users (id, account_id, email, email_key, name, role, status, created_at, ended_seq,
                   stale_seq, search)
SELECT 'u_' || lpad(n::text, 12, '0'), $1, 'user' || n || '@example.com',
       'user' || n || '@example.com', 'User ' || n, 'member', 'active', $2, 0, 0,
       'user' || n || '@example.com' || chr(10) || 'user ' || n
FROM generate_series($3::bigint, $4::bigint) AS n
"""
_SESSIONS: Final = """
INSERT INTO sessions (id, user_id, account_id, begun_epoch, begun_timeline_number,
    begun_timeline_name, begun_seq, created_at, last_active_at, idle_expires_at,
    absolute_expires_at, auth_time, amr, client_type, client_name, shared_device, device, place, ip,
    generation, secret_hash, rotated_at, previous_hash, sealed_successor, repeats, stale_seq)
SELECT 's_c1_' || lpad(n::text, 26, '0'),
       'u_' || lpad((CASE WHEN n <= $5 THEN 1 ELSE 2 + n % greatest($6 - 1, 1) END)::text, 12, '0'),
       $1, epoch, timeline_number, timeline_name, seq, $2, $2 + n % 3600000000, $2 + 86400000000,
       $2 + 2592000000000, $2, '["pwd"]', 'browser', NULL, false,
       '{"type":"desktop","os":"Windows","os_version":"11","browser":"Firefox",'
           '"browser_version":"152"}',
       '{"country":"DE","reason":null}', '192.0.2.1', 1, sha256(sha256(n::text::bytea)), $2,
       NULL, NULL, 0, 0
FROM generate_series($3::bigint, $4::bigint) AS n, log
"""
_SIGN_INS: Final = """
INSERT INTO sign_ins (session_id, user_agent, hints, ip, device_hash)
SELECT 's_c1_' || lpad(n::text, 26, '0'), 'Mozilla/5.0', '{}', '192.0.2.1',
       sha256(('device ' || n)::bytea)
FROM generate_series($1::bigint, $2::bigint) AS n
"""
_RECORDS: Final = """
INSERT INTO audit (at, type, outcome, account_id, user_id, actor_kind, target_kind, target_id, ip)
SELECT $2 + n, 'session.sign_in', 'success', $1,
       'u_' || lpad((1 + n % $5)::text, 12, '0'), 'user', 'session',
       's_c1_' || lpad(n::text, 26, '0'), '192.0.2.1'
FROM generate_series($3::bigint, $4::bigint) AS n
"""

Watch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many there are, and since when: microseconds since 1970."""

    users: int
    sessions: int
    at: int
    of_one: int = 10_000


def user_id(number: int) -> str:
    """Name a user, from 1."""
    return f"u_{number:012}"


def session_id(number: int) -> str:
    """Name a session, from 1."""
    return f"s_c1_{number:026}"


def secret(number: int) -> bytes:
    """Give the secret in the first refresh token of a session."""
    return digest(str(number).encode())


async def fill(database_url: str, crowd: Crowd, watch: Watch = lambda _: None) -> None:
    """Make them; `watch` is told of each part how many rows that were."""
    db = await asyncpg.connect(database_url)
    try:
        await db.execute(_ACCOUNT, ACCOUNT, crowd.at)
        for first, last in _parts(crowd.users):
            await db.execute(_USERS, ACCOUNT, crowd.at, first, last)
            watch(last - first + 1)
        for first, last in _parts(crowd.sessions):
            async with db.transaction():
                given = (ACCOUNT, crowd.at, first, last)
                await db.execute(_SESSIONS, *given, crowd.of_one, crowd.users)
                await db.execute(_SIGN_INS, first, last)
                await db.execute(_RECORDS, *given, crowd.users)
            watch(last - first + 1)
        await db.execute("VACUUM ANALYZE")
    finally:
        await db.close()


def _parts(number: int) -> list[tuple[int, int]]:
    return [(first, min(first + PART - 1, number)) for first in range(1, number + 1, PART)]


def main() -> None:
    """Fill a database, with a bar that shows how far it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=10_000_000)
    parser.add_argument("--of-one", type=int, default=10_000)
    given = parser.parse_args()
    crowd = Crowd(given.users, given.sessions, micros(SystemClock().now()), given.of_one)
    with click.progressbar(
        length=crowd.users + crowd.sessions, label="Filling", file=sys.stderr
    ) as bar:
        asyncio.run(fill(given.url, crowd, bar.update))


if __name__ == "__main__":
    main()
