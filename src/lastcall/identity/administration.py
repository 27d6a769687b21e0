"""What admins do in their own account: its users, their sessions, and what was done. One method a
verb; who may is decided by `roles`."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from lastcall.audit import NOWHERE, Origin, Record, RecordType, Target, as_seen_by
from lastcall.clock import Clock
from lastcall.errors import Conflict, Forbidden, LostRace, NotFound
from lastcall.events import Actor, EndReason
from lastcall.identity import roles
from lastcall.identity.links import INVITATION_LIFETIME, Links
from lastcall.identity.model import Account, Profile, Role, ServiceKey, User
from lastcall.identity.names import check_name, fold
from lastcall.identity.service import Identity, user_record
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.sessions.endings import Termination
from lastcall.sessions.service import Caller, Page, Sessions
from lastcall.stores import base

OPERATOR: Final = Actor("admin", None, "the command line")
"""Who acts from the server's own machine."""

LONGEST: Final = 10_000
"""How much text, in characters as they are compared, may be searched for."""


@dataclass(frozen=True, slots=True)
class Admin:
    """Who administers an account, as what, and from where."""

    account_id: AccountId
    role: Role
    by: Actor
    origin: Origin = NOWHERE
    user_id: UserId | None = None
    """None for who is no user: a service, the command line."""

    @classmethod
    def of(cls, caller: Caller, origin: Origin) -> "Admin":
        """Take a caller for an admin. Raises Forbidden for one who is none."""
        roles.require_admin(caller.role)
        user = caller.user
        by = Actor("admin", user.id, user.label)
        return cls(user.account_id, user.role, by, origin, user.id)

    @classmethod
    def service(cls, key: ServiceKey, origin: Origin) -> "Admin":
        """Take a service for an admin: it starts and ends sessions of any user of its account."""
        return cls(key.account_id, "owner", Actor("service", key.id, key.name), origin)

    @classmethod
    def operator(cls, account: Account) -> "Admin":
        """Take the command line for an owner of an account."""
        return cls(account.id, "owner", OPERATOR)


@dataclass(frozen=True, slots=True)
class People:
    """Part of a list of users, and the id where it goes on."""

    profiles: tuple[Profile, ...]
    next: UserId | None


@dataclass(frozen=True, slots=True)
class Records:
    """Part of an audit log, and the number where it goes on."""

    records: tuple[Record, ...]
    next: int | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link's secret, shown once, with which somebody chooses their password."""

    secret: str = field(repr=False)
    lifetime: timedelta


