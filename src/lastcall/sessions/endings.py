"""How sessions end, and what can be said of it: the operations, one method a verb."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from lastcall.audit import NOWHERE, Origin, Record, RecordType, Target, doer
from lastcall.clock import Clock
from lastcall.errors import Conflict, InvalidToken, LostRace, NotFound, RateLimited, SessionEnded
from lastcall.events import Actor, EndReason, Event
from lastcall.identity.model import Account
from lastcall.ids import AccountId, SessionId, TerminationId, UserId
from lastcall.secretfile import Secrets
from lastcall.sessions import rules
from lastcall.sessions.counting import count_at_least
from lastcall.sessions.model import Session
from lastcall.sessions.policy import Policy
from lastcall.stores import base
from lastcall.tokens import parse_refresh

TRIES: Final = 4
"""A decision is taken anew when it lost a race: to a rotation, and then to an ending."""
_ONE: Final[dict[EndReason, RecordType]] = {
    "signed_out": "session.sign_out",
    "revoked": "session.sign_out",
    "reported": "session.report",
    "refresh_reuse": "session.reuse",
    "expired_inactive": "session.expire",
    "expired_absolute": "session.expire",
}
"""What is recorded of a session that ends alone, by its reason; else `session.terminate`."""
_ALL: Final[dict[EndReason, RecordType]] = {
    "terminated_by_user": "session.terminate_others",
    "user_suspended": "user.suspend",
    "user_deleted": "user.remove",
}
"""What is recorded where all of a user's sessions end, by its reason; else `user.logout`."""
_SELF: Final = Actor("self")
_TERMINATION: Final = re.compile(r"t_(?P<epoch>[A-Za-z0-9_-]{12})_(?P<seq>[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How far an event has come. `certain_by` is the moment from which it is certain that nobody
    accepts what it ends, whatever happens; None where it is confirmed, or where that is unknown.
    `after`: how long after its commit it was confirmed, where this process has seen that. Of those
    that have not acknowledged it, `unreachable` have no connection, as far as is known."""

    state: Literal["confirmed", "confirming"]
    certain_by: datetime | None = None
    verifiers: int = 0
    acknowledged: int = 0
    after: timedelta | None = None
    unreachable: int = 0


@dataclass(frozen=True, slots=True)
class Termination:
    """An ending, and how far it has come: nothing is known of that before it is followed (see
    `Confirmations.follow`)."""

    id: TerminationId
    event: Event
    ended: int
    waited: timedelta
    confirmation: Confirmation = Confirmation("confirming")


class Endings:
    """The verbs: terminate, report, terminate all, sign out, follow a termination."""

    def __init__(self, store: base.Store, secrets: Secrets, policy: Policy, clock: Clock) -> None:
        self._store = store
        self._secrets = secrets
        self._policy = policy
        self._clock = clock

    async def terminate(
        self,
        session_id: SessionId,
        reason: EndReason,
        by: Actor,
        allowed: Callable[[Session], bool],
        actor: SessionId | None = None,
        origin: Origin = NOWHERE,
    ) -> Termination:
        """End a session that the actor may end; one that has ended keeps its first ending.

        Raises NotFound for an unknown one and for one that isn't allowed, alike; SessionEnded where
        the actor's own session has ended.
        """
        started = self._clock.monotonic()
        for _ in range(TRIES):
            found = await self._store.find_session(session_id)
            if found is None or not allowed(found.session):
                raise NotFound
            decision = rules.terminate(found.session, reason, by, self._policy, self._clock.now())
            if decision is None:
                return self._termination(await self._event_of(found.session), 0, started)
            if by.kind in ("self", "user"):
                origin = replace(origin, name=found.user.label)
            try:
                event = await self.end(found.session, decision, actor, origin)
            except LostRace:
                await self.require_actor(actor)
                continue
            return self._termination(event, event.ended, started)
        raise Conflict

    async def report(
        self,
        session_id: SessionId,
        by: Actor,
        allowed: Callable[[Session], bool],
        actor: SessionId,
        origin: Origin,
    ) -> Termination:
        """End a session that its user doesn't recognise. One that has ended keeps its first ending,
        and that it was reported is recorded all the same.

        Raises as `terminate` does.
        """
        ended = await self.terminate(session_id, "reported", by, allowed, actor, origin)
        if ended.event.reason != "reported":
            found = await self._find(session_id)
            record = self._record("session.report", found.session, "reported", by, origin)
            try:
                await self._store.commit(base.AddRecord(record), actor=actor)
            except LostRace as error:
                await self.require_actor(actor)
                raise Conflict from error
        return ended

    async def terminate_all(
        self,
        user_id: UserId,
        account_id: AccountId,
        reason: EndReason,
        by: Actor,
        spared: SessionId | None = None,
        *writes: base.Write,
        actor: SessionId | None = None,
        origin: Origin = NOWHERE,
        name: str | None = None,
    ) -> Termination:
        """End all of a user's sessions, but the spared one, by one event, together with other
        writes; `name` is what the user is called in the audit log. Raises SessionEnded where the
        session of the actor (without one, the spared one) has ended itself, Conflict.
        """
        now = self._clock.now()
        record = Record(
            type=_ALL.get(reason, "user.logout"),
            at=now,
            account_id=account_id,
            user_id=user_id,
            actor=doer(by, user_id, origin),
            target=Target("user", user_id, name),
            origin=origin,
            reason=reason,
        )
        end = base.EndUser(user_id, account_id, spared, reason, by, now, self._policy)
        return await self._end_all(*writes, end, base.AddRecord(record), actor=actor or spared)

    async def terminate_account(
        self,
        account: Account,
        reason: EndReason,
        by: Actor,
        spared: SessionId | None,
        origin: Origin = NOWHERE,
    ) -> Termination:
        """End all sessions of an account, but the spared one, by one event (ASVS 7.4.5). They are
        counted just before, as far as `count_at_least` comes.

        Raises SessionEnded where the actor's own session has ended itself, Conflict.
        """
        now = self._clock.now()
        record = Record(
            type="account.logout",
            at=now,
            account_id=account.id,
            user_id=UserId(by.id) if by.id else None,
            actor=doer(by, None, origin),
            target=Target("account", account.id, account.name),
            origin=origin,
            reason=reason,
        )
        ended = await count_at_least(
            self._store, account.id, spared, self._policy, now, self._clock
        )
        end = base.EndAccount(account.id, spared, reason, by, now, ended)
        return await self._end_all(end, base.AddRecord(record), actor=origin.session_id)

    async def _end_all(self, *writes: base.Write, actor: SessionId | None) -> Termination:
        started = self._clock.monotonic()
        try:
            committed = await self._store.commit(*writes, actor=actor)
        except LostRace as error:
            await self.require_actor(actor)
            raise Conflict from error
        event = committed.events[-1]
        return self._termination(event, event.ended, started)

    async def sign_out(
        self,
        session_id: SessionId,
        origin: Origin = NOWHERE,
        reason: EndReason = "signed_out",
        by: Actor = _SELF,
    ) -> None:
        """End a session by its own wish; nothing where it has ended or isn't there."""
        try:
            await self.terminate(session_id, reason, by, lambda _: True, origin=origin)
        except NotFound:
            return

    async def sign_out_refresh(
        self,
        text: str,
        origin: Origin = NOWHERE,
        reason: EndReason = "signed_out",
        by: Actor = _SELF,
    ) -> None:
        """End the session of a refresh token; nothing where it is not genuine. One that was used
        up long ago is a theft, as at a refresh."""
        with suppress(InvalidToken, SessionEnded, LostRace):
            token = parse_refresh(text, self._secrets)
            found = await self._find(token.session_id)
            shown = rules.Shown(token.generation, token.secret_hash)
            decision = None
            with suppress(RateLimited):  # a parent that was shown too often may still sign out
                decision = rules.refresh(found.session, shown, self._policy, self._clock.now())
            if isinstance(decision, rules.End):
                await self.end(found.session, decision, None, origin)
            else:
                await self.sign_out(token.session_id, origin, reason, by)

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

    async def end(
        self,
        session: Session,
        decision: rules.End,
        actor: SessionId | None = None,
        origin: Origin = NOWHERE,
    ) -> Event:
        """Write an ending that was decided. Raises LostRace."""
        ending = decision.ending
        end = base.EndSession(
            session.id, session.user_id, session.account_id, ending.reason, ending.by, ending.at
        )
        kind = _ONE.get(ending.reason, "session.terminate")
        record = self._record(kind, session, ending.reason, ending.by, origin)
        committed = await self._store.commit(end, base.AddRecord(record), actor=actor)
        return committed.events[-1]

    def _record(
        self, kind: RecordType, session: Session, reason: EndReason, by: Actor, origin: Origin
    ) -> Record:
        return Record(
            type=kind,
            at=self._clock.now(),
            account_id=session.account_id,
            user_id=session.user_id,
            actor=doer(by, session.user_id, origin),
            target=Target("session", session.id, session.device.label),
            origin=origin,
            reason=reason,
        )

    async def _event_of(self, session: Session) -> Event:
        seq = session.ending.seq if session.ending else None
        event = await self._store.find_event(seq or 0)
        if event is None:
            raise NotFound("what ended this session is too long ago to be known")
        return event

    async def _find(self, session_id: SessionId) -> base.Found:
        found = await self._store.find_session(session_id)
        if found is None:
            raise InvalidToken
        return found

    async def require_actor(self, actor: SessionId | None) -> None:
        """Raise SessionEnded where the actor's session is what has changed."""
        if actor is not None:
            found = await self._find(actor)
            rules.require_live(found.session, self._policy, self._clock.now())

    def _termination(self, event: Event, ended: int, started: float) -> Termination:
        waited = timedelta(seconds=self._clock.monotonic() - started)
        name = TerminationId(f"t_{event.position.epoch}_{event.position.seq}")
        return Termination(name, event, ended, waited)
