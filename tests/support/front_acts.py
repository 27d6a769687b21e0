"""What people do at the front door, each act compared with the model."""

from datetime import datetime

import httpx

from tests.http.serving import NOON, set_cookies
from tests.support.fakes import FakeClock
from tests.support.front_desk import Desk, canary, email, first_password
from tests.support.front_door import ACCOUNTS, ADDRESSES, Held, Model, Verdict

API = "/api/v1"


class Acts:
    """Two accounts, three people and a thief, what each holds, and what they do."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(NOON)
        self.desk = Desk(self.clock)
        self.model = Model(self.clock, self.desk.ids)
        self.passwords = {who: first_password(who) for who in ACCOUNTS}

    # Asking, and what must be true of every answer.

    def ask(self, method: str, path: str, one: Held, body: object = None) -> httpx.Response:
        """Ask within a session."""
        return self.ask_with(method, path, one, one.token, body)

    def ask_with(
        self, method: str, path: str, one: Held, token: str, body: object = None
    ) -> httpx.Response:
        """Ask with one of its access tokens."""
        cookie = f"access={token}" if one.browser else None
        bearer = None if one.browser else token
        path = path if path.startswith("/") else f"{API}/{path}"
        return self.desk.ask(method, path, body, who=one.who, bearer=bearer, cookie=cookie)

    def show(self, one: Held, token: str, ip: str | None = None) -> httpx.Response:
        """Refresh with one of its refresh tokens."""
        path = f"{API}/refresh"
        if one.browser:
            return self.desk.ask("POST", path, who=one.who, cookie=f"refresh={token}", ip=ip)
        return self.desk.ask("POST", path, {"refresh_token": token}, who=one.who, ip=ip)

    def refuses(self, answer: httpx.Response, one: Held) -> None:
        """An ended session: the reason and the moment are told until it is purged."""
        assert one.ended is not None
        assert answer.status_code == 401, answer.text
        told = answer.json()
        if one.gone:
            assert told["code"] == "token_invalid"
        else:
            assert told["code"] == "session_ended"
            assert (told["reason"], datetime.fromisoformat(told["ended_at"])) == one.ended

    def take(self, one: Held, answer: httpx.Response) -> str:
        """Keep the access token that was given, and give the refresh token."""
        assert answer.status_code == 200, answer.text
        assert answer.json()["session"]["id"] == one.id
        if one.browser:
            cookies = set_cookies(answer)
            given, refresh = cookies["lastcall-access"][0], cookies["lastcall-refresh"][0]
        else:
            given, refresh = answer.json()["access_token"], answer.json()["refresh_token"]
        one.access.append((given, self.clock.now()))
        return refresh

    def proved(self, one: Held, answer: httpx.Response) -> None:
        self.model.proved(one)
        one.refresh.append(self.take(one, answer))

    def enter(self, who: str, *, browser: bool, cookie: str | None = None) -> Held:
        body = {"email": email(who), "password": self.passwords[who]}
        body |= {"client": "browser" if browser else "native", "name": f"{canary(who)} phone"}
        answer = self.desk.ask("POST", f"{API}/sign-in", body, who=who, cookie=cookie)
        assert answer.status_code == 200, answer.text
        now, ip = self.clock.now(), ADDRESSES[who]
        one = Held(answer.json()["session"]["id"], who, browser, ip, now, now)
        one.proofs.seen_at = now
        one.refresh.append(self.take(one, answer))
        self.model.record("session.sign_in", one, target=one.id)
        self.model.held.append(one)
        return one

    def may_enter(self, who: str) -> bool:
        return not (who == "mia" and self.model.suspended)

    def caller(self, who: str, pick: int, *, fresh: bool = False) -> Held:
        """A session of somebody's that can act now; one more sign-in where there is none."""
        able = [one for one in self.model.living(who) if self.model.good(one)]
        able = [one for one in able if self.model.fresh(one) or not fresh]
        return able[pick % len(able)] if able else self.enter(who, browser=bool(pick % 2))

    def any_of(self, pick: int) -> Held | None:
        """Any session, rather one that lives."""
        able = self.model.living(*ACCOUNTS) if pick % 4 else self.model.held
        return able[pick // 4 % len(able)] if able else None

    def stale(self, one: Held, answer: httpx.Response) -> bool:
        """Tell whether a fresh proof was asked for, as it must be of an old session."""
        if self.model.fresh(one):
            return False
        assert answer.json()["code"] == "reauthentication_required"
        return True

    # Acts.

    def show_back(self, one: Held, back: int, *, thief: bool = False) -> Verdict | None:
        if back >= len(one.refresh):
            return None
        ip = ADDRESSES["thief" if thief else one.who]
        answer = self.show(one, one.refresh[-1 - back], ip)
        verdict = self.model.show(one, back, ip)
        if verdict == "rotated":
            token = self.take(one, answer)
            assert token not in one.refresh
            one.refresh.append(token)
        elif verdict == "repeated":
            assert self.take(one, answer) == one.refresh[-1]
        elif verdict == "invalid":
            assert answer.json()["code"] == "token_invalid"
        else:
            self.refuses(answer, one)
        return verdict

    def prove(self, one: Held, *, right: bool) -> None:
        body = {"password": self.passwords[one.who] if right else "wrong"}
        answer = self.ask("POST", "reauthenticate", one, body)
        if not one.proofs.room(self.clock.now()):
            assert answer.json()["code"] == "rate_limited"
        elif right:
            self.proved(one, answer)
            self.model.record("session.reauthenticate", one)
        else:
            assert answer.json()["code"] == "invalid_credentials"
            one.proofs.add()
            self.model.record_failure("session.reauthenticate", one.who, one)

    def change_to(self, one: Held, new: str | None, *, others: bool) -> None:
        """Change the password; None: with a wrong one that is said to hold."""
        body = {"current_password": self.passwords[one.who] if new else "wrong"}
        body["new_password"] = new or "one that nobody gets to have"
        answer = self.ask("POST", "password", one, {**body, "terminate_others": others})
        if not one.proofs.room(self.clock.now()):
            assert answer.json()["code"] == "rate_limited"
        elif new is None:
            assert answer.json()["code"] == "invalid_credentials"
            one.proofs.add()
            self.model.record_failure("user.change_password", one.who, one)
        else:
            self.proved(one, answer)
            self.passwords[one.who] = new
            self.model.record("user.change_password", one)
            ended = self.model.end_all(one.who, "password_changed", one) if others else None
            told = answer.json()["termination"]
            assert (told and told["ended"]) == ended

    def signed_out(self, one: Held) -> None:
        ip = ADDRESSES[one.who]
        self.model.notice(one, None, ip)
        if not self.model.over(one):
            self.model.end(one, "signed_out")
            self.model.record("session.sign_out", one, reason="signed_out", target=one.id)
            self.model.due[-1] = self.model.due[-1]._replace(session_id=None)

    def ended_one(
        self, one: Held, other: Held, answer: httpx.Response, how: str, reason: str, again: bool
    ) -> None:
        if self.model.over(other):
            if other.gone:
                assert answer.json()["code"] == "not_found"
                return
            assert answer.json()["ended"] == 0
            self.model.notice(other, one.id, ADDRESSES[one.who])
        else:
            assert answer.json()["ended"] == 1
            self.model.end(other, reason)
            again = True
        if again:
            self.model.record(how, one, reason=reason, target=other.id)
