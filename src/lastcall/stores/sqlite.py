"""The store on SQLite: any number of processes on one file, in write-ahead mode.

Each process has one lane that writes and one that reads. A batch of writes is one transaction and
one `fsync`; between processes SQLite's own lock decides who is next, and who waits too long gets
`Unavailable` with nothing changed.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from lastcall.audit import Record
from lastcall.events import Event
from lastcall.identity.model import (
    Account,
    Profile,
    Role,
    ServiceKey,
    SingleUse,
    SingleUsePurpose,
    User,
    UserStatus,
)
from lastcall.ids import AccountId, KeyId, SessionId, UserId
from lastcall.keys import StoredKey
from lastcall.sessions.model import Session
from lastcall.sessions.policy import Policy
from lastcall.stores import base, directory, log, purge, reads, records
from lastcall.stores.commit import commit
from lastcall.stores.lane import Lane, unavailable

T = TypeVar("T")

BUSY_SECONDS: Final = 5.0
"""How long a transaction waits for another process to finish its own."""

DURABLE: Final = "PRAGMA synchronous = FULL"
"""Has every commit wait until the disk has it (instant-logout, rule 15)."""


def engine(path: Path) -> Engine:
    """Give an engine whose transactions are opened by hand, durable when they are committed."""

    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(DURABLE)
        db.execute("PRAGMA foreign_keys = ON")
        return db

    # An error's text must not hold what was to be written.
    return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


class SqliteStore:
    """The contract of `base`, on one file."""

    def __init__(self, path: Path, observe: base.Observer = base.unobserved) -> None:
        """Open an existing database of the right schema; raises Unavailable."""
        self._observe = observe
        source = engine(path)
        lanes: list[Lane] = []
        try:
            with source.connect() as db:
                reads.born(db)
            for name, begin in (("reads", "BEGIN"), ("writes", "BEGIN IMMEDIATE")):
                lanes.append(Lane(name, source.connect, begin))
        except (DBAPIError, sqlite3.Error) as error:
            for lane in lanes:
                lane.close()
            raise unavailable(error) from error
        self._reader, self._writer = lanes

    async def commit(self, *writes: base.Write, actor: SessionId | None = None) -> base.Committed:
        """Apply the writes, all or none."""
        committed = await self._writer.run(lambda db: commit(db, writes, actor))
        self._observe(writes, committed)
        return committed

    async def log_end(self) -> base.LogEnd:
        """Give the log's end and floor."""
        return await self._read(reads.log_end)

    async def installation(self) -> base.Installation:
        """Give what the database was born with."""
        return await self._read(reads.born)

    async def find_session(self, session_id: SessionId) -> base.Found | None:
        """Find a session, ended or not, with its user."""
        return await self._read(lambda db: reads.find_session(db, session_id))

    async def list_sessions(self, query: base.SessionQuery) -> tuple[Session, ...]:
        """List a user's sessions, by last activity, newest first."""
        return await self._read(lambda db: reads.list_sessions(db, query))

    async def count_sessions(self, user_id: UserId, policy: Policy, now: datetime) -> int:
        """Count a user's active sessions."""
        return await self._read(lambda db: reads.count_sessions(db, user_id, policy, now))

    async def find_event(self, seq: int) -> Event | None:
        """Find an event by its place in the log."""
        return await self._read(lambda db: reads.find_event(db, seq))

    async def read_log(
        self, after: int, most: int = 10_000, since: datetime | None = None
    ) -> base.LogPart:
        """Give the next events after a place, with the log's end, floor and timelines."""
        return await self._read(lambda db: log.read_log(db, after, most, since, _data_version(db)))

    async def data_version(self) -> int:
        """Give a number that is another one once any process has committed anything."""
        return await self._read(_data_version)

    async def nodes(self) -> base.Nodes:
        """Give the rows of all nodes, with the log's end."""
        return await self._read(log.nodes)

    async def start_sign_in(self, email_key: str) -> base.SignInStart | base.LogEnd:
        """Find a user by e-mail, for signing in."""
        return await self._read(lambda db: reads.start_sign_in(db, email_key))

    async def recognises(self, email_key: str, device_hash: bytes) -> bool:
        """Tell whether the user of an e-mail address has signed in with this device before."""
        return await self._read(lambda db: reads.recognises(db, email_key, device_hash))

    async def find_user(self, user_id: UserId) -> User | None:
        """Find a user."""
        return await self._read(lambda db: directory.find_user(db, user_id))

    async def find_external_user(self, account_id: AccountId, external_id: str) -> User | None:
        """Find a user of an account by the application's own id."""
        return await self._read(
            lambda db: directory.find_external_user(db, account_id, external_id)
        )

    async def password_hash(self, user_id: UserId) -> base.SignInStart | None:
        """Find a user with the password's hash and the position."""
        return await self._read(lambda db: reads.password_hash(db, user_id))

    async def list_users(self, query: base.UserQuery) -> tuple[Profile, ...]:
        """List an account's users, newest first."""
        return await self._read(lambda db: directory.list_users(db, query))

    async def count_users(
        self, account_id: AccountId, role: Role | None = None, status: UserStatus | None = None
    ) -> int:
        """Count an account's users: all, or those of a role, of a status."""
        return await self._read(lambda db: directory.count_users(db, account_id, role, status))

    async def reach(self, user_id: UserId, policy: Policy, now: datetime) -> base.Reach:
        """Tell what logging a user out would end."""
        return await self._read(lambda db: directory.reach(db, user_id, policy, now))

    async def list_records(self, query: base.RecordQuery) -> tuple[Record, ...]:
        """List records of the audit log, newest first."""
        return await self._read(lambda db: records.list_records(db, query))

    async def count_records(self, query: base.RecordQuery) -> int:
        """Count the records that a query finds, wherever its list goes on."""
        return await self._read(lambda db: records.count_records(db, query))

    async def changes(self, after: int | None) -> base.Changes:
        """List who is concerned by what was recorded after a number."""
        return await self._read(lambda db: records.changes(db, after))

    async def count_unknown_sign_ins(self) -> int:
        """Tell how often somebody tried to sign in as nobody."""
        return await self._read(directory.count_unknown_sign_ins)

    async def list_accounts(self) -> tuple[Account, ...]:
        """List the accounts, oldest first."""
        return await self._read(directory.list_accounts)

    async def find_account(self, account_id: AccountId) -> Account | None:
        """Find an account."""
        return await self._read(lambda db: directory.find_account(db, account_id))

    async def find_single_use(
        self, secret_hash: bytes, purpose: SingleUsePurpose, now: datetime
    ) -> SingleUse | None:
        """Find the secret of a link that is unused and in time."""
        return await self._read(lambda db: directory.find_single_use(db, secret_hash, purpose, now))

    async def find_service_key(self, key_id: KeyId) -> ServiceKey | None:
        """Find a service key that is in force."""
        return await self._read(lambda db: directory.find_service_key(db, key_id))

    async def list_service_keys(
        self, account_id: AccountId, after: KeyId | None = None, limit: int | None = None
    ) -> tuple[ServiceKey, ...]:
        """List an account's service keys in force, oldest first: all, or some after an id."""
        return await self._read(
            lambda db: directory.list_service_keys(db, account_id, after, limit)
        )

    async def signing_keys(self) -> tuple[StoredKey, ...]:
        """List the signing keys."""
        return await self._read(directory.list_signing_keys)

    async def over(self, query: base.PurgeQuery) -> base.PurgePage:
        """List what may be deleted for good, in the order of its keys."""
        return await self._read(lambda db: purge.over(db, query))

    async def ping(self) -> None:
        """Raise Unavailable unless a write could begin now."""
        await self._writer.run(lambda _: None)

    async def close(self) -> None:
        """Finish what is under way and let go of the file."""
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._reader.close)

    async def _read(self, read: Callable[[Connection], T]) -> T:
        return await self._reader.run(read)


def _data_version(db: Connection) -> int:
    """Read the count of commits by other connections, which the reading lane's own are none of: it
    looks at shared memory, not at the file (https://sqlite.org/pragma.html#pragma_data_version)."""
    driver: sqlite3.Connection = db.connection.driver_connection  # type: ignore[assignment]
    ((version,),) = driver.execute("PRAGMA data_version").fetchall()
    return int(version)
