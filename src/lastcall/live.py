"""Open pages stay true: streams tell them that something has changed, and that their session ended.

One task a process follows the audit log; it costs a short read four times a second, and nothing
while no page is open. A stream says *that* something changed, never what: the page asks for itself
anew, with its own proof, so that a stream can tell nobody more than the page may show. Who follows
the event log is written in no log: that is looked at once a second while a page shows it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, get_args

from lastcall.clock import Clock
from lastcall.errors import RateLimited, Unavailable
from lastcall.identity.model import User
from lastcall.identity.roles import ADMINS
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.sessions import rules
from lastcall.sessions.minting import role_of
from lastcall.sessions.model import Session
from lastcall.sessions.policy import Policy
from lastcall.stores import base

log = logging.getLogger("lastcall.live")

Scope = Literal["user", "account"]
"""Whose records a page shows: those of its user, or those of all users of an admin's account."""

Marks = Callable[[frozenset[AccountId]], Awaitable[Mapping[AccountId, str]]]
"""Gives each account's mark of who follows the event log: a text that changes with them. Raises
Unavailable."""

FOLLOW_SECONDS: Final = 0.25
"""How often the audit log is looked at while a page is open."""
SERVICES_SECONDS: Final = 1.0
"""How often it is looked at who follows, at most, while a page that shows them is open."""
BEAT_SECONDS: Final = 15.0
"""After how long a silence a stream says that it is there, so that no proxy takes it for dead."""
LONGEST_SECONDS: Final = 60.0
"""After this a stream asks to be opened again. A server that waits for its connections when it
stops waits no longer than this."""
PER_SESSION: Final = 8
"""How many streams a session may have: a browser needs one."""
PER_PROCESS: Final = 1000
"""How many streams a process keeps."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Something was recorded, up to this number, that pages of these scopes may show."""

    number: int
    scopes: tuple[Scope, ...]


@dataclass(frozen=True, slots=True)
class Services:
    """Those who follow the event log are not as they were; this is their mark now."""

    mark: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The session has ended; nothing follows."""


@dataclass(frozen=True, slots=True)
class Again:
    """The stream ends, and the session does not: open another one."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The stream is there."""


Message = Changed | Services | Ended | Again | Beat


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page in somebody's browser: its live session, whose it is, the newest record of the audit
    log when that was looked at, and until when what was shown proves it; None: as long as it lives.
    """

    session: Session
    user: User
    recorded: int
    until: datetime | None = None


@dataclass(eq=False, slots=True)
class _Stream:
    """What a stream has to tell next. News that nobody has taken yet are one piece of news."""

    session_id: SessionId
    user_id: UserId
    account_id: AccountId
    admin: bool
    expires_at: datetime
    until: datetime | None
    closes_at: float
    spoke_at: float
    number: int = 0
    news: set[Scope] = field(default_factory=set)
    services: str | None = None
    """The mark of the services that its pages know; None where none of them shows any."""
    mark: str = ""
    """Their mark as it was when they were looked at last."""
    doubt: bool = False
    """Whether the session may have ended, or its user's role may have changed."""
    over: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def follows(self) -> bool:
        """Whether it is told of its account's services."""
        return self.admin and self.services is not None

    def see(self, mark: str) -> None:
        """Take in how the services are."""
        self.mark = mark
        if mark != self.services:
            self.wake.set()

    def hear(self, changes: base.Changes) -> None:
        """Take in what of these changes concerns this stream."""
        for change in changes.changes:
            own = change.user_id == self.user_id
            if change.account_id != self.account_id and not own:
                continue
            # It is kept with the owner who did it, and concerns all.
            everybody = change.user_id is None or change.type == "account.logout"
            if own or everybody:
                self.news.add("user")
                self.doubt = True
            # With a new role, an account's pages are its user's now, or no longer.
            if self.admin or (own and change.type == "user.change_role"):
                self.news.add("account")
        if self.news:
            self.number = max(self.number, changes.number)
            self.wake.set()


