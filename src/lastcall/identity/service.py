"""The operations on accounts, users and what proves them, one method a verb."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from lastcall.clock import Clock, Entropy
from lastcall.digests import digest, same
from lastcall.errors import (
    Conflict,
    FieldError,
    Forbidden,
    InvalidCredentials,
    InvalidRequest,
    LostRace,
    NotFound,
    TokenMissing,
)
from lastcall.events import Actor
from lastcall.identity.emails import email_key, parse_email
from lastcall.identity.model import (
    Account,
    Role,
    Scope,
    ServiceKey,
    SingleUse,
    SingleUsePurpose,
    User,
)
from lastcall.identity.passwords import Passwords, check_new_password
from lastcall.ids import AccountId, KeyId, UserId, new_account_id, new_key_id, new_user_id
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client, SignIn
from lastcall.sessions.service import Caller, Sessions, Termination
from lastcall.stores import base
from lastcall.tokens import new_service_key, new_single_use, parse_service_key

INVITATION_LIFETIME: Final = timedelta(days=7)
SETUP_LIFETIME: Final = timedelta(days=1)
NAME_LENGTH: Final = 200
"""Longest name of a person, an organisation or a key, in characters."""
_SPENT: Final = "this link has been used or has run out; ask for a new one"
PASSWORD: Final = ("pwd",)
"""`amr` of a session proved by a password (RFC 8176)."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Whom a link is for."""

    user: User
    account: Account


