"""The operations on sessions, one method a verb. Rules decide, the store commits, tokens follow."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from lastcall import limits
from lastcall.access import Access
from lastcall.audit import Origin, Record, Target
from lastcall.clock import Clock, Entropy
from lastcall.device.agent import recognise
from lastcall.device.place import Locator
from lastcall.errors import Conflict, Forbidden, InvalidToken, LostRace, SessionEnded
from lastcall.events import Actor, Event, Position
from lastcall.identity.model import ServiceKey, User
from lastcall.ids import AccountId, SessionId, UserId, new_session_id
from lastcall.secretfile import Secrets
from lastcall.sessions import rules
from lastcall.sessions.endings import TRIES, Endings
from lastcall.sessions.minting import Minter, Tokens, role_of
from lastcall.sessions.model import Client, Lineage, Session, SignIn
from lastcall.sessions.policy import REPEATS, Policy
from lastcall.sessions.timelines import Timelines
from lastcall.signing import Signing
from lastcall.stores import base
from lastcall.throttle import Throttle
from lastcall.tokens import (
    REFRESH_PREFIX,
    RefreshToken,
    new_refresh,
    parse_refresh,
    seal_successor,
    unseal_successor,
)

ENDED_KEPT: Final = timedelta(days=90)
"""How long ended sessions stay visible."""
_TOP: Final = base.Cursor(datetime.max.replace(tzinfo=UTC), "")
"""Where a list goes on that has shown the current session alone."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A live session that showed a good access token, and whose it is."""

    session: Session
    user: User
    access: Access
    recorded: int
    """The number of the audit log's newest record when the token was looked at."""

    @property
    def role(self) -> str:
        """The role of the session: its user's, but a member's where a service vouched."""
        return role_of(self.session, self.user)


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, and where it goes on."""

    sessions: tuple[Session, ...]
    next: base.Cursor | None


class Sessions:
    """The verbs: begin, refresh, reauthenticate, authenticate, revoke, list, count; `endings`."""

    def __init__(
        self,
        *,
        store: base.Store,
        secrets: Secrets,
        signing: Signing,
        locator: Locator,
        policy: Policy,
        issuer: str,
        audience: str,
        cell: str,
        throttle: Throttle,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self.policy = policy
        self.issuer = issuer
        self.audience = audience
        self._store = store
        self._secrets = secrets
        self._signing = signing
        self._locator = locator
        self._cell = cell
        self._throttle = throttle
        self._clock = clock
        self._entropy = entropy
        self._timelines = Timelines(store)
        self.endings = Endings(store, secrets, policy, clock)
        self._minter = Minter(issuer, audience, policy, signing, secrets, entropy)

    def now(self) -> datetime:
        """Give the time by which sessions are judged."""
        return self._clock.now()

    # Beginning, going on, being given back.

    async def begin(
        self,
        user: User,
        start: Position,
        amr: tuple[str, ...],
        client: Client,
        seen: SignIn,
        password_changed_at: datetime | None = None,
        *writes: base.Write,
        by: Actor | None = None,
    ) -> Tokens:
        """Begin a session for a user who has been proved, from the position that the sign-in read
        at its start, together with other writes. `by` is the service that vouches for the user.
        Raises Conflict where an event has meanwhile ended it at its birth (instant-logout, rule 3):
        the sign-in starts again.
        """
        now = self._clock.now()
        session_id = new_session_id(self._cell, now, self._entropy)
        token = new_refresh(session_id, 1, self._entropy)
        session = Session(
            id=session_id,
            user_id=user.id,
            account_id=user.account_id,
            begun=start,
            created_at=now,
            last_active_at=now,
            idle_expires_at=now + self.policy.refresh_lifetime,
            absolute_expires_at=now + self.policy.absolute_lifetime,
            auth_time=now,
            amr=amr,
            client=client,
            device=recognise(seen.user_agent, seen.hints),
            place=self._locator.locate(seen.ip),
            ip=seen.ip,
            lineage=Lineage(generation=1, secret_hash=token.secret_hash, rotated_at=now),
        )
        record = Record(
            type="session.sign_in",
            at=now,
            account_id=user.account_id,
            user_id=user.id,
            actor=by or Actor("user", user.id, user.label),
            target=Target("session", session_id, session.device.label),
            origin=Origin(session_id, session.device, session.place, session.ip),
        )
        begin = base.Begin(session, seen, password_changed_at)
        try:
            await self._store.commit(*writes, begin, base.AddRecord(record))
        except LostRace as error:
            raise Conflict("something changed while you were signing in; try again") from error
        # The first token carries the session's own position, not that of its commit (rule 3).
        return await self._minter.mint(session, user, token, start, now)

    async def refresh(self, text: str, ip: str | None) -> Tokens:
        """Give a refresh token's successor, or the same one again within the grace.

        Raises InvalidToken, SessionEnded, RateLimited, Conflict.
        """
        try:
            token = parse_refresh(text, self._secrets)
            if (tokens := await self._rotate_unread(token, ip)) is not None:
                return tokens
            found = await self._find(token.session_id)
        except InvalidToken:
            await self._throttle.unknown(limits.REFRESH, ip)
            raise
        for _ in range(TRIES):
            now = self._clock.now()
            shown = rules.Shown(token.generation, token.secret_hash)
            decision = rules.refresh(found.session, shown, self.policy, now)
            try:
                match decision:
                    case rules.Rotate():
                        return await self._rotate(found, token, decision, ip, now)
                    case rules.Repeat():
                        return await self._repeat(found, token, decision, now)
                    case rules.End():
                        origin = Origin(place=self._locator.locate(ip), ip=ip)
                        await self.endings.end(found.session, decision, None, origin)
                        raise rules.ended_error(decision.ending)
            except LostRace:
                found = await self._find(token.session_id)
        raise Conflict

    async def _rotate_unread(self, token: RefreshToken, ip: str | None) -> Tokens | None:
        """Give the successor of a token of which there is nothing else to tell or to decide, where
        the store finds that out in one step."""
        if not self._store.refreshes:
            return None
        now = self._clock.now()
        successor = new_refresh(token.session_id, token.generation + 1, self._entropy)
        shown = base.Refresh(
            token.session_id,
            token.generation,
            token.secret_hash,
            successor.secret_hash,
            seal_successor(token, successor, self._secrets, self._entropy),
            ip,
            now,
            self.policy,
        )
        done = await self._store.refresh(shown)
        if done is None:
            return None
        return await self._minter.mint(done.session, done.user, successor, done.position, now)

    async def _rotate(
        self,
        found: base.Found,
        token: RefreshToken,
        decision: rules.Rotate,
        ip: str | None,
        now: datetime,
    ) -> Tokens:
        successor = new_refresh(token.session_id, token.generation + 1, self._entropy)
        sealed = seal_successor(token, successor, self._secrets, self._entropy)
        session = self._advance(found.session, decision, successor, sealed, now)
        writes: list[base.Write] = []
        # A service refreshes from its own address, which is not the person's.
        if ip is not None and ip != session.ip and session.client.service_key is None:
            session = replace(session, ip=ip, place=self._locator.locate(ip))
            writes.append(base.AddRecord(_moved(session, found.user, now)))
        committed = await self._store.commit(base.Rotate(session), *writes)
        return await self._minter.mint(session, found.user, successor, committed.position, now)

    async def _repeat(
        self, found: base.Found, token: RefreshToken, decision: rules.Repeat, now: datetime
    ) -> Tokens:
        session = found.session
        successor = unseal_successor(token, decision.sealed_successor, self._secrets)
        repeat = base.CountRepeat(session.id, session.lineage.generation, REPEATS)
        committed = await self._store.commit(repeat)
        return await self._minter.mint(session, found.user, successor, committed.position, now)

    async def reauthenticate(
        self, caller: Caller, amr: tuple[str, ...], *writes: base.Write
    ) -> tuple[Tokens, tuple[Event, ...]]:
        """Give new tokens for the same session after a fresh proof, together with other writes and
        the events of all; the older ones refuse (ASVS 7.2.4). Raises SessionEnded, Conflict.
        """
        for _ in range(TRIES):
            now = self._clock.now()
            found = await self._find(caller.session.id)
            decision = rules.reauthenticate(found.session, self.policy, now)
            generation = found.session.lineage.generation + 1
            token = new_refresh(found.session.id, generation, self._entropy)
            session = self._advance(found.session, decision, token, None, now)
            session = replace(session, auth_time=now, amr=amr)
            stale = base.MarkStale(session.id, session.account_id, session.user_id, now)
            try:
                committed = await self._store.commit(
                    *writes, base.Rotate(session), stale, actor=session.id
                )
            except LostRace:
                continue
            tokens = await self._minter.mint(session, found.user, token, committed.position, now)
            return tokens, committed.events
        raise Conflict

    async def revoke(self, text: str, key: ServiceKey | None, origin: Origin) -> None:
        """End the session of a genuine token of either kind, run out or not; `key` is the service
        that revokes: only what it was given (RFC 7009, section 2.1). Raises Forbidden, RateLimited.
        """
        try:
            found = await self._find_by_token(text)
        except InvalidToken:
            await self._throttle.unknown(limits.REFRESH, origin.ip)
            return
        if key is not None and found.session.client.service_key != key.id:
            raise Forbidden("the token was issued to another client")
        by = Actor("service", key.id, key.name) if key else Actor("self")
        if text.startswith(REFRESH_PREFIX):
            await self.endings.sign_out_refresh(text, origin, "revoked", by)
        else:
            await self.endings.sign_out(found.session.id, origin, "revoked", by)

    # Who is calling.

    async def authenticate(self, access_token: str, of: AccountId | None = None) -> Caller:
        """Give the live session of a good access token, `of` one account if that is given. An ended
        session is said before a run-out token. Raises InvalidToken, SessionEnded.
        """
        access = await self._signing.open(access_token, self.issuer, self.audience)
        if of is not None and access.account_id != of:
            raise InvalidToken
        found = await self._find(access.session_id)
        now = self._clock.now()
        rules.require_live(found.session, self.policy, now)
        if now >= access.expires_at:
            raise InvalidToken("token_expired")
        token, log = access.position, found.log
        last = await self._timelines.last(token, log.position)
        rules.require_current(
            found.session, token, log.position.epoch, last, log.floor, found.user.stale_seq
        )
        return Caller(found.session, found.user, access, found.recorded)

    async def look_on(self, refresh_token: str) -> base.Found:
        """Give the live session of a refresh token that could be used now, without using it: who
        only looks on is not active, and moves no limit. Raises InvalidToken, SessionEnded,
        RateLimited.
        """
        token = parse_refresh(refresh_token, self._secrets)
        found = await self._find(token.session_id)
        now = self._clock.now()
        rules.require_live(found.session, self.policy, now)
        shown = rules.Shown(token.generation, token.secret_hash)
        if isinstance(rules.refresh(found.session, shown, self.policy, now), rules.End):
            raise InvalidToken  # it was used up long ago; a refresh would end the session
        return found

    async def recognise_ended(self, text: str) -> SessionEnded | None:
        """Tell how the session of a genuine token, of either kind, has ended; else None."""
        try:
            found = await self._find_by_token(text)
        except InvalidToken:
            return None
        ending = rules.ending(found.session, self.policy, self._clock.now())
        return rules.ended_error(ending) if ending else None

    def origin(self, caller: Caller, ip: str | None) -> Origin:
        """Tell from where a caller does something: the address is that of the request."""
        session = caller.session
        place = session.place if ip == session.ip else self._locator.locate(ip)
        return Origin(session.id, session.device, place, ip, caller.user.label)

    def origin_of(self, seen: SignIn) -> Origin:
        """Tell from where somebody without a session does something."""
        device = recognise(seen.user_agent, seen.hints)
        return Origin(None, device, self._locator.locate(seen.ip), seen.ip)

    def require_fresh(self, caller: Caller) -> None:
        """Raise ReauthenticationRequired unless the caller's last proof is fresh; a user without a
        factor here has none to show."""
        if caller.user.password_changed_at is not None:
            rules.require_fresh(caller.session, self.policy, self._clock.now())

    # Seeing.

    async def list(
        self,
        user_id: UserId,
        which: base.SessionFilter,
        *,
        current: Session | None = None,
        before: base.Cursor | None = None,
        limit: int = 50,
    ) -> Page:
        """List a user's sessions by last activity, the current one before all; or the ended ones of
        the last 90 days."""
        now = self._clock.now()
        first = (current,) if current and which == "active" and before is None else ()
        ended = which == "ended"
        query = base.SessionQuery(
            user_id,
            which,
            self.policy,
            now,
            limit=limit - len(first) + 1,
            before=before,
            # Listed by activity, kept by ending: the one comes before the other by this at most.
            since=now - ENDED_KEPT - self.policy.refresh_lifetime if ended else None,
            without=current.id if current else None,
        )
        sessions = await self._store.list_sessions(query)
        shown = sessions[: limit - len(first)]
        more = len(first) + len(sessions) > limit
        last = base.Cursor(shown[-1].last_active_at, shown[-1].id) if shown else _TOP
        if ended:
            shown = tuple(one for one in shown if self._ended_since(one, now - ENDED_KEPT, now))
        return Page(first + shown, last if more else None)

    def _ended_since(self, session: Session, moment: datetime, now: datetime) -> bool:
        ending = rules.ending(session, self.policy, now)
        return ending is not None and ending.at >= moment

    async def count(self, user_id: UserId) -> int:
        """Count a user's active sessions."""
        return await self._store.count_sessions(user_id, self.policy, self._clock.now())

    # Within.

    async def _find_by_token(self, text: str) -> base.Found:
        if text.startswith(REFRESH_PREFIX):
            return await self._find(parse_refresh(text, self._secrets).session_id)
        access = await self._signing.open(text, self.issuer, self.audience)
        return await self._find(access.session_id)

    async def _find(self, session_id: SessionId) -> base.Found:
        found = await self._store.find_session(session_id)
        if found is None:
            raise InvalidToken
        return found

    def _advance(
        self,
        session: Session,
        decision: rules.Rotate,
        token: RefreshToken,
        sealed: bytes | None,
        now: datetime,
    ) -> Session:
        return replace(
            session,
            last_active_at=decision.last_active_at,
            idle_expires_at=decision.idle_expires_at,
            absolute_expires_at=decision.absolute_expires_at,
            lineage=rules.rotated(session.lineage, token.secret_hash, sealed, now),
        )


def _moved(session: Session, user: User, now: datetime) -> Record:
    """Tell that a session was used from another address than before."""
    return Record(
        type="session.move",
        at=now,
        account_id=session.account_id,
        user_id=session.user_id,
        actor=Actor("user", user.id, user.label),
        target=Target("session", session.id, session.device.label),
        origin=Origin(session.id, session.device, session.place, session.ip),
    )
