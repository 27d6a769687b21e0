"""People, thieves, admins and the clock do anything in any order; the server answers as the model.

Real HTTP in process, a real database, a clock that tests move. `Held` and `Door.over` are what must
be true of one session; the rules ask the server and compare.
"""

import asyncio
import os
import re
import sqlite3
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lastcall.events import Actor
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.purge import Purge
from lastcall.server import create_app
from lastcall.settings import Settings
from tests.http.serving import NOON, set_cookies
from tests.support.fakes import FakeClock
from tests.support.nodes import DATABASE

T = TypeVar("T")
API = "/api/v1"
EXAMPLES = int(os.environ.get("LASTCALL_TEST_EXAMPLES", "12"))
SAME_ACCOUNT = {"ada": {"ada", "mia"}, "mia": {"mia"}, "olga": {"olga"}}
"""Whose data each may be shown: Ada owns the account of Mia, Olga another one."""
PEOPLE = st.sampled_from(sorted(SAME_ACCOUNT))
PICK = st.integers(0, 1000)


def canary(who: str) -> str:
    """What is in all that belongs to a person, but in the name with which they act on others."""
    return f"canary-{who}"


@dataclass(eq=False)
class Held:
    """A session as its client knows it."""

    id: str
    who: str
    browser: bool
    moved_at: datetime
    proved_at: datetime
    refresh: list[str] = field(default_factory=list)
    """Each generation's, oldest first."""
    access: list[tuple[str, datetime]] = field(default_factory=list)
    """Those that no fresh proof has replaced, and when they were given."""
    replaced: list[str] = field(default_factory=list)
    answered_parent: bool = False
    ended: tuple[str, datetime] | None = None