class Live:
    """Follows the audit log for the streams of one process."""

    def __init__(
        self,
        store: base.Store,
        policy: Policy,
        clock: Clock,
        marks: Marks,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._marks = marks
        self._policy = policy
        self._clock = clock
        self._pause = pause
        self._streams: set[_Stream] = set()
        self._follower: asyncio.Task[None] | None = None
        self._number = 0
        self._looked_at = float("-inf")
        self._stopped = False

    async def stream(
        self, page: OpenPage, after: int | None = None, services: str | None = None
    ) -> AsyncGenerator[Message, None]:
        """Tell what changes from now on, and what has changed since the record `after`; an admin's
        pages also when the services are not those of the mark `services`, if there is one.

        The first message comes at once. Raises RateLimited for one stream too many of a session,
        Unavailable for one too many of the process and while it stops.
        """
        with self._entered(page) as stream:
            stream.services = services
            await self._follow()
            # Also what happened since the session was looked at: it may have ended since.
            seen = page.recorded if after is None else min(after, page.recorded)
            missed = await self._store.changes(seen)
            if len(missed.changes) == base.CHANGES_MOST:
                stream.news.update(get_args(Scope))
                stream.doubt = True
            stream.hear(missed)
            yield Beat()
            while not isinstance(message := await self._next(stream), Ended | Again):
                yield message
            yield message

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def stop(self) -> None:
        """End all streams, in order, and let none begin any more."""
        self._stopped = True
        self._end_all()

    async def close(self) -> None:
        """Stop, and wait until nothing is followed any more."""
        self.stop()
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower

    @contextlib.contextmanager
    def _entered(self, page: OpenPage) -> Iterator[_Stream]:
        session, now = page.session, self._clock.monotonic()
        if self._stopped:
            raise Unavailable("the server is stopping")
        if len(self._streams) >= PER_PROCESS:
            raise Unavailable("too many pages are open; they go on without telling changes", 30)
        if sum(one.session_id == session.id for one in self._streams) >= PER_SESSION:
            raise RateLimited(int(LONGEST_SECONDS))
        stream = _Stream(
            session_id=session.id,
            user_id=session.user_id,
            account_id=session.account_id,
            admin=role_of(session, page.user) in ADMINS,
            expires_at=rules.expiry(session, self._policy),
            until=page.until,
            closes_at=now + LONGEST_SECONDS,
            spoke_at=now,
        )
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    async def _next(self, stream: _Stream) -> Message:
        """Wait for what the stream tells next."""
        while True:
            await stream.wake.wait()
            stream.wake.clear()
            if stream.doubt:
                stream.doubt = False
                if not await self._lives(stream):
                    return Ended()
            if stream.news:
                scopes = tuple(sorted(stream.news))
                stream.news.clear()
                stream.wake.set()  # what else there is to tell comes next
                return self._said(stream, Changed(stream.number, scopes))
            if stream.over:
                return Again()
            if stream.follows and stream.mark not in ("", stream.services):
                stream.services = stream.mark
                stream.wake.set()
                return self._said(stream, Services(stream.mark))
            if self._clock.monotonic() - stream.spoke_at >= BEAT_SECONDS:
                return self._said(stream, Beat())

    def _said(self, stream: _Stream, message: Message) -> Message:
        stream.spoke_at = self._clock.monotonic()
        return message

    async def _lives(self, stream: _Stream) -> bool:
        """Look whether the session lives, until when, and in which role."""
        try:
            found = await self._store.find_session(stream.session_id)
        except Unavailable:
            stream.over = True  # whoever opens the next stream is told
            return True
        if found is None or rules.ending(found.session, self._policy, self._clock.now()):
            return False
        stream.admin = role_of(found.session, found.user) in ADMINS
        stream.expires_at = rules.expiry(found.session, self._policy)
        return True

    async def _follow(self) -> None:
        """Have a task follow the log, from its end."""
        if self._follower is None or self._follower.done():
            end = (await self._store.changes(None)).number
            if self._follower is None or self._follower.done():  # nobody else was faster
                self._number = end
                self._follower = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._streams:
                await self._pause(FOLLOW_SECONDS)
                with contextlib.suppress(Unavailable):  # it is asked again in a moment
                    await self._turn()
        except Exception:
            log.exception("open pages are told nothing until they ask again")
        finally:
            self._end_all()

    async def _turn(self) -> None:
        """Pass on what is new in the log, and wake the streams whose time has come."""
        changes = await self._store.changes(self._number)
        self._number = changes.number
        now, ticks = self._clock.now(), self._clock.monotonic()
        for stream in self._streams:
            stream.hear(changes)
            if now >= stream.expires_at:
                stream.doubt = True
            if ticks >= stream.closes_at or (stream.until is not None and now >= stream.until):
                stream.over = True
            if stream.doubt or stream.over or ticks - stream.spoke_at >= BEAT_SECONDS:
                stream.wake.set()
        if ticks - self._looked_at >= SERVICES_SECONDS:
            await self._look(ticks)

    async def _look(self, ticks: float) -> None:
        """Look who follows the event log, if a stream is to tell."""
        streams = [stream for stream in self._streams if stream.follows]
        if streams:
            self._looked_at = ticks
            found = await self._marks(frozenset(stream.account_id for stream in streams))
            for stream in streams:
                stream.see(found[stream.account_id])

    def _end_all(self) -> None:
        for stream in self._streams:
            stream.over = True
            stream.wake.set()
