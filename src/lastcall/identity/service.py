"""The operations on accounts, users and what proves them, one method a verb."""

from contextlib import suppress
from datetime import datetime
from typing import Final

from lastcall.audit import NOWHERE, Origin, Record, RecordType, Target, doer
from lastcall.clock import Clock, Entropy
from lastcall.errors import (
    Conflict,
    InvalidCredentials,
    InvalidRequest,
    LostRace,
    NotFound,
    Unavailable,
)
from lastcall.events import SYSTEM, Actor
from lastcall.identity.emails import email_key, parse_email
from lastcall.identity.model import (
    Account,
    Role,
    User,
)
from lastcall.identity.names import check_name
from lastcall.identity.passwords import Passwords, check_new_password
from lastcall.ids import AccountId, new_account_id, new_user_id
from lastcall.sessions.endings import Termination
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client, SignIn
from lastcall.sessions.service import Caller, Sessions
from lastcall.stores import base
from lastcall.throttle import Attempt, Throttle

PASSWORD: Final = ("pwd",)
"""`amr` of a session proved by a password (RFC 8176)."""


class Identity:
    """The verbs: sign in, reauthenticate, change a password; add, find, suspend, resume users."""

    def __init__(
        self,
        store: base.Store,
        sessions: Sessions,
        passwords: Passwords,
        throttle: Throttle,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock
        self._entropy = entropy
        self._min_length = sessions.policy.password_min_length

    # Proving oneself.

    async def sign_in(self, email: str, password: str, client: Client, seen: SignIn) -> Tokens:
        """Begin a session for who knows the password.

        One answer and the same work for a wrong password, an unknown user, one without a password
        and a suspended one (ASVS 6.3.8). Raises InvalidCredentials, InvalidRequest, RateLimited,
        Conflict, Unavailable.
        """
        key = email_key(email)
        attempt = await self._throttle.sign_in(key, seen)
        # The position is read with the hash, before the hashing: what ends the user's sessions
        # meanwhile ends this one at its birth (instant-logout, rule 3).
        start = await self._store.start_sign_in(key)
        known = start if isinstance(start, base.SignInStart) else None
        stored = known.password_hash if known and known.user.status == "active" else None
        try:
            rehashed = await self._check(attempt, stored, password)
        except InvalidCredentials:
            origin = self._sessions.origin_of(seen)
            await self._refuse(known.user if known else None, "session.sign_in", origin)
            raise
        if known is None or stored is None:
            raise InvalidCredentials
        writes: list[base.Write] = [self._throttle.give_back(attempt)]
        if rehashed:
            writes.append(base.Rehash(known.user.id, stored, rehashed))
        return await self._sessions.begin(
            known.user,
            known.position,
            PASSWORD,
            client,
            seen,
            known.user.password_changed_at,
            *writes,
        )

    async def _check(self, attempt: Attempt, stored: str | None, password: str) -> str | None:
        """Verify a password as one attempt. One that was not looked at doesn't count."""
        try:
            return await self._passwords.verify(stored, password)
        except (InvalidRequest, Unavailable):
            await self._store.commit(self._throttle.give_back(attempt))
            raise

    async def _refuse(self, user: User | None, kind: RecordType, origin: Origin) -> None:
        """Record that a proof was wrong. For nobody the same work is done, and nothing grows."""
        if user is None:
            await self._store.commit(base.CountUnknownSignIn())
            return
        known = Record(
            type=kind,
            at=self._clock.now(),
            account_id=user.account_id,
            user_id=user.id,
            target=Target("user", user.id, user.label),
            origin=origin,
            outcome="failure",
            reason="user_suspended" if user.status == "suspended" else "invalid_credentials",
        )
        await self._store.commit(base.AddRecord(known))

    async def reauthenticate(
        self, caller: Caller, password: str, origin: Origin = NOWHERE
    ) -> Tokens:
        """Take the password as a fresh proof for the caller's session; gives new tokens.

        Raises InvalidCredentials, RateLimited, SessionEnded, Conflict.
        """
        user, proved = await self._verify(caller, password, "session.reauthenticate", origin)
        # An old password that is being hashed while it is changed proves nothing any more.
        stands = base.RequirePassword(user.id, user.password_changed_at or user.created_at)
        record = self._own_record("session.reauthenticate", caller, origin)
        tokens, _ = await self._sessions.reauthenticate(caller, PASSWORD, proved, stands, record)
        return tokens

    async def change_password(
        self,
        caller: Caller,
        current: str,
        new: str,
        *,
        terminate_others: bool = True,
        origin: Origin = NOWHERE,
    ) -> tuple[Tokens, Termination | None]:
        """Change the caller's password; it carries its own proof. Others end by default (ASVS
        7.4.3), and the caller's session goes on with new tokens.

        Raises InvalidCredentials, InvalidRequest, RateLimited, SessionEnded, Conflict.
        """
        user = caller.user
        check_new_password(new, self._min_length, user.email, user.name)
        known, proved = await self._verify(caller, current, "user.change_password", origin)
        hashed = await self._passwords.hash(new)
        now = self._clock.now()
        writes: list[base.Write] = [
            proved,
            base.SetPassword(user.id, hashed, now, known.password_changed_at),
            self._own_record("user.change_password", caller, origin),
        ]
        if terminate_others:
            by = Actor("user", user.id, caller.session.device.label)
            writes.append(
                base.EndUser(
                    user.id,
                    user.account_id,
                    caller.session.id,
                    "password_changed",
                    by,
                    now,
                    self._sessions.policy,
                )
            )
        tokens, events = await self._sessions.reauthenticate(caller, PASSWORD, *writes)
        ended = [event for event in events if event.kind == "user_ended"]
        return tokens, self._sessions.endings.termination_of(ended[0]) if ended else None

    async def _verify(
        self, caller: Caller, password: str, kind: RecordType, origin: Origin
    ) -> tuple[User, base.Write]:
        """Give the user as they were when the password was read, and what to write with it."""
        attempt = await self._throttle.proof(caller.session.id)
        start = await self._store.password_hash(caller.user.id)
        try:
            await self._check(attempt, start.password_hash if start else None, password)
        except InvalidCredentials:
            await self._refuse(caller.user, kind, origin)
            raise
        return start.user if start else caller.user, self._throttle.give_back(attempt)

    def _own_record(self, kind: RecordType, caller: Caller, origin: Origin) -> base.AddRecord:
        user = caller.user
        return base.AddRecord(
            Record(
                type=kind,
                at=self._clock.now(),
                account_id=user.account_id,
                user_id=user.id,
                actor=Actor("user", user.id, user.label),
                target=Target("user", user.id, user.label),
                origin=origin,
            )
        )

    # Accounts and users.

    async def add_account(self, name: str, by: Actor = SYSTEM) -> Account:
        """Add an account. Raises InvalidRequest, Conflict."""
        now = self._clock.now()
        account = Account(new_account_id(now, self._entropy), check_name(name, "name"), now)
        await self._store.commit(base.AddAccount(account), _account_record(account, by))
        return account

    async def ensure_account(self, name: str) -> Account:
        """Give the account of a name; add it where there is none. Raises InvalidRequest."""
        wanted = check_name(name, "name")
        for _attempt in range(2):
            for account in await self._store.list_accounts():
                if account.name == wanted:
                    return account
            with suppress(Conflict):  # another process was first
                return await self.add_account(name)
        raise Conflict

    async def add_user(
        self,
        account_id: AccountId,
        email: str,
        *,
        name: str | None = None,
        role: Role = "member",
        password: str | None = None,
        by: Actor = SYSTEM,
        origin: Origin = NOWHERE,
    ) -> User:
        """Add a user; the account's first is its owner, whatever the role. Without a password they
        can't sign in until they accept an invitation.

        Raises InvalidRequest, Conflict.
        """
        write = await self.prepare_user(account_id, email, name=name, role=role, password=password)
        record = user_record("user.add", write.user, by, origin, write.user.created_at)
        try:
            await self._store.commit(write, record)
        except LostRace as error:
            raise Conflict from error
        return write.user

    async def add_first(
        self,
        organisation: str,
        email: str,
        *,
        name: str | None,
        password: str | None,
        by: Actor = SYSTEM,
    ) -> tuple[Account, User]:
        """Add the first account together with its owner. Raises InvalidRequest, Conflict."""
        account, owner, *records = await self.prepare_first(
            organisation, email, name=name, password=password, by=by
        )
        try:
            await self._store.commit(account, owner, *records)
        except LostRace as error:
            raise Conflict from error
        return account.account, owner.user

    async def prepare_first(
        self,
        organisation: str,
        email: str,
        *,
        name: str | None,
        password: str | None,
        by: Actor = SYSTEM,
        origin: Origin = NOWHERE,
    ) -> tuple[base.AddAccount, base.AddUser, base.AddRecord, base.AddRecord]:
        """Check the first account and its owner, and give the writes that add and record both.

        Raises InvalidRequest.
        """
        now = self._clock.now()
        account = Account(
            new_account_id(now, self._entropy), check_name(organisation, "organisation"), now
        )
        owner = await self.prepare_user(account.id, email, name=name, password=password)
        user = user_record("user.add", owner.user, by, origin, now)
        return base.AddAccount(account, first=True), owner, _account_record(account, by), user

    async def prepare_user(
        self,
        account_id: AccountId,
        email: str,
        *,
        name: str | None = None,
        role: Role = "member",
        password: str | None = None,
    ) -> base.AddUser:
        """Check a new user and give the write that adds them. Raises InvalidRequest."""
        shown, key = parse_email(email)
        person = check_name(name, "name") if name else None
        hashed = None
        if password is not None:
            check_new_password(password, self._min_length, shown, person, field="password")
            hashed = await self._passwords.hash(password)
        owned = await self._store.count_users(account_id, "owner") > 0
        now = self._clock.now()
        user = User(
            id=new_user_id(now, self._entropy),
            account_id=account_id,
            email=shown,
            email_key=key,
            external_id=None,
            name=person,
            role=role if owned else "owner",
            status="active",
            created_at=now,
            password_changed_at=now if hashed else None,
        )
        return base.AddUser(user, hashed, owned)

    async def find_by_email(self, email: str) -> User:
        """Find a user by e-mail address. Raises NotFound."""
        start = await self._store.start_sign_in(email_key(email))
        if not isinstance(start, base.SignInStart):
            raise NotFound(f"there is no user {email}")
        return start.user

    async def suspend(
        self,
        user: User,
        by: Actor,
        *writes: base.Write,
        origin: Origin = NOWHERE,
        keeps_owner: bool = False,
    ) -> Termination:
        """Suspend a user and end all of their sessions (ASVS 7.4.2). Raises Conflict; with
        `keeps_owner` also for the last owner of an account.
        """
        return await self._sessions.endings.terminate_all(
            user.id,
            user.account_id,
            "user_suspended",
            by,
            None,
            *writes,
            base.SetStatus(user.id, "suspended", keeps_owner),
            actor=origin.session_id,
            origin=origin,
            name=user.label,
        )

    async def resume(
        self, user: User, by: Actor = SYSTEM, *writes: base.Write, origin: Origin = NOWHERE
    ) -> None:
        """Let a suspended user sign in again; ended sessions stay ended. Raises Conflict."""
        record = user_record("user.resume", user, by, origin, self._clock.now())
        try:
            await self._store.commit(
                *writes, base.SetStatus(user.id, "active"), record, actor=origin.session_id
            )
        except LostRace as error:
            raise Conflict("the user is not suspended") from error


def user_record(
    kind: RecordType,
    user: User,
    by: Actor,
    origin: Origin,
    now: datetime,
    reason: str | None = None,
) -> base.AddRecord:
    """Record what was done to a user."""
    return base.AddRecord(
        Record(
            type=kind,
            at=now,
            account_id=user.account_id,
            user_id=user.id,
            actor=doer(by, None, origin),
            target=Target("user", user.id, user.label),
            origin=origin,
            reason=reason,
        )
    )


def _account_record(account: Account, by: Actor) -> base.AddRecord:
    target = Target("account", account.id, account.name)
    return base.AddRecord(Record("account.add", account.created_at, account.id, None, by, target))
