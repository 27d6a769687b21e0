"""The reads of the contract, for every database: each is a function of a connection."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

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
from lastcall.stores import base, counting, directory, log, purge, reads, records

T = TypeVar("T")


class Reads(ABC):
    """Reads a database on connections of its own."""

    @abstractmethod
    async def _read(self, read: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Have `read` run; with `snapshot`, all of its statements see one. Raises Unavailable."""

    @abstractmethod
    def _version(self, db: Connection) -> int:
        """Give what `data_version` gives, before anything else is read in this snapshot."""

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

    async def count_account_sessions(
        self,
        account_id: AccountId,
        spared: SessionId | None,
        policy: Policy,
        now: datetime,
        after: UserId | None = None,
    ) -> base.CountPart:
        """Count the active sessions, but the spared one, of an account's next users after one."""
        return await self._read(
            lambda db: counting.count(db, account_id, spared, policy, now, after)
        )

    async def find_event(self, seq: int) -> Event | None:
        """Find an event by its place in the log."""
        return await self._read(lambda db: reads.find_event(db, seq))

    async def read_log(
        self, after: int, most: int = 10_000, since: datetime | None = None
    ) -> base.LogPart:
        """Give the next events after a place, with the log's end, floor and timelines."""
        return await self._read(
            lambda db: log.read_log(db, after, most, since, self._version(db)), snapshot=True
        )

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
