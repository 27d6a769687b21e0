"""Every transition of a session. Pure: each rule takes *now* and returns a decision or raises.

A session begins (`begin`), goes on (`refresh`, `reauthenticate`) and ends, once (`terminate`, or
by itself: `ending`). Nothing leads out of the end.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from lastcall.digests import same
from lastcall.errors import InvalidToken, RateLimited, ReauthenticationRequired, SessionEnded
from lastcall.events import SYSTEM, Actor, EndReason, Position
from lastcall.sessions.model import Ending, Lineage, Session
from lastcall.sessions.policy import REPEATS, Policy


@dataclass(frozen=True, slots=True)
class Shown:
    """A refresh token that this server minted, as its MAC has proved."""

    generation: int
    secret_hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rotate:
    """Give a successor, and move the session's times to these."""

    last_active_at: datetime
    idle_expires_at: datetime
    absolute_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Repeat:
    """Give the same successor again: a retry, or a second tab."""

    sealed_successor: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class End:
    """End the session."""

    ending: Ending


def ending(session: Session, policy: Policy, now: datetime) -> Ending | None:
    """How the session ended, if it has: what is written, else what time has done to it.

    A tightened policy holds for sessions that are under way; a loosened one revives none.
    """
    if session.ending is not None:
        return session.ending
    absolute = absolute_expiry(session, policy)
    idle = min(session.idle_expires_at, session.last_active_at + policy.refresh_lifetime)
    if now >= absolute and absolute <= idle:
        return Ending("expired_absolute", absolute, SYSTEM)
    if now >= idle:
        return Ending("expired_inactive", idle, SYSTEM)
    return None


def absolute_expiry(session: Session, policy: Policy) -> datetime:
    """When the session ends however active it is, counted from its last proof (ASVS 7.3.2)."""
    return min(session.absolute_expires_at, session.auth_time + policy.absolute_lifetime)


def expiry(session: Session, policy: Policy) -> datetime:
    """When the session ends unless it is used before."""
    return min(
        session.idle_expires_at,
        session.last_active_at + policy.refresh_lifetime,
        absolute_expiry(session, policy),
    )


def require_live(session: Session, policy: Policy, now: datetime) -> None:
    """Raise SessionEnded unless the session lives."""
    if (ended := ending(session, policy, now)) is not None:
        raise ended_error(ended)


def ended_error(ended: Ending) -> SessionEnded:
    """Tell somebody with a genuine token how the session ended."""
    return SessionEnded(ended.reason, ended.at, ended.by.kind, ended.by.name)


def require_current(
    session: Session,
    token: Position,
    epoch: str,
    last: int | None,
    floor: int,
    user_stale_seq: int,
) -> None:
    """Raise InvalidToken unless an access token from position `token` still speaks for the session,
    on the log of an epoch whose `last` place on the token's timeline is given, if it has that one.

    instant-logout, rules 4 and 5: from another epoch, from before the floor or from before a change
    that asks for it, a refresh is needed; so it is for a position that this log does not contain.
    """
    if token.epoch != epoch or last is None:
        raise InvalidToken("token_expired")
    if not max(floor, session.stale_seq, user_stale_seq) <= token.seq <= last:
        raise InvalidToken("token_expired")


def require_fresh(session: Session, policy: Policy, now: datetime) -> None:
    """Raise ReauthenticationRequired if the last proof is too old (ASVS 7.5.2, RFC 9470)."""
    if now - session.auth_time > policy.step_up:
        raise ReauthenticationRequired(int(policy.step_up.total_seconds()))


def refresh(session: Session, shown: Shown, policy: Policy, now: datetime) -> Rotate | Repeat | End:
    """Decide what a refresh token gets (RFC 9700, 4.14.2; ASVS 10.4.5).

    Raises SessionEnded; InvalidToken for one that this session never had, or that a
    re-authentication has replaced a moment ago; RateLimited past the hundredth repeat.
    """
    if session.ending is not None:
        raise ended_error(session.ending)
    if (ended := ending(session, policy, now)) is not None:
        return End(ended)
    lineage = session.lineage
    if shown.generation == lineage.generation and same(shown.secret_hash, lineage.secret_hash):
        return _rotate(session, now, absolute_expiry(session, policy), policy)
    if shown.generation >= lineage.generation:
        raise InvalidToken
    if shown.generation == lineage.generation - 1:
        if not same(shown.secret_hash, lineage.previous_hash or b""):
            raise InvalidToken
        # A clock that went back lengthens the grace, within its hundred repeats: the other way,
        # it would make thefts of retries.
        if now - lineage.rotated_at <= policy.refresh_grace:
            if lineage.sealed_successor is None:
                raise InvalidToken
            if lineage.repeats >= REPEATS:
                raise RateLimited(int(policy.refresh_grace.total_seconds()) or 1)
            return Repeat(lineage.sealed_successor)
    return End(Ending("refresh_reuse", now, SYSTEM))


def reauthenticate(session: Session, policy: Policy, now: datetime) -> Rotate:
    """Decide what a fresh proof does: the session goes on with new tokens, and both of its limits
    count from now (NIST SP 800-63B-4, 5.2).

    Raises SessionEnded.
    """
    require_live(session, policy, now)
    return _rotate(session, now, now + policy.absolute_lifetime, policy)


def terminate(
    session: Session, reason: EndReason, by: Actor, policy: Policy, now: datetime
) -> End | None:
    """Decide an ending by somebody; None if one is written already.

    A session that has run out ends for that reason, whoever asks.
    """
    if session.ending is not None:
        return None
    return End(ending(session, policy, now) or Ending(reason, now, by))


def rotated(lineage: Lineage, secret_hash: bytes, sealed: bytes | None, now: datetime) -> Lineage:
    """Give the lineage its next generation; `sealed` None leaves the parent unanswered."""
    return replace(
        lineage,
        generation=lineage.generation + 1,
        secret_hash=secret_hash,
        previous_hash=lineage.secret_hash,
        sealed_successor=sealed,
        rotated_at=now,
        repeats=0,
    )


def _rotate(session: Session, now: datetime, absolute: datetime, policy: Policy) -> Rotate:
    active = max(now, session.last_active_at)  # a clock that went back makes no activity older
    return Rotate(active, min(active + policy.refresh_lifetime, absolute), absolute)
