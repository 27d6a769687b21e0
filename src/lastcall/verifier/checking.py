"""The check (rule 19): what is known here, a lease, and a token. No lock, no I/O, no await.

One thread writes what is known; any number of threads check. A check reads the lease before the
version, and both before it looks at what has ended: whatever is acknowledged has moved the version
(rule 11), and a lease that was renewed meanwhile came after what it covers (rule 9).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from lastcall.access import Access, prove, public_key_of, require_meant
from lastcall.clock import SystemClock
from lastcall.errors import Error, InvalidToken, SessionEnded
from lastcall.leases.endings import Over
from lastcall.leases.messages import Jwk
from lastcall.leases.view import Verdict, View
from lastcall.verifier.forks import Mark, new_mark
from lastcall.verifier.session import Session

CACHED: Final = 10_000
"""How many tokens a generation of the cache holds; there are two, of about 2 kB a token."""

UNKNOWN_KEY_PAUSE: Final = 1.0
"""Seconds between two questions for tokens that name unknown keys, under a lease."""


class Knows(Protocol):
    """Who keeps the view up to date; it is replaced whole."""

    @property
    def view(self) -> View | None:
        """What is known now; None where nothing is."""


class Nothing:
    """What is known where nothing is."""

    view: None = None


class Meant(NamedTuple):
    """Whom tokens must be from and for; None for the account: any of the issuer's."""

    issuer: str
    audience: str
    account: str | None


@dataclass(slots=True)
class Counts:
    """How many checks came to what. Threads that count at once may lose a few: no check waits."""

    accepted: int = 0
    invalid: int = 0
    expired: int = 0
    ended: int = 0
    unavailable: int = 0
    introspected: int = 0
    """Those for which somebody else had to be asked, whatever came of it."""

    def refused(self, error: Exception) -> None:
        """Count a check that accepted nothing."""
        match error:
            case InvalidToken(code="token_expired"):
                self.expired += 1
            case InvalidToken():
                self.invalid += 1
            case SessionEnded():
                self.ended += 1
            case _:
                self.unavailable += 1


@dataclass(frozen=True, slots=True)
class Status:
    """How a verifier stands. `lease_left` is in seconds; `seq` and `epoch` are those of the last
    event that it knows; `events` are in force, `cached` tokens have a signature that is known to
    be right. `checks` counts."""

    leased: bool
    lease_left: float
    seq: int | None
    epoch: str | None
    events: int
    cached: int
    connected: bool
    checks: Counts


class Known:
    """A token whose signature is right, and under which view and version it was found good."""

    __slots__ = ("access", "jwk", "key_id", "runs_out", "session", "version", "view")

    def __init__(self, access: Access, key_id: str, jwk: Jwk) -> None:
        self.access = access
        self.key_id = key_id
        self.jwk = jwk
        self.session = Session.of(access)
        self.runs_out = access.expires_at.timestamp()
        self.view: View | None = None
        self.version = -1


