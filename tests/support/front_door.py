"""What must be true of sessions, without a server: the model that `tests/property` holds it to."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from lastcall.sessions.policy import Policy
from tests.http.serving import NOON
from tests.support.fakes import FakeClock

POLICY = Policy(absolute_lifetime=timedelta(days=3))
"""The default, but for an absolute limit that is soon reached."""
KEPT = timedelta(days=90)
"""How long an ended session is told and listed."""
HOUR, IDLE, ABSOLUTE = timedelta(hours=1), timedelta(days=1), timedelta(days=3)
GRACE, STEP_UP = timedelta(seconds=10), timedelta(minutes=10)

ACCOUNTS = {"ada": "Acme", "mia": "Acme", "olga": "Other"}
"""Where people are. Ada and Olga are owners, Mia a member."""
ADDRESSES = {"ada": "192.0.2.1", "mia": "192.0.2.2", "olga": "192.0.2.3", "thief": "198.51.100.9"}

Verdict = Literal["ended", "rotated", "repeated", "invalid", "theft"]


class Entry(NamedTuple):
    """A record that something must leave: what, who did it, to what, and from where."""

    type: str
    actor: str | None
    """A user's id; None: lastcall itself."""
    target: str | None
    session_id: str | None
    ip: str | None
    reason: str | None = None
    outcome: str = "success"


@dataclass
class Bucket:
    """Attempts, as many as there may be, each forgotten after its share of a quarter of an hour."""

    most: int = 10
    fill: float = 0
    seen_at: datetime = NOON

    def room(self, now: datetime) -> bool:
        """Tell whether one more fits."""
        share = timedelta(minutes=15) / self.most
        self.fill = max(0, self.fill - (now - self.seen_at) / share)
        self.seen_at = now
        return self.fill + 1 <= self.most + 1e-9

    def add(self) -> None:
        """Count one."""
        self.fill += 1


@dataclass(eq=False)
class Held:
    """A session as its client knows it, with every token that it was ever given."""

    id: str
    who: str
    browser: bool
    ip: str
    moved_at: datetime
    """When its refresh token last changed."""
    proved_at: datetime
    refresh: list[str] = field(default_factory=list)
    """Each generation's, oldest first."""
    access: list[tuple[str, datetime]] = field(default_factory=list)
    """Oldest first, and when they were given."""
    replaced: int = 0
    """How many of them a fresh proof has replaced."""
    answered_parent: bool = False
    """Whether the token before the newest has a successor to be given again."""
    ended: tuple[str, datetime] | None = None
    written: bool = False
    """Whether its ending was noticed, after which nothing more is recorded of it."""
    proofs: Bucket = field(default_factory=Bucket)
    gone: bool = False
    """Whether it was purged."""
    tried: bool = False

    @property
    def token(self) -> str:
        """The newest access token."""
        return self.access[-1][0]


