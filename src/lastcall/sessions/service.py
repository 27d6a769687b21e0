"""The operations on sessions, one method a verb. Rules decide, the store commits, tokens follow."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from lastcall.clock import Clock, Entropy
from lastcall.device.agent import recognise
from lastcall.device.place import Locator
from lastcall.errors import Conflict, InvalidToken, LostRace, NotFound, RateLimited, SessionEnded
from lastcall.events import Actor, EndReason, Event, Position
from lastcall.identity.model import User
from lastcall.ids import AccountId, SessionId, TerminationId, UserId, new_session_id
from lastcall.secretfile import Secrets
from lastcall.sessions import rules
from lastcall.sessions.minting import Minter, Tokens, role_of
from lastcall.sessions.model import Client, Lineage, Session, SignIn
from lastcall.sessions.policy import REPEATS, Policy
from lastcall.signing import Signing
from lastcall.stores import base
from lastcall.tokens import (
    Access,
    RefreshToken,
    new_refresh,
    parse_refresh,
    seal_successor,
    unseal_successor,
)

ENDED_KEPT: Final = timedelta(days=90)
"""How long ended sessions stay visible."""
_TRIES: Final = 4
"""A decision is taken anew when it lost a race: to a rotation, and then to an ending."""
_TOP: Final = base.Cursor(datetime.max.replace(tzinfo=UTC), "")
"""Where a list goes on that has shown the current session alone."""
_TERMINATION: Final = re.compile(r"t_(?P<epoch>[A-Za-z0-9_-]{12})_(?P<seq>[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class Caller:
    """A live session that showed a good access token, and whose it is."""

    session: Session
    user: User
    access: Access

    @property
    def role(self) -> str:
        """The role of the session: its user's, but a member's where a service vouched."""
        return role_of(self.session, self.user)


@dataclass(frozen=True, slots=True)
class Termination:
    """How far an ending has come. With one node and no verifiers it is confirmed as it commits."""

    id: TerminationId
    event: Event
    ended: int
    state: Literal["confirmed", "confirming"]
    waited: timedelta
    verifiers: int = 0
    acknowledged: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, and where it goes on."""

    sessions: tuple[Session, ...]
    next: base.Cursor | None