class Administration:
    """The verbs: list, find, add, invite, change and remove users; log out one or all; look at what
    was done. What concerns a user of another account is not found."""

    def __init__(
        self,
        store: base.Store,
        sessions: Sessions,
        identity: Identity,
        links: Links,
        clock: Clock,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._identity = identity
        self._links = links
        self._clock = clock

    # Users.

    async def users(
        self,
        admin: Admin,
        text: str = "",
        external_id: str | None = None,
        before: UserId | None = None,
        limit: int = 50,
    ) -> People:
        """List users, newest first: those whose address, name or external id holds a text.

        Raises Forbidden for a service that asks for more than it could name itself.
        """
        if admin.by.kind == "service" and external_id is None:
            raise Forbidden("a service finds users by their external id")
        wanted = fold(text.strip())
        if len(wanted) > LONGEST or not (wanted + (external_id or "")).isprintable():
            # Nobody is called so; a database may read a NUL as the text's end, and takes patterns
            # up to some length only (SQLite: 50,000 bytes).
            return People((), None)
        query = base.UserQuery(
            admin.account_id,
            self._sessions.policy,
            self._clock.now(),
            limit + 1,
            before,
            wanted,
            external_id,
        )
        found = await self._store.list_users(query)
        shown = found[:limit]
        return People(shown, shown[-1].user.id if len(found) > limit else None)

    async def find(self, admin: Admin, user_id: UserId) -> Profile:
        """Find a user of the account. Raises NotFound."""
        now, policy = self._clock.now(), self._sessions.policy
        query = base.UserQuery(admin.account_id, policy, now, user_id=user_id)
        for profile in await self._store.list_users(query):
            return profile
        raise NotFound("there is no such user")

    async def add(
        self, admin: Admin, email: str, name: str | None, role: Role
    ) -> tuple[User, Invitation]:
        """Add a user and invite them. Raises Forbidden, InvalidRequest, Conflict."""
        if role != "member":
            roles.require_owner(admin.role)
        added = await self._identity.prepare_user(admin.account_id, email, name=name, role=role)
        secret, link = self._links.prepare_invitation(added.user, admin.by, admin.origin)
        await self._commit(admin, added, self._record("user.add", admin, added.user), *link)
        return added.user, Invitation(secret, INVITATION_LIFETIME)

    async def invite(self, admin: Admin, user_id: UserId) -> Invitation:
        """Make a new invitation for a user who has no password yet; an older one stops.

        Raises NotFound, Forbidden, Conflict.
        """
        user = await self._over(admin, user_id)
        return Invitation(*await self._links.invite(user, admin.by, admin.origin))

    async def change(
        self,
        admin: Admin,
        user_id: UserId,
        *,
        name: str | None = None,
        role: Role | None = None,
        suspended: bool | None = None,
    ) -> Profile:
        """Change a user's name ("" takes it away), role and status, all or nothing; what is None or
        as it was stays. Somebody suspended is logged out everywhere; another role holds at once.

        Raises NotFound, Forbidden, InvalidRequest, Conflict.
        """
        user = await self._over(admin, user_id)
        writes = [
            *(self._rename(admin, user, name) if name is not None else ()),
            *(self._change_role(admin, user, role) if role is not None else ()),
        ]
        if suspended is not None and suspended != (user.status == "suspended"):
            roles.require_other(admin.user_id, user)
            if suspended:
                await self._identity.suspend(
                    user, admin.by, *writes, origin=admin.origin, keeps_owner=True
                )
            else:
                await self._identity.resume(user, admin.by, *writes, origin=admin.origin)
        elif writes:
            await self._commit(admin, *writes)
        return await self.find(admin, user_id)

    async def suspend(self, admin: Admin, user_id: UserId) -> Termination:
        """Suspend a user and end all of their sessions (ASVS 7.4.2). Raises NotFound, Forbidden,
        Conflict.
        """
        user = await self._over(admin, user_id)
        roles.require_other(admin.user_id, user)
        if user.status == "suspended":
            raise Conflict("the user is suspended already")
        return await self._identity.suspend(user, admin.by, origin=admin.origin, keeps_owner=True)

    def _rename(self, admin: Admin, user: User, name: str) -> tuple[base.Write, ...]:
        chosen = check_name(name, "name") if name else None
        if chosen == user.name:
            return ()
        record = self._record("user.rename", admin, replace(user, name=chosen))
        return base.SetName(user.id, chosen), record

    def _change_role(self, admin: Admin, user: User, role: Role) -> tuple[base.Write, ...]:
        roles.require_owner(admin.role)
        roles.require_other(admin.user_id, user)
        if role == user.role:
            return ()
        now = self._clock.now()
        change = base.SetRole(user.id, user.account_id, role, user.role, admin.by, now)
        record = user_record("user.change_role", user, admin.by, admin.origin, now, role)
        return change, record

    async def remove(self, admin: Admin, user_id: UserId) -> Termination:
        """Remove a user and end all of their sessions (ASVS 7.4.2); another one with the same
        address inherits nothing. Raises NotFound, Forbidden, Conflict.
        """
        user = await self._over(admin, user_id)
        roles.require_other(admin.user_id, user)
        return await self._sessions.endings.terminate_all(
            user.id,
            user.account_id,
            "user_deleted",
            admin.by,
            None,
            base.RemoveUser(user.id),
            actor=admin.origin.session_id,
            origin=admin.origin,
            name=user.label,
        )

    # Their sessions.

    async def sessions(
        self,
        admin: Admin,
        user_id: UserId,
        which: base.SessionFilter,
        before: base.Cursor | None = None,
        limit: int = 50,
    ) -> Page:
        """List a user's sessions. Raises NotFound."""
        await self._there(admin, user_id)
        return await self._sessions.list(user_id, which, before=before, limit=limit)

    async def terminate(self, admin: Admin, user_id: UserId, session_id: SessionId) -> Termination:
        """End one of a user's sessions. Raises NotFound, Forbidden, SessionEnded, Conflict."""
        user = await self._over(admin, user_id)
        return await self._sessions.endings.terminate(
            session_id,
            "terminated_by_admin",
            admin.by,
            lambda session: session.user_id == user.id,
            actor=admin.origin.session_id,
            origin=admin.origin,
        )

    async def preview(self, admin: Admin, user_id: UserId) -> base.Reach:
        """Tell what logging a user out would end. Raises NotFound, Forbidden."""
        user = await self._over(admin, user_id)
        return await self._store.reach(user.id, self._sessions.policy, self._clock.now())

    async def log_out(self, admin: Admin, user_id: UserId) -> Termination:
        """End all of a user's sessions, at once. Raises NotFound, Forbidden, SessionEnded."""
        user = await self._over(admin, user_id)
        reason: EndReason = "terminated_by_admin"
        if admin.by.kind == "service":
            reason = "terminated_by_service"
        return await self._sessions.endings.terminate_all(
            user.id,
            user.account_id,
            reason,
            admin.by,
            None,
            actor=admin.origin.session_id,
            origin=admin.origin,
            name=user.label,
        )

    async def log_out_all(self, admin: Admin, *, except_self: bool) -> Termination:
        """End every session of the account, but the admin's own, by one event (ASVS 7.4.5).

        Raises Forbidden, SessionEnded.
        """
        roles.require_owner(admin.role)
        account = await self._store.find_account(admin.account_id)
        if account is None:
            raise NotFound
        spared = admin.origin.session_id if except_self else None
        return await self._sessions.endings.terminate_account(
            account, "terminated_by_admin", admin.by, spared, admin.origin
        )

    # What was done.

    async def records(self, admin: Admin, query: base.RecordQuery) -> Records:
        """List the account's records, newest first."""
        return await read_records(self._store, replace(query, account_id=admin.account_id))

    async def count_records(self, admin: Admin, query: base.RecordQuery) -> int:
        """Count the account's records that a query finds."""
        return await self._store.count_records(replace(query, account_id=admin.account_id))

    async def record_export(self, admin: Admin) -> None:
        """Record that the audit log is being taken away. Raises SessionEnded."""
        now = self._clock.now()
        record = Record(
            "audit.export",
            now,
            admin.account_id,
            admin.user_id,
            admin.by,
            Target("account", admin.account_id),
            admin.origin,
        )
        await self._commit(admin, base.AddRecord(record))

    # Within.

    async def _there(self, admin: Admin, user_id: UserId) -> User:
        user = await self._store.find_user(user_id)
        if user is None or user.account_id != admin.account_id:
            raise NotFound("there is no such user")
        return user

    async def _over(self, admin: Admin, user_id: UserId) -> User:
        user = await self._there(admin, user_id)
        roles.require_over(admin.role, user)
        return user

    def _record(self, kind: RecordType, admin: Admin, user: User) -> base.AddRecord:
        return user_record(kind, user, admin.by, admin.origin, self._clock.now())

    async def _commit(self, admin: Admin, *writes: base.Write) -> None:
        try:
            await self._store.commit(*writes, actor=admin.origin.session_id)
        except LostRace as error:
            await self._sessions.endings.require_actor(admin.origin.session_id)
            raise Conflict from error


async def read_records(store: base.Store, query: base.RecordQuery) -> Records:
    """List records, newest first, and tell where the list goes on."""
    found = await store.list_records(replace(query, limit=query.limit + 1))
    shown = found[: query.limit]
    return Records(shown, shown[-1].number if len(found) > query.limit else None)


async def read_activity(store: base.Store, user_id: UserId, query: base.RecordQuery) -> Records:
    """List what concerns a user, newest first, as they may see it."""
    found = await read_records(store, replace(query, account_id=None, user_id=user_id))
    return replace(found, records=tuple(as_seen_by(record, user_id) for record in found.records))