class Model:
    """Who holds which sessions, when each is over and why, and what must have been recorded."""

    def __init__(self, clock: FakeClock, ids: dict[str, str]) -> None:
        self.clock = clock
        self.ids = ids
        """Of people and accounts, by name."""
        self.held: list[Held] = []
        self.suspended = False
        self.guesses = {who: Bucket() for who in ACCOUNTS}
        self.due: list[Entry] = []
        """The records that this step must leave."""

    # When a session is over, and why.

    def over(self, one: Held) -> bool:
        """Tell whether a session is over; why stands in `ended`. The first ending stays."""
        if one.ended is None:
            idle, absolute = one.moved_at + IDLE, one.proved_at + ABSOLUTE
            if self.clock.now() >= min(idle, absolute):
                why = "expired_absolute" if absolute <= idle else "expired_inactive"
                one.ended = (why, min(idle, absolute))
        return one.ended is not None

    def end(self, one: Held, reason: str) -> None:
        """End a session that lives."""
        assert not self.over(one)
        one.ended, one.written = (reason, self.clock.now()), True

    def end_all(self, who: str, reason: str, spared: Held | None = None) -> int:
        """End all of a person's that live, and tell how many these are."""
        ended = [one for one in self.living(who) if one is not spared]
        for one in self.held:
            if one.who == who and one is not spared and not one.written:
                if one in ended:
                    one.ended = (reason, self.clock.now())
                one.written = (
                    True  # also what ran out unnoticed, for whose reason this changes nothing
                )
        return len(ended)

    def notice(self, one: Held, session_id: str | None, ip: str) -> None:
        """Something writes to a session: that it ran out is recorded then."""
        if self.over(one) and not one.written:
            assert one.ended is not None
            one.written = True
            self.due.append(Entry("session.expire", None, one.id, session_id, ip, one.ended[0]))

    def purge(self) -> None:
        """What ended or ran out long ago is there no more, noticed or not."""
        for one in self.held:
            if self.over(one) and one.ended:
                ended = min(one.ended[1], one.moved_at + IDLE, one.proved_at + ABSOLUTE)
                if self.clock.now() - ended > KEPT:
                    one.written = one.gone = True

    def living(self, *people: str) -> list[Held]:
        """Give the sessions of people that live."""
        return [one for one in self.held if one.who in people and not self.over(one)]

    def kept(self, who: str) -> dict[str, str]:
        """Give a person's ended sessions that are listed, and their reasons."""
        return {
            one.id: one.ended[0]
            for one in self.held
            if one.who == who and self.over(one) and one.ended and not one.gone
            if self.clock.now() - one.ended[1] <= KEPT
        }

    # What tokens are good for.

    def good(self, one: Held, number: int = -1) -> bool:
        """Tell whether one of its access tokens is good; the newest, unless another is named."""
        number %= len(one.access)
        age = self.clock.now() - one.access[number][1]
        return not self.over(one) and number >= one.replaced and age < HOUR

    def fresh(self, one: Held) -> bool:
        """Tell whether it was proved a moment ago."""
        return self.clock.now() - one.proved_at <= STEP_UP

    def show(self, one: Held, back: int, ip: str) -> Verdict:
        """Show a refresh token of it, the newest or one from before that: what must happen."""
        now = self.clock.now()
        if self.over(one):
            self.notice(one, None, ip)
            return "ended"
        if back == 0:
            if ip != one.ip:
                one.ip = ip
                self.record("session.move", one, ip, target=one.id)
            one.moved_at, one.answered_parent = now, True
            return "rotated"
        if back == 1 and now - one.moved_at <= GRACE:
            return "repeated" if one.answered_parent else "invalid"
        self.stolen(one, ip)
        return "theft"

    def stolen(self, one: Held, ip: str) -> None:
        """A used-up token was shown: the session is over for whoever holds it."""
        self.end(one, "refresh_reuse")
        self.due.append(Entry("session.reuse", None, one.id, None, ip, "refresh_reuse"))

    def proved(self, one: Held) -> None:
        """A fresh proof: the limits count from now, and no older token is good any more."""
        one.replaced = len(one.access)
        one.moved_at = one.proved_at = self.clock.now()
        one.answered_parent = False

    # What is recorded.

    def record(
        self,
        kind: str,
        by: Held,
        ip: str | None = None,
        reason: str | None = None,
        *,
        target: str | None = None,
    ) -> None:
        """Expect the record of what somebody did within a session; to themselves unless said."""
        actor = self.ids[by.who]
        self.due.append(Entry(kind, actor, target or actor, by.id, ip or ADDRESSES[by.who], reason))

    def record_failure(self, kind: str, who: str, by: Held | None = None) -> None:
        """Expect the record of a proof that was wrong; nobody is known to have given it."""
        why = "user_suspended" if who == "mia" and self.suspended else "invalid_credentials"
        session_id = by.id if by else None
        self.due.append(
            Entry(kind, None, self.ids[who], session_id, ADDRESSES[who], why, "failure")
        )