class Sessions:
    """The verbs: begin, refresh, authenticate, reauthenticate, list, terminate, sign out."""

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
        self._clock = clock
        self._entropy = entropy
        self._minter = Minter(issuer, audience, policy, signing, secrets, entropy)

    def now(self) -> datetime:
        """Give the time by which sessions are judged."""
        return self._clock.now()

    # Beginning and going on.

    async def begin(
        self,
        user: User,
        start: Position,
        amr: tuple[str, ...],
        client: Client,
        seen: SignIn,
        password_changed_at: datetime | None = None,
        *writes: base.Write,
    ) -> Tokens:
        """Begin a session for a user who has been proved, from the position that the sign-in read
        at its start, together with other writes. Raises Conflict where an event has meanwhile
        ended it at its birth (instant-logout, rule 3): the sign-in starts again.
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
        try:
            await self._store.commit(*writes, base.Begin(session, seen, password_changed_at))
        except LostRace as error:
            raise Conflict("something changed while you were signing in; try again") from error
        # The first token carries the session's own position, not that of its commit (rule 3).
        return await self._minter.mint(session, user, token, start, now)

    async def refresh(self, text: str, ip: str | None) -> Tokens:
        """Give a refresh token's successor, or the same one again within the grace.

        Raises InvalidToken, SessionEnded, RateLimited, Conflict.
        """
        token = parse_refresh(text, self._secrets)
        for _ in range(_TRIES):
            found = await self._find(token.session_id)
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
                        await self._end(found.session, decision)
                        raise rules.ended_error(decision.ending)
            except LostRace:
                continue
        raise Conflict

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
        if ip is not None and ip != session.ip:
            session = replace(session, ip=ip, place=self._locator.locate(ip))
        committed = await self._store.commit(base.Rotate(session))
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
        for _ in range(_TRIES):
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

    # Who is calling.

    async def authenticate(self, access_token: str) -> Caller:
        """Give the live session of a good access token.

        An ended session is said before a run-out token. Raises InvalidToken, SessionEnded.
        """
        access = await self._signing.open(access_token, self.issuer, self.audience)
        found = await self._find(access.session_id)
        now = self._clock.now()
        rules.require_live(found.session, self.policy, now)
        if now >= access.expires_at:
            raise InvalidToken("token_expired")
        log = found.log
        rules.require_current(
            found.session, access.position, log.position, log.floor, found.user.stale_seq
        )
        return Caller(found.session, found.user, access)

    async def recognise_ended(self, text: str) -> SessionEnded | None:
        """Tell how the session of a genuine token, of either kind, has ended; else None."""
        try:
            if text.startswith("lcr_"):
                session_id = parse_refresh(text, self._secrets).session_id
            else:
                access = await self._signing.open(text, self.issuer, self.audience)
                session_id = access.session_id
            found = await self._find(session_id)
        except InvalidToken:
            return None
        ending = rules.ending(found.session, self.policy, self._clock.now())
        return rules.ended_error(ending) if ending else None

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
        query = base.SessionQuery(
            user_id,
            which,
            self.policy,
            now,
            limit=limit - len(first) + 1,
            before=before,
            since=now - ENDED_KEPT if which == "ended" else None,
            without=current.id if current else None,
        )
        sessions = await self._store.list_sessions(query)
        shown = sessions[: limit - len(first)]
        more = len(first) + len(sessions) > limit
        last = base.Cursor(shown[-1].last_active_at, shown[-1].id) if shown else _TOP
        return Page(first + shown, last if more else None)

    async def count(self, user_id: UserId) -> int:
        """Count a user's active sessions."""
        return await self._store.count_sessions(user_id, self.policy, self._clock.now())

    # Ending.

    async def terminate(
        self,
        session_id: SessionId,
        reason: EndReason,
        by: Actor,
        allowed: Callable[[Session], bool],
        actor: SessionId | None = None,
    ) -> Termination:
        """End a session that the actor may end; one that has ended keeps its first ending.

        Raises NotFound for an unknown one and for one that isn't allowed, alike; SessionEnded where
        the actor's own session has ended.
        """
        started = self._clock.monotonic()
        for _ in range(_TRIES):
            found = await self._store.find_session(session_id)
            if found is None or not allowed(found.session):
                raise NotFound
            if found.session.ending is not None and found.session.ending.seq is not None:
                event = await self._store.find_event(found.session.ending.seq)
                if event is not None:
                    return self._termination(event, 0, started)
            decision = rules.terminate(found.session, reason, by, self.policy, self._clock.now())
            if decision is None:
                break
            try:
                event = await self._end(found.session, decision, actor)
            except LostRace:
                await self._require_actor(actor)
                continue
            return self._termination(event, event.ended, started)
        raise Conflict

    async def terminate_all(
        self,
        user_id: UserId,
        account_id: AccountId,
        reason: EndReason,
        by: Actor,
        spared: SessionId | None = None,
        *writes: base.Write,
    ) -> Termination:
        """End all of a user's sessions, but the spared one, by one event, together with other
        writes. Raises SessionEnded where the spared one, the actor's, has ended itself.
        """
        started = self._clock.monotonic()
        now = self._clock.now()
        end = base.EndUser(user_id, account_id, spared, reason, by, now, self.policy)
        try:
            committed = await self._store.commit(*writes, end, actor=spared)
        except LostRace as error:
            await self._require_actor(spared)
            raise Conflict from error
        event = committed.events[-1]
        return self._termination(event, event.ended, started)

    async def sign_out(self, session_id: SessionId) -> None:
        """End a session by its own wish; nothing where it has ended or isn't there."""
        by = Actor("self")
        try:
            await self.terminate(session_id, "signed_out", by, lambda _: True)
        except NotFound:
            return

    async def sign_out_refresh(self, text: str) -> None:
        """End the session of a refresh token; nothing where it is not genuine. One that was used
        up long ago is a theft, as at a refresh."""
        with suppress(InvalidToken, SessionEnded, LostRace):
            token = parse_refresh(text, self._secrets)
            found = await self._find(token.session_id)
            shown = rules.Shown(token.generation, token.secret_hash)
            decision = None
            with suppress(RateLimited):  # a parent that was shown too often may still sign out
                decision = rules.refresh(found.session, shown, self.policy, self._clock.now())
            if isinstance(decision, rules.End):
                await self._end(found.session, decision)
            else:
                await self.sign_out(token.session_id)

    async def termination(
        self, termination_id: str, allowed: Callable[[Event], bool]
    ) -> Termination:
        """Follow a termination. Raises NotFound."""
        match = _TERMINATION.fullmatch(termination_id)
        event = await self._store.find_event(int(match["seq"])) if match else None
        if (
            match is None
            or event is None
            or event.position.epoch != match["epoch"]
            or not event.kind.endswith("_ended")
            or not allowed(event)
        ):
            raise NotFound
        return self._termination(event, event.ended, self._clock.monotonic())

    def termination_of(self, event: Event) -> Termination:
        """Give the state of an ending that was just committed."""
        return self._termination(event, event.ended, self._clock.monotonic())

    # Within.

    async def _find(self, session_id: SessionId) -> base.Found:
        found = await self._store.find_session(session_id)
        if found is None:
            raise InvalidToken
        return found

    async def _require_actor(self, actor: SessionId | None) -> None:
        """Raise SessionEnded where the actor's session is what has changed."""
        if actor is not None:
            found = await self._find(actor)
            rules.require_live(found.session, self.policy, self._clock.now())

    async def _end(
        self, session: Session, decision: rules.End, actor: SessionId | None = None
    ) -> Event:
        ending = decision.ending
        end = base.EndSession(
            session.id, session.user_id, session.account_id, ending.reason, ending.by, ending.at
        )
        committed = await self._store.commit(end, actor=actor)
        return committed.events[-1]

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

    def _termination(self, event: Event, ended: int, started: float) -> Termination:
        waited = timedelta(seconds=self._clock.monotonic() - started)
        name = TerminationId(f"t_{event.position.epoch}_{event.position.seq}")
        return Termination(name, event, ended, "confirmed", waited)