class Door(RuleBasedStateMachine):
    """Two accounts, three people, and what each holds."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock(NOON)
        self.loop = asyncio.new_event_loop()
        self.held: list[Held] = []
        self.passwords = {who: f"first sentence of {who}" for who in SAME_ACCOUNT}
        self.suspended = False
        self.recorded = 0
        self.due: list[str] = []
        """The records that this step must have left."""
        self.run(self.open())
        self.ids = self.run(self.fill())
        self.new_records()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def open(self) -> None:
        set_to = Settings(database_url=f"sqlite:///{Path(self.folder.name) / DATABASE}")
        cheap = Passwords(CHEAP, threads=1)
        self.node = await Node.open(set_to, clock=self.clock, passwords=cheap, serving=True)
        app = create_app(set_to, node=self.node)
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=set_to.public_url
        )

    async def fill(self) -> dict[str, str]:
        identity = self.node.identity
        acme, other = await identity.add_account("Acme"), await identity.add_account("Other")
        ids: dict[str, str] = {}
        for who, account in (("ada", acme), ("mia", acme), ("olga", other)):
            user = await identity.add_user(
                account.id,
                f"{canary(who)}@example.com",
                name=who.title(),
                role="member" if who == "mia" else "owner",
                password=self.passwords[who],
            )
            ids[who] = user.id
        return ids

    def teardown(self) -> None:
        self.run(self.client.aclose())
        self.run(self.node.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    # The model: when a session is over, and why.

    def over(self, one: Held) -> str | None:
        """Why a session is over; the first ending stays."""
        if one.ended is None:
            idle = one.moved_at + timedelta(hours=24)
            absolute = one.proved_at + timedelta(days=30)
            if self.clock.now() >= min(idle, absolute):
                why = "expired_absolute" if absolute <= idle else "expired_inactive"
                one.ended = (why, min(idle, absolute))
        return one.ended[0] if one.ended else None

    def end(self, one: Held, reason: str) -> None:
        if self.over(one) is None:
            one.ended = (reason, self.clock.now())

    def living(self, who: str) -> list[Held]:
        return [one for one in self.held if one.who == who and self.over(one) is None]

    def good(self, one: Held) -> bool:
        """Whether its newest access token certainly holds."""
        age = self.clock.now() - one.access[-1][1]
        return self.over(one) is None and age < timedelta(minutes=59)

    def fresh(self, one: Held) -> bool:
        return self.clock.now() - one.proved_at <= timedelta(minutes=10)

    # Asking, and what must be true of every answer.

    def ask(
        self,
        method: str,
        path: str,
        one: Held | None = None,
        body: object = None,
        *,
        who: str | None = None,
        cookie: str | None = None,
    ) -> httpx.Response:
        who = who or (one.who if one else None)
        headers = {"Sec-Fetch-Site": "same-origin", "User-Agent": f"{canary(who or 'x')}/1.0"}
        if one is not None and one.browser:
            cookie = cookie or f"lastcall-access={one.access[-1][0]}"
        if cookie is not None:
            headers["Cookie"] = cookie
        elif one is not None:
            headers["Authorization"] = f"Bearer {one.access[-1][0]}"
        sent = {} if body is None else {"json": body}
        answer = self.run(self.client.request(method, path, headers=headers, **sent))  # type: ignore[arg-type]
        self.client.cookies.clear()
        assert answer.status_code < 500, answer.text
        if answer.status_code == 401:
            assert answer.headers["content-type"] == "application/problem+json"
            assert "www-authenticate" in answer.headers
            assert "set-cookie" not in answer.headers
        for other in SAME_ACCOUNT.keys() - SAME_ACCOUNT.get(who or "", set()):
            assert canary(other) not in answer.text
        return answer

    def told_ending(self, answer: httpx.Response, one: Held) -> None:
        """It is refused, with the first ending's reason as long as that is kept."""
        assert one.ended is not None
        assert answer.status_code == 401, answer.text
        if answer.json()["code"] == "session_ended":
            assert answer.json()["reason"] == one.ended[0]
        else:
            assert self.clock.now() - one.ended[1] > timedelta(days=90), answer.text

    def take(self, one: Held, answer: httpx.Response) -> str:
        """Keep the access token that was given, and give the refresh token."""
        assert answer.status_code == 200, answer.text
        if one.browser:
            cookies = set_cookies(answer)
            given, refresh = cookies["lastcall-access"][0], cookies["lastcall-refresh"][0]
        else:
            given, refresh = answer.json()["access_token"], answer.json()["refresh_token"]
        one.access.append((given, self.clock.now()))
        return refresh

    def show(self, one: Held, token: str) -> httpx.Response:
        if one.browser:
            return self.ask(
                "POST", f"{API}/refresh", who=one.who, cookie=f"lastcall-refresh={token}"
            )
        return self.ask("POST", f"{API}/refresh", body={"refresh_token": token}, who=one.who)

    def proved(self, one: Held, answer: httpx.Response) -> None:
        """A fresh proof gives new tokens; none of the older ones is good any more."""
        one.replaced += [token for token, _ in one.access]
        one.access.clear()
        one.refresh.append(self.take(one, answer))
        one.moved_at = one.proved_at = self.clock.now()
        one.answered_parent = False

    def enter(self, who: str, *, browser: bool) -> Held:
        body = {"email": f"{canary(who)}@example.com", "password": self.passwords[who]}
        body |= {"client": "browser" if browser else "native", "name": f"{canary(who)} phone"}
        answer = self.ask("POST", f"{API}/sign-in", body=body, who=who)
        now = self.clock.now()
        one = Held(answer.json()["session"]["id"], who, browser, now, now)
        one.refresh.append(self.take(one, answer))
        self.held.append(one)
        self.due.append("session.sign_in")
        return one

    def caller(self, who: str, pick: int) -> Held:
        """A session of somebody's that can act now; one more sign-in where there is none."""
        able = [one for one in self.living(who) if self.good(one)]
        return able[pick % len(able)] if able else self.enter(who, browser=bool(pick % 2))

    def admin(self) -> Held:
        able = [one for one in self.living("ada") if self.good(one) and self.fresh(one)]
        return able[0] if able else self.enter("ada", browser=False)

    def can_enter(self, who: str) -> bool:
        return not (who == "mia" and self.suspended)

    # What happens.

    @rule(who=PEOPLE, browser=st.booleans())
    def sign_in(self, who: str, browser: bool) -> None:
        if self.can_enter(who) and len(self.living(who)) < 5:
            self.enter(who, browser=browser)

    @rule(who=PEOPLE)
    def sign_in_wrongly(self, who: str) -> None:
        body = {"email": f"{canary(who)}@example.com", "password": "wrong"}
        assert self.ask("POST", f"{API}/sign-in", body=body).json()["code"] in (
            "invalid_credentials",
            "rate_limited",
        )
        self.due.append("session.sign_in")

    @rule(pick=PICK, back=st.sampled_from([0, 0, 0, 1, 1, 2]))
    def refresh(self, pick: int, back: int) -> None:
        """The newest token rotates, its parent is answered alike for 10 seconds, and any older one
        is a theft."""
        if not self.held:
            return
        one = self.held[pick % len(self.held)]
        if back >= len(one.refresh):
            return
        answer = self.show(one, one.refresh[-1 - back])
        if self.over(one):
            self.told_ending(answer, one)
        elif back == 0:
            token = self.take(one, answer)
            assert token not in one.refresh
            one.refresh.append(token)
            one.moved_at, one.answered_parent = self.clock.now(), True
        elif back == 1 and self.clock.now() - one.moved_at <= timedelta(seconds=10):
            if one.answered_parent:
                assert self.take(one, answer) == one.refresh[-1]
            else:
                assert answer.json()["code"] == "token_invalid"
        else:
            self.end(one, "refresh_reuse")
            self.due.append("session.reuse")
            self.told_ending(answer, one)

    @rule(token=st.sampled_from(["", "x", "lcr_", "lcr_s_c1_0.1.A.B"]))
    def show_garbage(self, token: str) -> None:
        answer = self.ask("POST", f"{API}/refresh", body={"refresh_token": token})
        assert answer.json()["code"] == "token_invalid"

    @rule(who=PEOPLE, pick=PICK, which=PICK)
    def terminate(self, who: str, pick: int, which: int) -> None:
        """One's own ends, anybody else's and an unknown one are not there."""
        if not self.held or not self.can_enter(who):
            return
        one, other = self.caller(who, pick), self.held[which % len(self.held)]
        answer = self.ask("DELETE", f"{API}/sessions/{other.id}", one)
        if other is not one and not self.fresh(one):
            assert answer.json()["code"] == "reauthentication_required"
        elif other.who != who:
            assert answer.json()["code"] == "not_found"
        elif self.over(other):
            assert answer.status_code == 404 or answer.json()["ended"] in (0, 1)
        else:
            assert answer.json()["ended"] == 1
            self.due.append("session.sign_out" if other is one else "session.terminate")
            self.end(other, "signed_out" if other is one else "terminated_by_user")

    @rule(who=PEOPLE, pick=PICK)
    def terminate_others(self, who: str, pick: int) -> None:
        if not self.can_enter(who):
            return
        one = self.caller(who, pick)
        answer = self.ask("POST", f"{API}/sessions/terminate-others", one)
        if not self.fresh(one):
            assert answer.json()["code"] == "reauthentication_required"
            return
        others = [other for other in self.living(who) if other is not one]
        assert answer.json()["ended"] == len(others)
        self.due.append("session.terminate_others")
        for other in others:
            self.end(other, "terminated_by_user")

    @rule(who=PEOPLE, pick=PICK)
    def sign_out(self, who: str, pick: int) -> None:
        if self.can_enter(who):
            one = self.caller(who, pick)
            assert self.ask("POST", f"{API}/sign-out", one).status_code == 204
            self.due.append("session.sign_out")
            self.end(one, "signed_out")

    @rule()
    def log_out_by_admin(self) -> None:
        ended = len(self.living("mia"))
        answer = self.ask("POST", f"{API}/users/{self.ids['mia']}/logout", self.admin())
        assert answer.json()["ended"] == ended
        self.due.append("user.logout")
        for one in self.living("mia"):
            self.end(one, "terminated_by_admin")

    @rule()
    def suspend_or_resume(self) -> None:
        self.suspended = not self.suspended
        body = {"status": "suspended" if self.suspended else "active"}
        answer = self.ask("PATCH", f"{API}/users/{self.ids['mia']}", self.admin(), body)
        assert answer.status_code == 200, answer.text
        self.due.append("user.suspend" if self.suspended else "user.resume")
        if self.suspended:
            for one in self.living("mia"):
                self.end(one, "user_suspended")

    @rule(who=PEOPLE, pick=PICK, right=st.booleans())
    def reauthenticate(self, who: str, pick: int, right: bool) -> None:
        if self.can_enter(who):
            one = self.caller(who, pick)
            body = {"password": self.passwords[who] if right else "wrong"}
            answer = self.ask("POST", f"{API}/reauthenticate", one, body)
            self.due.append("session.reauthenticate")
            if right:
                self.proved(one, answer)
            else:
                assert answer.json()["code"] == "invalid_credentials"

    @rule(who=PEOPLE, pick=PICK, others=st.booleans())
    def change_password(self, who: str, pick: int, others: bool) -> None:
        if not self.can_enter(who):
            return
        one, new = self.caller(who, pick), f"sentence {len(self.held)} {pick} for the door"
        body = {"current_password": self.passwords[who], "new_password": new}
        answer = self.ask("POST", f"{API}/password", one, {**body, "terminate_others": others})
        self.proved(one, answer)
        self.passwords[who] = new
        self.due.append("user.change_password")
        for other in self.living(who) if others else ():
            if other is not one:
                self.end(other, "password_changed")

    @rule()
    def restart(self) -> None:
        self.run(self.client.aclose())
        self.run(self.node.close())
        self.run(self.open())

    @rule(seconds=st.sampled_from([1, 10, 11, 700, 3700, 86_399, 86_400, 30 * 86_400]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule()
    def purge(self) -> None:
        async def at_once(_seconds: float) -> None: ...

        purge = Purge(self.node.store, self.node.settings.policy, self.clock, at_once)
        self.run(purge.run(Actor("system")))

    @rule(who=PEOPLE, pick=PICK)
    def read(self, who: str, pick: int) -> None:
        """Lists show exactly what the server honours, on the page too, and nobody else's."""
        if not self.can_enter(who):
            return
        one = self.caller(who, pick)
        assert self.ask("GET", f"{API}/session", one).json()["id"] == one.id
        listed = self.ask("GET", f"{API}/sessions?limit=200", one).json()["sessions"]
        living = {other.id for other in self.living(who)}
        assert sorted(row["id"] for row in listed) == sorted(living)
        assert [row["id"] for row in listed if row["current"]] == [one.id]
        gone = self.ask("GET", f"{API}/sessions?ended=true&limit=200", one).json()["sessions"]
        kept = {
            other.id: other.ended[0]
            for other in self.held
            if other.who == who and other.ended and self.over(other)
            if self.clock.now() - other.ended[1] < timedelta(days=90)
        }
        assert {row["id"]: row["end_reason"] for row in gone} == kept
        self.ask("GET", f"{API}/activity", one)
        audit = self.ask("GET", f"{API}/audit", one)
        assert audit.status_code == (403 if who == "mia" else 200)
        if one.browser:
            page = self.ask("GET", "/settings/sessions", one).text
            shown = set(re.findall(r"terminate\?session=([^\"]+)\"", page))
            assert shown == living - {one.id}

    # What is true after each step.

    def new_records(self) -> list[str]:
        db = sqlite3.connect(Path(self.folder.name) / DATABASE)
        rows = db.execute(
            "SELECT number, type FROM audit WHERE number > ? ORDER BY number", (self.recorded,)
        ).fetchall()
        db.close()
        self.recorded = max([self.recorded, *(number for number, _ in rows)])
        return [kind for _, kind in rows]

    @invariant()
    def each_change_has_one_record(self) -> None:
        """That a session ran out is recorded as it is noticed, whatever notices it."""
        own = [kind for kind in self.new_records() if kind not in ("session.expire", "audit.purge")]
        assert own == self.due
        self.due.clear()

    @invariant()
    def no_token_of_an_ended_session_is_honoured(self) -> None:
        for one in self.held:
            if self.over(one):
                self.told_ending(self.ask("GET", f"{API}/session", one), one)
                self.told_ending(self.show(one, one.refresh[-1]), one)
            elif one.replaced:
                old = one.replaced[-1]
                answer = self.ask(
                    "GET", f"{API}/session", who=one.who, cookie=f"lastcall-access={old}"
                )
                assert answer.json()["code"] == "token_expired"


Door.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    derandomize="LASTCALL_TEST_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestDoor = Door.TestCase