class Checker(ABC):
    """Checks tokens by what is known here; what can't be told by that, `_ask` has to."""

    def __init__(self, knows: Knows, clock: Callable[[], float], cached: int = CACHED) -> None:
        self._knows = knows
        self._clock = clock
        self._mark: Mark = new_mark()
        self._counts = Counts()
        # Two generations: what is not asked for again goes with the older one.
        self._size = cached
        self._new: dict[str, Known] = {}
        self._old: dict[str, Known] = {}
        self._keys: dict[str, tuple[Jwk, EllipticCurvePublicKey]] = {}
        self._asked_at = float("-inf")

    def at_hand(self, token: str) -> Session | None:
        """Give the live session of a token that was found good before and is so still, by what is
        known here; None where more has to be looked at: `verify` does."""
        known = self._new.get(token)
        if known is not None and self._mark[0]:
            view = self._knows.view
            # One reference to the view; the lease before the version (see above); then the clock.
            if view is not None and view is known.view:
                leased_until = view.leased_until
                if view.version == known.version:
                    now = self._clock()
                    if now < leased_until and now + view.store_ahead < known.runs_out:
                        self._counts.accepted += 1
                        return known.session
        return None

    def verify(self, token: str) -> Session:
        """Give the live session of a token. Raises InvalidToken, SessionEnded, Unavailable."""
        found = self.at_hand(token) or self._look(token)
        if found is not None:
            return found
        with self._asking():
            return self._ask(token)

    async def averify(self, token: str) -> Session:
        """Do the same, and never block the loop. Raises InvalidToken, SessionEnded, Unavailable."""
        found = self._look(token)
        if found is not None:
            return found
        with self._asking():
            return await self._ask_aside(token)

    @property
    def issuer(self) -> str | None:
        """Whom tokens must be from: the server's public URL. None until that is known."""
        meant = self._meant()
        return None if meant is None else meant.issuer

    @property
    def public_url(self) -> str | None:
        """Where browsers find the server's pages: the issuer, unless somebody knows better."""
        return self.issuer

    def server_time(self) -> datetime:
        """Give the server's time, as far as it was told; else this machine's."""
        view = self._knows.view
        if view is None or view.store_ahead == math.inf:
            return SystemClock().now()
        return datetime.fromtimestamp(self._clock() + view.store_ahead, UTC)

    def status(self) -> Status:
        """Say how this verifier stands."""
        if not self._mark[0]:
            self._begin_anew()
        view = self._knows.view
        left = 0.0 if view is None else max(0.0, view.leased_until - self._clock())
        return Status(
            leased=left > 0,
            lease_left=left,
            seq=None if view is None else view.seq,
            epoch=None if view is None else view.epoch,
            events=0 if view is None else sum(map(len, [*view.accounts.values()])),
            cached=len(self._new) + len(self._old),
            connected=self._connected(),
            checks=replace(self._counts),
        )

    # What those that use this add.

    @abstractmethod
    def _connected(self) -> bool:
        """Whether somebody tells what happens."""

    @abstractmethod
    def _meant(self) -> Meant | None:
        """Whom tokens must be from and for; None where that is not known."""

    @abstractmethod
    def _ask(self, token: str) -> Session:
        """Ask somebody who knows; the answer serves this one check (rule 16)."""

    @abstractmethod
    async def _ask_aside(self, token: str) -> Session:
        """Do the same without blocking the loop."""

    def _begin_anew(self) -> None:
        """This is a forked child: it knows nothing yet (rule 12)."""
        self._knows = Nothing()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Count a check that asks, and what comes of it."""
        counts = self._counts
        counts.introspected += 1
        try:
            yield
        except Exception as error:
            counts.refused(error)
            raise
        counts.accepted += 1

    # The check.

    def _look(self, token: str) -> Session | None:
        """Give the session by what is known here; None where that can't be told."""
        if not self._mark[0]:
            self._begin_anew()
        counts = self._counts
        try:
            known = self._find(token)
            session = None if known is None else self._judge(known)
        except Error as error:
            counts.refused(error)
            raise
        if session is not None:
            counts.accepted += 1
        return session

    def _judge(self, known: Known) -> Session | None:
        """Look at all but the signature (rule 19, from the lease on)."""
        access, view = known.access, self._knows.view
        if view is None:
            return None
        leased_until = view.leased_until
        version = view.version
        now = self._clock()
        meant = self._meant()
        if now >= leased_until or meant is None:
            return None
        jwk = view.keys.get(known.key_id)
        if jwk is not known.jwk and jwk != known.jwk:
            raise InvalidToken  # the key was revoked: what it signed counts no more (rule 18)
        require_meant(access, meant.issuer, meant.audience)
        if meant.account is not None and access.account_id != meant.account:
            raise InvalidToken
        found = view.judge(access.account_id, access.user_id, access.session_id, access.position)
        if isinstance(found, Over):
            raise SessionEnded(found.reason, datetime.fromtimestamp(found.at, UTC))
        if now + view.store_ahead >= known.runs_out or found is Verdict.REFRESH:
            raise InvalidToken("token_expired")
        if found is Verdict.AHEAD:
            return None
        known.version = version
        known.view = view
        return known.session

    def _find(self, token: str) -> Known | None:
        """Give a token whose signature is right: it may have been looked at before. None where its
        key is not known and nothing here says that there is none. Raises InvalidToken."""
        known = self._new.get(token)
        if known is None:
            known = self._old.get(token) or self._prove(token)
            if known is not None:
                self._keep(token, known)
        return known

    def _prove(self, token: str) -> Known | None:
        view = self._knows.view
        missing = False
        used: list[Jwk] = []

        def find(key_id: str) -> EllipticCurvePublicKey | None:
            nonlocal missing
            read = None if view is None else self._key(view.keys, key_id)
            missing = read is None
            if read is None:
                return None
            used.append(read[0])
            return read[1]

        try:
            access, key_id = prove(token, find)
        except InvalidToken:
            if missing and self._may_ask(view):
                return None
            raise
        return Known(access, key_id, used[0])

    def _may_ask(self, view: View | None) -> bool:
        """Whether somebody who knows more may know the key of a token. Without a lease, yes; with
        one, a key may have begun to sign an instant ago, where another was revoked: a flood of
        tokens with made-up keys asks once a second."""
        now = self._clock()
        if view is None or now >= view.leased_until:
            return True
        if now - self._asked_at < UNKNOWN_KEY_PAUSE:
            return False
        self._asked_at = now
        return True

    def _key(self, keys: dict[str, Jwk], key_id: str) -> tuple[Jwk, EllipticCurvePublicKey] | None:
        jwk = keys.get(key_id)
        if jwk is None:
            return None
        read = self._keys.get(key_id)
        if read is None or (read[0] is not jwk and read[0] != jwk):
            try:
                read = (jwk, public_key_of(jwk))
            except ValueError:
                return None  # of a kind that a later version may sign with
            kept = {name: one for name, one in self._keys.items() if name in keys}
            self._keys = {**kept, key_id: read}
        return read

    def _keep(self, token: str, known: Known) -> None:
        new = self._new
        if len(new) >= self._size:
            self._old, self._new = new, {}
        self._new[token] = known
