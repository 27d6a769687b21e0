"""People, thieves, admins and the clock do anything in any order; the server answers as the model.

Real HTTP in process, a real database, a clock that tests move. What must be true is in
`tests/support/front_door.py`, what people do and are answered in `front_acts.py` beside it.
"""

import os
import re
from itertools import islice

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.front_acts import API, Acts
from tests.support.front_desk import email
from tests.support.front_door import ACCOUNTS, ADDRESSES, GRACE, Held

EXAMPLES = int(os.environ.get("LASTCALL_TEST_EXAMPLES", "40"))
TRIED_EACH_STEP = 8
PEOPLE = st.sampled_from(sorted(ACCOUNTS))
OWN = st.sampled_from(["ada", "mia"])
"""Of Ada's account."""
PICK = st.integers(0, 1000)
SOON = st.sampled_from([0, 1, 10, 11, 11, 25, 41])
"""Seconds: before, at and after the end of the grace."""


class Door(Acts, RuleBasedStateMachine):
    """Anything, in any order."""

    turn = 0

    def teardown(self) -> None:
        self.desk.close()

    # Signing in, and going on.

    @initialize(browser=st.booleans())
    def begin(self, browser: bool) -> None:
        for who in ("ada", "mia", "mia", "olga"):
            self.enter(who, browser=browser)

    @rule(who=PEOPLE, browser=st.booleans())
    def sign_in(self, who: str, browser: bool) -> None:
        if self.may_enter(who) and len(self.model.living(who)) < 6:
            self.enter(who, browser=browser)

    @rule(who=PEOPLE, pick=PICK)
    def sign_in_again(self, who: str, pick: int) -> None:
        """The session that the browser held ends."""
        held = [one for one in self.model.held if one.who == who and one.browser]
        if not held or not self.may_enter(who):
            return
        before = held[pick % len(held)]
        self.enter(who, browser=True, cookie=f"refresh={before.refresh[-1]}")
        self.signed_out(before)

    @rule(who=PEOPLE)
    def sign_in_wrongly(self, who: str) -> None:
        """Below what is throttled. The right password of somebody suspended is as wrong."""
        guesses, now = self.model.guesses[who], self.clock.now()
        if guesses.room(now):
            guesses.add()
            wrong = "wrong" if self.may_enter(who) else self.passwords[who]
            answer = self.desk.ask(
                "POST", f"{API}/sign-in", {"email": email(who), "password": wrong}, who=who
            )
            assert answer.json()["code"] == "invalid_credentials"
            self.model.record_failure("session.sign_in", who)

    @rule(pick=PICK, back=st.sampled_from([0, 0, 0, 1, 1, 2]), thief=st.booleans())
    def refresh(self, pick: int, back: int, thief: bool) -> None:
        """The newest token rotates, its parent is answered alike for 10 seconds, and any older one
        is a theft, whoever shows them and from wherever."""
        if one := self.any_of(pick):
            self.show_back(one, back, thief=thief)

    @rule(pick=PICK, seconds=SOON, thief=st.booleans())
    def rotate_and_show_the_parent(self, pick: int, seconds: int, thief: bool) -> None:
        self.go_on_and_show(pick, ["rotate"], seconds, 1, thief)

    @rule(pick=PICK, seconds=SOON, back=st.sampled_from([1, 1, 2]), thief=st.booleans())
    def prove_and_show_an_older_one(self, pick: int, seconds: int, back: int, thief: bool) -> None:
        self.go_on_and_show(pick, ["prove"], seconds, back, thief)

    @rule(
        pick=PICK,
        steps=st.lists(st.sampled_from(["rotate", "rotate", "prove"]), min_size=2, max_size=3),
        seconds=SOON,
        back=st.integers(1, 3),
        thief=st.booleans(),
    )
    def go_on_and_show(
        self, pick: int, steps: list[str], seconds: int, back: int, thief: bool
    ) -> None:
        living = self.model.living(*ACCOUNTS)
        one = living[pick % len(living)] if living else self.enter("olga", browser=thief)
        for step in steps:
            if step == "prove" and self.model.good(one):
                self.prove(one, right=True)
            else:
                self.show_back(one, 0)
        self.clock.advance(seconds=seconds)
        self.show_back(one, back, thief=thief)

    @rule(who=PEOPLE, pick=PICK, right=st.booleans())
    def reauthenticate(self, who: str, pick: int, right: bool) -> None:
        if self.may_enter(who):
            self.prove(self.caller(who, pick), right=right)

    @rule(who=PEOPLE, pick=PICK)
    def guess_within_a_session(self, who: str, pick: int) -> None:
        """Ten wrong proofs in a row, and not one more, of either kind."""
        if self.may_enter(who):
            one = self.caller(who, pick)
            for _ in range(9):
                self.prove(one, right=False)
            self.change_to(one, None, others=True)
            self.prove(one, right=bool(pick % 3))

    @rule(who=PEOPLE, pick=PICK, right=st.sampled_from([True, True, False]), others=st.booleans())
    def change_password(self, who: str, pick: int, right: bool, others: bool) -> None:
        if self.may_enter(who):
            one = self.caller(who, pick)
            new = f"sentence {len(self.model.held)} {pick} for the door" if right else None
            self.change_to(one, new, others=others)

    # Ending.

    @rule(who=PEOPLE, pick=PICK, which=PICK, report=st.booleans())
    def terminate(self, who: str, pick: int, which: int, report: bool) -> None:
        """One's own ends, once; anybody else's is not there."""
        other = self.any_of(which)
        if other is None or not self.may_enter(who):
            return
        one = self.caller(who, pick)
        path = f"sessions/{other.id}"
        if report:
            answer = self.ask("POST", f"{path}/report", one)
        else:
            answer = self.ask("DELETE", path, one)
        if (other is not one or report) and self.stale(one, answer):
            return
        if other.who != who:
            assert answer.json()["code"] == "not_found"
            return
        how, reason = "session.terminate", "terminated_by_user"
        if report:
            how, reason = "session.report", "reported"
        elif other is one:
            how, reason = "session.sign_out", "signed_out"
        self.ended_one(one, other, answer, how, reason, again=report)

    @rule(who=PEOPLE, pick=PICK)
    def terminate_others(self, who: str, pick: int) -> None:
        if not self.may_enter(who):
            return
        one = self.caller(who, pick)
        answer = self.ask("POST", "sessions/terminate-others", one)
        if not self.stale(one, answer):
            assert answer.json()["ended"] == self.model.end_all(who, "terminated_by_user", one)
            self.model.record("session.terminate_others", one, reason="terminated_by_user")

    @rule(pick=PICK, back=st.sampled_from([None, None, 0, 0, 1, 2]))
    def sign_out(self, pick: int, back: int | None) -> None:
        """By the access token, good or not, or by a refresh token; an old one is a theft."""
        one = self.any_of(pick)
        if one is None:
            return
        path = f"{API}/sign-out"
        if back is None:
            answer = self.ask("POST", path, one)
            self.signed_out(one)
        else:
            back = min(back, len(one.refresh) - 1)
            cookie = f"refresh={one.refresh[-1 - back]}"
            answer = self.desk.ask("POST", path, who=one.who, cookie=cookie)
            old = back > 1 or (back == 1 and self.clock.now() - one.moved_at > GRACE)
            if old and not self.model.over(one):
                self.model.stolen(one, ADDRESSES[one.who])
            elif back == 1 and not one.answered_parent and not self.model.over(one):
                pass  # a fresh proof has replaced it a moment ago: it is not genuine any more
            else:
                self.signed_out(one)
        assert answer.status_code == 204

    @rule(who=OWN, pick=PICK, which=PICK)
    def log_out_by_admin(self, who: str, pick: int, which: int) -> None:
        """One session, or all of them."""
        admin, user = self.caller("ada", pick, fresh=True), self.desk.ids[who]
        theirs = [one for one in self.model.held if one.who == who]
        if theirs and which % 2:
            other = theirs[which // 2 % len(theirs)]
            answer = self.ask("DELETE", f"users/{user}/sessions/{other.id}", admin)
            how, reason = "session.terminate", "terminated_by_admin"
            self.ended_one(admin, other, answer, how, reason, again=False)
        else:
            answer = self.ask("POST", f"users/{user}/logout", admin)
            ended = self.model.end_all(who, "terminated_by_admin")
            assert answer.json()["ended"] == ended
            self.model.record("user.logout", admin, reason="terminated_by_admin", target=user)

    @rule(pick=PICK, myself=st.booleans())
    def log_everybody_out(self, pick: int, myself: bool) -> None:
        admin = self.caller("ada", pick, fresh=True)
        answer = self.ask("POST", "logout", admin, {"all_users": True, "except_self": not myself})
        spared = None if myself else admin
        ended = [self.model.end_all(who, "terminated_by_admin", spared) for who in ("ada", "mia")]
        assert answer.json()["ended"] == sum(ended)
        account = self.desk.ids["Acme"]
        self.model.record("account.logout", admin, reason="terminated_by_admin", target=account)

    @rule(pick=PICK)
    def suspend_or_resume(self, pick: int) -> None:
        admin, mia = self.caller("ada", pick, fresh=True), self.desk.ids["mia"]
        status = "active" if self.model.suspended else "suspended"
        answer = self.ask("PATCH", f"users/{mia}", admin, {"status": status})
        assert answer.json()["status"] == status, answer.text
        self.model.suspended = not self.model.suspended
        if self.model.suspended:
            self.model.end_all("mia", "user_suspended")
            self.model.record("user.suspend", admin, reason="user_suspended", target=mia)
        else:
            self.model.record("user.resume", admin, target=mia)

    @rule(who=st.sampled_from(["mia", "olga"]), pick=PICK, which=PICK)
    def meddle(self, who: str, pick: int, which: int) -> None:
        """Who is no admin of the account gets nowhere."""
        if not self.may_enter(who):
            return
        one, ada = self.caller(who, pick), self.desk.ids["ada"]
        code, theirs = ("forbidden", "not_found")[who == "olga"], self.model.living("ada")
        name = theirs[which % len(theirs)].id if theirs else "s_c1_0"
        answers = [
            self.ask("GET", f"users/{ada}/sessions", one),
            self.ask("POST", f"users/{ada}/logout", one),
            self.ask("DELETE", f"users/{ada}/sessions/{name}", one),
        ]
        garbage = {"refresh_token": f"lcr_{name}.1.A.B"}
        answer = self.desk.ask("POST", f"{API}/refresh", garbage, who="thief")
        assert answer.json()["code"] == "token_invalid"
        assert self.model.fresh(one) <= ({one.json()["code"] for one in answers} == {code})

    # Time.

    @rule(seconds=st.sampled_from([1, 1, 5, 5, 10, 11, 60, 601, 3601]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule(pick=PICK, days=st.integers(1, 3), hours=st.sampled_from([12, 23.5, 24]))
    def days_pass(self, pick: int, days: int, hours: float) -> None:
        """One session is used each day, in time or too late; the others run out."""
        living = self.model.living(*ACCOUNTS)
        for _ in range(days):
            self.clock.advance(hours=hours)
            if living:
                self.show_back(living[pick % len(living)], 0)

    @rule(days=st.sampled_from([0, 0, 2, 2, 2, 80, 91]), restart=st.booleans())
    def clean_up(self, days: int, restart: bool) -> None:
        """What is over is deleted, after a while, and the server starts anew."""
        self.clock.advance(days=days)
        self.desk.purge()
        self.model.purge()
        if restart:
            self.desk.restart()

    # What is shown.

    @rule(who=PEOPLE, pick=PICK)
    def read(self, who: str, pick: int) -> None:
        """Lists show exactly what the server honours, on pages too, and nobody else's."""
        if not self.may_enter(who):
            return
        one = self.caller(who, pick)
        living, kept = {other.id for other in self.model.living(who)}, self.model.kept(who)
        own = self.ask("GET", "session", one).json()
        assert (own["id"], own["user"]["active_sessions"]) == (one.id, len(living))
        listed = self.ask("GET", "sessions?limit=200", one).json()["sessions"]
        assert sorted(row["id"] for row in listed) == sorted(living)
        assert [row["id"] for row in listed if row["current"]] == [one.id]
        gone = self.ask("GET", "sessions?ended=true&limit=200", one).json()["sessions"]
        assert {row["id"]: row["end_reason"] for row in gone} == kept
        page = self.ask("GET", "/settings/sessions", one).text
        assert set(re.findall(r"terminate\?session=([^\"]+)\"", page)) == living - {one.id}
        activity = self.ask("GET", "activity?limit=200", one).json()["events"]
        shown = {event["session_id"] for event in activity} - {None}
        assert shown <= {other.id for other in self.model.held if other.who == who}
        assert self.ask("GET", "audit", one).status_code == (403 if who == "mia" else 200)
        if who == "ada":
            path = f"users/{self.desk.ids['mia']}/sessions?limit=200"
            rows = self.ask("GET", path, one).json()["sessions"]
            assert {row["id"] for row in rows} == {other.id for other in self.model.living("mia")}

    # What is true after each step.

    @invariant()
    def each_change_has_its_record_and_nothing_else_has_one(self) -> None:
        assert self.desk.new_records() == self.model.due
        self.model.due.clear()

    @invariant()
    def no_token_of_an_ended_session_is_honoured(self) -> None:
        """Every token of one that has just ended, and now and then all others that ever were. A
        refresh would write that a session ran out, which others must not depend on."""
        self.turn += 1
        over = [one for one in self.model.held if self.model.over(one)]
        for one in over:
            if not one.tried:
                one.tried = one.written
                self.try_all(one)
        kept = [one for one in over if one.written and not one.gone]
        tokens = [(one, number) for one in kept for number in range(len(one.refresh))]
        start = self.turn * TRIED_EACH_STEP % max(1, len(tokens))
        for one, number in islice(tokens, start, start + TRIED_EACH_STEP):
            self.refuses(self.show(one, one.refresh[number]), one)

    def try_all(self, one: Held) -> None:
        for token, _ in one.access:
            self.refuses(self.ask_with("GET", "session", one, token), one)
        answer = self.desk.ask("HEAD", "/live", who=one.who, cookie=f"refresh={one.refresh[-1]}")
        assert answer.status_code == 401
        if one.written:
            for token in one.refresh:
                self.refuses(self.show(one, token), one)

    @invariant()
    def what_lives_is_honoured_and_what_was_replaced_is_not(self) -> None:
        living = self.model.living(*ACCOUNTS)
        if not living:
            return
        one = living[self.turn % len(living)]
        for number, (token, _) in enumerate(one.access[-6:], max(0, len(one.access) - 6)):
            answer = self.ask_with("GET", "session", one, token)
            if self.model.good(one, number):
                assert answer.json()["id"] == one.id
            else:
                assert answer.json()["code"] == "token_expired"
        answer = self.desk.ask("HEAD", "/live", who=one.who, cookie=f"refresh={one.refresh[-1]}")
        assert answer.status_code == 200


Door.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestDoor = Door.TestCase
