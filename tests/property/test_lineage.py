"""The refresh tokens of a session through any history: rotations, retries, thefts, restarts."""

import asyncio
import tempfile
from collections.abc import Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from lastcall.errors import InvalidToken, RateLimited, SessionEnded
from lastcall.events import Actor
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.policy import REPEATS
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import PASSWORD, open_node, set_up, sign_in

T = TypeVar("T")


class Line:
    """What must be true of one session, told without looking into it."""

    def __init__(self, tokens: Tokens, at: datetime) -> None:
        self.id = tokens.session.id
        self.tokens = [tokens.refresh_token]
        """Each generation's, oldest first."""
        self.access = tokens
        self.moved_at = at
        self.proved_at = at
        self.answered_parent = False
        self.repeats = 0
        self.ended: str | None = None

    def add(self, tokens: Tokens, at: datetime, *, parent_answered: bool) -> None:
        """The newest token has a successor."""
        assert tokens.refresh_token not in self.tokens
        self.tokens.append(tokens.refresh_token)
        self.access = tokens
        self.moved_at = at
        self.answered_parent = parent_answered
        self.repeats = 0


class Lineage(RuleBasedStateMachine):
    """A user whose clients and thieves do anything, in any order."""

    lines = Bundle("lines")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.entropy = FakeEntropy()
        self.loop = asyncio.new_event_loop()
        self.node = self.run(self._open())
        self.all: list[Line] = []

    async def _open(self) -> Node:
        return await open_node(Path(self.folder.name), self.clock, self.entropy)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.node.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    def generation(self, line: Line) -> int:
        found = self.run(self.node.store.find_session(line.id))
        assert found is not None
        return found.session.lineage.generation

    def ran_out(self, line: Line) -> str | None:
        """Why time has ended the session, if it has."""
        idle = line.moved_at + timedelta(hours=24)
        absolute = line.proved_at + timedelta(days=30)
        if self.clock.now() >= absolute and absolute <= idle:
            return "expired_absolute"
        return "expired_inactive" if self.clock.now() >= idle else None

    def refuses(self, line: Line, token: str, reason: str) -> None:
        """The session is over, is so for this reason, and for good."""
        before = self.generation(line)
        with pytest.raises(SessionEnded) as caught:
            self.run(self.node.sessions.refresh(token, None))
        assert caught.value.reason == reason
        assert self.generation(line) == before
        line.ended = reason

    @initialize(target=lines)
    def begin(self) -> Line:
        line = Line(self.run(set_up(self.node)), self.clock.now())
        self.all.append(line)
        return line

    @precondition(lambda self: len(self.all) < 4)
    @rule(target=lines)
    def sign_in_again(self) -> Line:
        line = Line(self.run(sign_in(self.node)), self.clock.now())
        self.all.append(line)
        return line

    @rule(
        seconds=st.one_of(
            st.sampled_from([0.000001, 1, 9.999999, 10, 10.000001, 3599, 3600]),
            st.floats(0.1, 90_000),
        )
    )
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds=seconds)

    @rule()
    def a_day_passes(self) -> None:
        self.clock.advance(hours=23, seconds=3599)

    @rule()
    def restart(self) -> None:
        self.run(self.node.close())
        self.node = self.run(self._open())

    @rule(line=lines)
    def show_the_newest(self, line: Line) -> None:
        token = line.tokens[-1]
        reason = line.ended or self.ran_out(line)
        if reason:
            self.refuses(line, token, reason)
            return
        before = self.generation(line)
        tokens = self.run(self.node.sessions.refresh(token, None))
        line.add(tokens, self.clock.now(), parent_answered=True)
        assert self.generation(line) == before + 1

    @rule(line=lines, times=st.sampled_from([1, 1, 2, 60]))
    def show_the_parent(self, line: Line, times: int) -> None:
        if len(line.tokens) < 2:
            return
        for _ in range(times):
            self._show_the_parent(line)

    def _show_the_parent(self, line: Line) -> None:
        token = line.tokens[-2]
        reason = line.ended or self.ran_out(line)
        if not reason and self.clock.now() - line.moved_at > timedelta(seconds=10):
            reason = "refresh_reuse"
        if reason:
            self.refuses(line, token, reason)
            return
        before = self.generation(line)
        try:
            tokens = self.run(self.node.sessions.refresh(token, None))
        except InvalidToken:
            assert not line.answered_parent
        except RateLimited:
            assert line.repeats == REPEATS
        else:
            assert line.answered_parent
            line.repeats += 1
            assert line.repeats <= REPEATS
            assert tokens.refresh_token == line.tokens[-1]
        assert self.generation(line) == before

    @rule(line=lines, which=st.integers(0, 100))
    def show_an_older_one(self, line: Line, which: int) -> None:
        if len(line.tokens) < 3:
            return
        token = line.tokens[which % (len(line.tokens) - 2)]
        self.refuses(line, token, line.ended or self.ran_out(line) or "refresh_reuse")

    @rule(line=lines)
    def terminate(self, line: Line) -> None:
        done = self.run(
            self.node.sessions.endings.terminate(
                line.id, "terminated_by_user", Actor("self"), lambda _: True
            )
        )
        if line.ended is None:
            line.ended = self.ran_out(line) or "terminated_by_user"
            assert done.event.reason == line.ended
        else:
            assert done.ended == 0

    @rule(line=lines)
    def terminate_all_others(self, line: Line) -> None:
        user = line.access.user
        if line.ended or self.ran_out(line):
            return
        self.run(
            self.node.sessions.endings.terminate_all(
                user.id, user.account_id, "terminated_by_user", Actor("self"), line.id
            )
        )
        for other in self.all:
            if other is not line and other.ended is None:
                # One that has run out stays what it is.
                other.ended = self.ran_out(other) or "terminated_by_user"

    @rule(line=lines)
    def reauthenticate(self, line: Line) -> None:
        if line.ended or self.ran_out(line):
            return
        try:
            caller = self.run(self.node.sessions.authenticate(line.access.access_token))
        except InvalidToken:
            return
        tokens = self.run(self.node.identity.reauthenticate(caller, PASSWORD))
        line.add(tokens, self.clock.now(), parent_answered=False)
        line.proved_at = self.clock.now()

    @rule(line=lines)
    def look(self, line: Line) -> None:
        """The access token is good exactly while the session lives and it has not run out."""
        reason = line.ended or self.ran_out(line)
        lasts = line.access.access_expires_in - timedelta(seconds=1)
        told: object = None
        try:
            self.run(self.node.sessions.authenticate(line.access.access_token))
        except (SessionEnded, InvalidToken) as error:
            told = error.reason if isinstance(error, SessionEnded) else error.code
        if reason is not None:
            assert told == reason
        elif self.clock.now() - line.moved_at <= lasts:
            assert told is None
        else:
            assert told in (None, "token_expired")

    @invariant()
    def every_session_that_lives_is_counted(self) -> None:
        if not self.all:
            return
        living = [one for one in self.all if not (one.ended or self.ran_out(one))]
        user = self.all[0].access.user
        assert self.run(self.node.sessions.count(user.id)) == len(living)


Lineage.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLineage = Lineage.TestCase