class Identity:
    """The verbs: sign in, reauthenticate, change a password, invite, accept, set up; add accounts,
    users and service keys."""

    def __init__(
        self,
        store: base.Store,
        sessions: Sessions,
        passwords: Passwords,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._passwords = passwords
        self._clock = clock
        self._entropy = entropy
        self._min_length = sessions.policy.password_min_length

    # Proving oneself.

    async def sign_in(self, email: str, password: str, client: Client, seen: SignIn) -> Tokens:
        """Begin a session for who knows the password.

        One answer and the same work for a wrong password, an unknown user, one without a password
        and a suspended one (ASVS 6.3.8). Raises InvalidCredentials, InvalidRequest, SessionEnded,
        Unavailable.
        """
        # The position is read with the hash, before the hashing: what ends the user's sessions
        # meanwhile ends this one at its birth (instant-logout, rule 3).
        start = await self._store.start_sign_in(email_key(email))
        known = start if isinstance(start, base.SignInStart) else None
        stored = known.password_hash if known and known.user.status == "active" else None
        rehashed = await self._passwords.verify(stored, password)
        if known is None or stored is None:
            raise InvalidCredentials
        writes = [base.Rehash(known.user.id, stored, rehashed)] if rehashed else []
        return await self._sessions.begin(
            known.user,
            known.position,
            PASSWORD,
            client,
            seen,
            known.user.password_changed_at,
            *writes,
        )

    async def reauthenticate(self, caller: Caller, password: str) -> Tokens:
        """Take the password as a fresh proof for the caller's session; gives new tokens.

        Raises InvalidCredentials, SessionEnded, Conflict.
        """
        user = await self._verify(caller, password)
        # An old password that is being hashed while it is changed proves nothing any more.
        stands = base.RequirePassword(user.id, user.password_changed_at or user.created_at)
        tokens, _ = await self._sessions.reauthenticate(caller, PASSWORD, stands)
        return tokens

    async def change_password(
        self, caller: Caller, current: str, new: str, *, terminate_others: bool = True
    ) -> tuple[Tokens, Termination | None]:
        """Change the caller's password; it carries its own proof. Others end by default (ASVS
        7.4.3), and the caller's session goes on with new tokens.

        Raises InvalidCredentials, InvalidRequest, SessionEnded, Conflict.
        """
        user = caller.user
        check_new_password(new, self._min_length, user.email, user.name)
        proved = await self._verify(caller, current)
        hashed = await self._passwords.hash(new)
        now = self._clock.now()
        writes: list[base.Write] = [
            base.SetPassword(user.id, hashed, now, proved.password_changed_at)
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
        return tokens, self._sessions.termination_of(ended[0]) if ended else None

    async def _verify(self, caller: Caller, password: str) -> User:
        start = await self._store.password_hash(caller.user.id)
        stored = start.password_hash if start else None
        await self._passwords.verify(stored, password)
        if start is None:
            raise InvalidCredentials
        return start.user

    # Accounts and users.

    async def add_account(self, name: str) -> Account:
        """Add an account. Raises InvalidRequest, Conflict."""
        now = self._clock.now()
        account = Account(new_account_id(now, self._entropy), check_name(name, "name"), now)
        await self._store.commit(base.AddAccount(account))
        return account

    async def add_user(
        self,
        account_id: AccountId,
        email: str,
        *,
        name: str | None = None,
        role: Role = "member",
        password: str | None = None,
        writes: tuple[base.Write, ...] = (),
    ) -> User:
        """Add a user, together with other writes; the account's first is its owner, whatever the
        role. Without a password they can't sign in until they accept an invitation.

        Raises InvalidRequest, Conflict.
        """
        shown, key = parse_email(email)
        person = check_name(name, "name") if name else None
        hashed = None
        if password is not None:
            check_new_password(password, self._min_length, shown, person, field="password")
            hashed = await self._passwords.hash(password)
        users = await self._store.list_users(account_id)
        owned = any(user.role == "owner" for user in users)
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
        try:
            await self._store.commit(*writes, base.AddUser(user, hashed, owned))
        except LostRace as error:
            raise Conflict from error
        return user

    async def find_by_email(self, email: str) -> User:
        """Find a user by e-mail address. Raises NotFound."""
        start = await self._store.start_sign_in(email_key(email))
        if not isinstance(start, base.SignInStart):
            raise NotFound(f"there is no user {email}")
        return start.user

    async def suspend(self, user: User, by: Actor) -> Termination:
        """Suspend a user and end all of their sessions (ASVS 7.4.2). Raises Conflict."""
        return await self._sessions.terminate_all(
            user.id,
            user.account_id,
            "user_suspended",
            by,
            None,
            base.SetStatus(user.id, "suspended"),
        )

    async def resume(self, user: User) -> None:
        """Let a suspended user sign in again; ended sessions stay ended. Raises Conflict."""
        try:
            await self._store.commit(base.SetStatus(user.id, "active"))
        except LostRace as error:
            raise Conflict("the user is not suspended") from error

    # Links that work once.

    async def invite(self, user: User) -> tuple[str, timedelta]:
        """Make the link's secret with which a user chooses a password; an older link stops."""
        return await self._link("invitation", user.id, INVITATION_LIFETIME)

    async def welcome(self, secret: str) -> Welcome:
        """Tell whom an invitation is for, without using it up. Raises NotFound."""
        user = await self._invited(secret)
        account = await self._store.find_account(user.account_id)
        if account is None:
            raise NotFound
        return Welcome(user, account)

    async def accept(self, secret: str, password: str, client: Client, seen: SignIn) -> Tokens:
        """Choose the password and begin the first session, using the invitation up.

        Raises NotFound for a link that is used, replaced or run out; InvalidRequest.
        """
        user = await self._invited(secret)
        check_new_password(password, self._min_length, user.email, user.name, field="password")
        start = await self._store.password_hash(user.id)
        if start is None:
            raise NotFound(_SPENT)
        hashed = await self._passwords.hash(password)
        now = self._clock.now()
        try:
            await self._store.commit(
                base.UseUp(digest(secret.encode()), "invitation", now),
                base.SetPassword(user.id, hashed, now, start.user.password_changed_at),
            )
        except LostRace as error:
            raise NotFound(_SPENT) from error
        return await self._sessions.begin(user, start.position, PASSWORD, client, seen, now)

    async def offer_setup(self) -> tuple[str, timedelta] | None:
        """Make the secret of the set-up link where there is no account yet."""
        if await self._store.list_accounts():
            return None
        return await self._link("setup", None, SETUP_LIFETIME)

    async def require_setup(self, secret: str) -> None:
        """Raise NotFound unless the set-up link is good."""
        now = self._clock.now()
        found = await self._store.find_single_use(_hash(secret), "setup", now)
        if found is None or await self._store.list_accounts():
            raise NotFound(_SPENT)

    async def set_up(
        self,
        secret: str,
        organisation: str,
        name: str | None,
        email: str,
        password: str,
        client: Client,
        seen: SignIn,
    ) -> Tokens:
        """Make the first account and its owner, and begin their session, using the link up.

        Raises NotFound for a link that is used or has run out; InvalidRequest.
        """
        await self.require_setup(secret)
        start = await self._store.log_end()
        now = self._clock.now()
        account = Account(
            new_account_id(now, self._entropy), check_name(organisation, "organisation"), now
        )
        writes = (base.UseUp(_hash(secret), "setup", now), base.AddAccount(account, first=True))
        try:
            user = await self.add_user(
                account.id, email, name=name, password=password, writes=writes
            )
        except Conflict as error:
            raise NotFound(_SPENT) from error
        return await self._sessions.begin(
            user, start.position, PASSWORD, client, seen, user.password_changed_at
        )

    async def _invited(self, secret: str) -> User:
        now = self._clock.now()
        found = await self._store.find_single_use(_hash(secret), "invitation", now)
        user = await self._store.find_user(found.user_id) if found and found.user_id else None
        if user is None or user.status != "active":
            raise NotFound(_SPENT)
        return user

    async def _link(
        self, purpose: SingleUsePurpose, user_id: UserId | None, lifetime: timedelta
    ) -> tuple[str, timedelta]:
        secret, secret_hash = new_single_use(self._entropy)
        expires_at = self._clock.now() + lifetime
        await self._store.commit(
            base.AddSingleUse(SingleUse(secret_hash, purpose, user_id, expires_at))
        )
        return secret, lifetime

    # Service keys.

    async def create_key(
        self, account_id: AccountId, name: str, scopes: tuple[Scope, ...]
    ) -> tuple[ServiceKey, str]:
        """Make a service key; the text is shown this once. Raises InvalidRequest."""
        if not scopes:
            raise InvalidRequest(FieldError("scopes", "missing", "a key needs a scope"))
        now = self._clock.now()
        key_id = new_key_id(now, self._entropy)
        text, secret_hash = new_service_key(key_id, self._entropy)
        key = ServiceKey(
            key_id,
            account_id,
            check_name(name, "name"),
            tuple(sorted(set(scopes))),
            secret_hash,
            now,
        )
        await self._store.commit(base.AddServiceKey(key))
        return key, text

    async def revoke_key(self, account_id: AccountId, key_id: KeyId) -> None:
        """End a service key. Raises NotFound."""
        try:
            await self._store.commit(base.RevokeServiceKey(key_id, account_id, self._clock.now()))
        except LostRace as error:
            raise NotFound("there is no such key in force") from error

    async def authenticate_service(self, text: str, scope: Scope) -> ServiceKey:
        """Give the service key that a service showed. Raises TokenMissing for one that isn't good,
        Forbidden for one without the scope.
        """
        parsed = parse_service_key(text)
        key = await self._store.find_service_key(parsed[0]) if parsed else None
        if parsed is None or key is None or not same(parsed[1], key.secret_hash):
            raise TokenMissing("this needs a service key that is in force")
        if scope not in key.scopes:
            raise Forbidden(f"this key lacks the scope {scope}")
        return key

    async def begin_external(
        self,
        key: ServiceKey,
        external_id: str,
        email: str | None,
        name: str | None,
        amr: tuple[str, ...],
        client: Client,
        seen: SignIn,
    ) -> Tokens:
        """Begin a session for a user whom an application has signed in by itself; the external id
        alone tells who it is. Raises Forbidden for a suspended user, InvalidRequest.
        """
        log = await self._store.log_end()
        user = await self._store.find_external_user(key.account_id, external_id)
        if user is None:
            user = await self._add_external(key.account_id, external_id, email, name)
        if user.status != "active":
            raise Forbidden("the user is suspended")
        vouched = replace(client, service_key=key.id)
        return await self._sessions.begin(user, log.position, amr, vouched, seen)

    async def _add_external(
        self, account_id: AccountId, external_id: str, email: str | None, name: str | None
    ) -> User:
        now = self._clock.now()
        user = User(
            id=new_user_id(now, self._entropy),
            account_id=account_id,
            # Shown, never compared: an address that an application claims links to nobody.
            email=email,
            email_key=None,
            external_id=external_id,
            name=name,
            role="member",
            status="active",
            created_at=now,
        )
        try:
            await self._store.commit(base.AddUser(user, None))
        except (Conflict, LostRace) as error:
            found = await self._store.find_external_user(account_id, external_id)
            if found is None:
                raise Conflict from error
            return found
        return user


def check_name(text: str, field: str) -> str:
    """Give a name as it is kept: trimmed, printable, not empty, not too long.

    Raises InvalidRequest.
    """
    name = text.strip()
    if not name:
        raise InvalidRequest(FieldError(field, "missing", "this needs a name"))
    if len(name) > NAME_LENGTH:
        text = f"at most {NAME_LENGTH} characters"
        raise InvalidRequest(FieldError(field, "too_long", text))
    if not name.isprintable():
        raise InvalidRequest(FieldError(field, "not_text", "this holds characters of no name"))
    return name


def _hash(secret: str) -> bytes:
    return digest(secret.encode("utf-8", "replace"))
