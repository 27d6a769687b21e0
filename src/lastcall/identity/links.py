"""Links that work once: the set-up of a new database, and invitations."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from lastcall import limits
from lastcall.audit import NOWHERE, Origin
from lastcall.clock import Clock, Entropy
from lastcall.digests import digest
from lastcall.errors import Conflict, LostRace, NotFound
from lastcall.events import SYSTEM, Actor
from lastcall.identity.model import Account, SingleUse, SingleUsePurpose, User
from lastcall.identity.passwords import Passwords, check_new_password
from lastcall.identity.service import PASSWORD, Identity, user_record
from lastcall.ids import UserId
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client, SignIn
from lastcall.sessions.service import Sessions
from lastcall.stores import base
from lastcall.throttle import Throttle
from lastcall.tokens import new_single_use

INVITATION_LIFETIME: Final = timedelta(days=7)
SETUP_LIFETIME: Final = timedelta(days=1)
_SPENT: Final = "this link has been used or has run out; ask for a new one"


@dataclass(frozen=True, slots=True)
class Welcome:
    """Whom a link is for."""

    user: User
    account: Account


class Links:
    """The verbs: invite, welcome and accept; offer, require and do the set-up."""

    def __init__(
        self,
        store: base.Store,
        sessions: Sessions,
        identity: Identity,
        passwords: Passwords,
        throttle: Throttle,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._identity = identity
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock
        self._entropy = entropy
        self._min_length = sessions.policy.password_min_length

    async def invite(
        self, user: User, by: Actor = SYSTEM, origin: Origin = NOWHERE
    ) -> tuple[str, timedelta]:
        """Make the link's secret with which a user chooses a first password; an older link stops.
        Raises Conflict for a user who has one.
        """
        secret, writes = self.prepare_invitation(user, by, origin)
        try:
            await self._store.commit(*writes, actor=origin.session_id)
        except LostRace as error:
            raise Conflict from error
        return secret, INVITATION_LIFETIME

    def prepare_invitation(
        self, user: User, by: Actor, origin: Origin
    ) -> tuple[str, tuple[base.Write, ...]]:
        """Give an invitation's secret, and the writes that make and record it. Raises Conflict."""
        if user.password_changed_at is not None:
            raise Conflict("this user has a password already")
        if user.email_key is None:
            raise Conflict("this user signs in through an application, not here")
        secret, link = self._prepare("invitation", user.id, INVITATION_LIFETIME)
        record = user_record("user.invite", user, by, origin, self._clock.now())
        return secret, (link, record)

    async def welcome(self, secret: str, ip: str | None) -> Welcome:
        """Tell whom an invitation is for, without using it up. Raises NotFound, RateLimited."""
        user = await self._invited(secret, ip)
        account = await self._store.find_account(user.account_id)
        if account is None:
            raise NotFound
        return Welcome(user, account)

    async def accept(self, secret: str, password: str, client: Client, seen: SignIn) -> Tokens:
        """Choose the password and begin the first session, using the invitation up; all or nothing.

        Raises NotFound for a link that is used, replaced or run out; InvalidRequest, RateLimited.
        """
        user = await self._invited(secret, seen.ip)
        check_new_password(password, self._min_length, user.email, user.name, field="password")
        position = (await self._store.log_end()).position
        hashed = await self._passwords.hash(password)
        now = self._clock.now()
        origin = replace(self._sessions.origin_of(seen), name=user.label)
        writes = (
            base.UseUp(_hash(secret), "invitation", now),
            base.SetPassword(user.id, hashed, now, None),
            user_record("user.accept_invitation", user, Actor("self", user.id), origin, now),
        )
        try:
            return await self._sessions.begin(user, position, PASSWORD, client, seen, now, *writes)
        except Conflict as error:
            raise NotFound(_SPENT) from error

    async def offer_setup(self) -> tuple[str, timedelta] | None:
        """Make the secret of the set-up link where there is no account yet."""
        if await self._store.list_accounts():
            return None
        secret, link = self._prepare("setup", None, SETUP_LIFETIME)
        await self._store.commit(link)
        return secret, SETUP_LIFETIME

    async def require_setup(self, secret: str, ip: str | None) -> None:
        """Raise NotFound unless the set-up link is good; RateLimited."""
        if await self._find(secret, "setup", ip) is None or await self._store.list_accounts():
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

        Raises NotFound for a link that is used or has run out; InvalidRequest, RateLimited.
        """
        await self.require_setup(secret, seen.ip)
        position = (await self._store.log_end()).position
        origin = self._sessions.origin_of(seen)
        account, owner, *records = await self._identity.prepare_first(
            organisation, email, name=name, password=password, origin=origin
        )
        used = base.UseUp(_hash(secret), "setup", self._clock.now())
        writes: tuple[base.Write, ...] = (used, account, owner, *records)
        changed_at = owner.user.password_changed_at
        try:
            return await self._sessions.begin(
                owner.user, position, PASSWORD, client, seen, changed_at, *writes
            )
        except Conflict as error:
            raise NotFound(_SPENT) from error

    async def _find(
        self, secret: str, purpose: SingleUsePurpose, ip: str | None
    ) -> SingleUse | None:
        found = await self._store.find_single_use(_hash(secret), purpose, self._clock.now())
        if found is None:
            await self._throttle.unknown(limits.LINK, ip)
        return found

    async def _invited(self, secret: str, ip: str | None) -> User:
        found = await self._find(secret, "invitation", ip)
        user = await self._store.find_user(found.user_id) if found and found.user_id else None
        if user is None or user.status != "active" or user.password_changed_at is not None:
            raise NotFound(_SPENT)
        return user

    def _prepare(
        self, purpose: SingleUsePurpose, user_id: UserId | None, lifetime: timedelta
    ) -> tuple[str, base.AddSingleUse]:
        secret, secret_hash = new_single_use(self._entropy)
        expires_at = self._clock.now() + lifetime
        return secret, base.AddSingleUse(SingleUse(secret_hash, purpose, user_id, expires_at))


def _hash(secret: str) -> bytes:
    return digest(secret.encode("utf-8", "replace"))
