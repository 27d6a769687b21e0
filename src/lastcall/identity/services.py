"""Services: their keys, and the sessions that they begin for users whom they sign in themselves."""

from dataclasses import dataclass, replace
from datetime import datetime

from lastcall.audit import NOWHERE, Origin, Record, RecordType, Target, doer
from lastcall.clock import Clock, Entropy
from lastcall.digests import same
from lastcall.errors import (
    Conflict,
    FieldError,
    Forbidden,
    InvalidRequest,
    LostRace,
    NotFound,
    TokenMissing,
)
from lastcall.events import SYSTEM, Actor
from lastcall.identity.model import Scope, ServiceKey, User
from lastcall.identity.names import check_name
from lastcall.identity.service import user_record
from lastcall.ids import AccountId, KeyId, UserId, new_key_id, new_user_id
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client, SignIn
from lastcall.sessions.service import Sessions
from lastcall.stores import base
from lastcall.tokens import new_service_key, parse_service_key


@dataclass(frozen=True, slots=True)
class Keys:
    """Part of a list of keys, and the id where it goes on."""

    keys: tuple[ServiceKey, ...]
    next: KeyId | None


class Services:
    """The verbs: create, list, revoke and authenticate a key; begin a session."""

    def __init__(
        self, store: base.Store, sessions: Sessions, clock: Clock, entropy: Entropy
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._entropy = entropy
        self._own: dict[KeyId, ServiceKey] = {}
        """Keys of this process: they are known nowhere else, and end with it."""

    def own_key(self, account_id: AccountId) -> str:
        """Give a key for the application that this server is mounted in, with the scope `sessions`.
        Its id is the account's own, so that it is the same client in each process."""
        key_id = KeyId(f"k_{account_id.partition('_')[2]}")
        text, secret_hash = new_service_key(key_id, self._entropy)
        now = self._clock.now()
        self._own[key_id] = ServiceKey(
            key_id, account_id, "the application", ("sessions",), secret_hash, now
        )
        return text

    async def create(
        self,
        account_id: AccountId,
        name: str,
        scopes: tuple[Scope, ...],
        by: Actor = SYSTEM,
        origin: Origin = NOWHERE,
    ) -> tuple[ServiceKey, str]:
        """Make a service key; the text is shown this once. Raises InvalidRequest, Conflict."""
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
        record = _record("key.create", key, now, by, origin)
        try:
            await self._store.commit(base.AddServiceKey(key), record, actor=origin.session_id)
        except LostRace as error:
            raise Conflict from error
        return key, text

    async def list(
        self, account_id: AccountId, after: KeyId | None = None, limit: int = 50
    ) -> Keys:
        """List an account's keys in force, oldest first."""
        found = await self._store.list_service_keys(account_id, after, limit + 1)
        shown = found[:limit]
        return Keys(shown, shown[-1].id if len(found) > limit else None)

    async def revoke(
        self,
        account_id: AccountId,
        key_id: KeyId,
        by: Actor = SYSTEM,
        origin: Origin = NOWHERE,
    ) -> None:
        """End a service key. Raises NotFound."""
        key, now = await self._store.find_service_key(key_id), self._clock.now()
        if key is None or key.account_id != account_id:
            raise NotFound("there is no such key in force")
        record = _record("key.revoke", key, now, by, origin)
        try:
            await self._store.commit(
                base.RevokeServiceKey(key_id, account_id, now), record, actor=origin.session_id
            )
        except LostRace as error:
            raise NotFound("there is no such key in force") from error

    async def authenticate(self, text: str, scope: Scope) -> ServiceKey:
        """Give the service key that a service showed. Raises TokenMissing for one that isn't good,
        Forbidden for one without the scope.
        """
        parsed = parse_service_key(text)
        key = None
        if parsed is not None:
            key = self._own.get(parsed[0]) or await self._store.find_service_key(parsed[0])
        if parsed is None or key is None or not same(parsed[1], key.secret_hash):
            raise TokenMissing("this needs a service key that is in force")
        if scope not in key.scopes:
            raise Forbidden(f"this key lacks the scope {scope}")
        return key

    async def begin_session(
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
            user = await self._add_external(key, external_id, email, name)
        if user.status != "active":
            raise Forbidden("the user is suspended")
        vouched = replace(client, service_key=key.id)
        by = Actor("service", key.id, key.name)
        return await self._sessions.begin(user, log.position, amr, vouched, seen, by=by)

    async def _add_external(
        self, key: ServiceKey, external_id: str, email: str | None, name: str | None
    ) -> User:
        now = self._clock.now()
        user = User(
            id=new_user_id(now, self._entropy),
            account_id=key.account_id,
            # Shown, never compared: an address that an application claims links to nobody.
            email=email,
            email_key=None,
            external_id=external_id,
            name=name,
            role="member",
            status="active",
            created_at=now,
        )
        by = Actor("service", key.id, key.name)
        record = user_record("user.add", user, by, NOWHERE, now)
        try:
            await self._store.commit(base.AddUser(user, None), record)
        except (Conflict, LostRace) as error:
            found = await self._store.find_external_user(key.account_id, external_id)
            if found is None:
                raise Conflict from error
            return found
        return user


def _record(
    kind: RecordType, key: ServiceKey, now: datetime, by: Actor, origin: Origin
) -> base.AddRecord:
    return base.AddRecord(
        Record(
            type=kind,
            at=now,
            account_id=key.account_id,
            user_id=UserId(by.id) if by.id and by.kind == "admin" else None,
            actor=doer(by, None, origin),
            target=Target("key", key.id, key.name),
            origin=origin,
        )
    )
