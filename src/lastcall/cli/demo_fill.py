"""Filling the demo: the story of `demo_cast`, told to the real services as a clock is moved."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lastcall.audit import NOWHERE, Origin
from lastcall.cli import demo_cast as cast
from lastcall.clock import Entropy
from lastcall.errors import InvalidCredentials, SessionEnded
from lastcall.events import SYSTEM, Actor, EndReason
from lastcall.identity.administration import Admin
from lastcall.identity.model import User
from lastcall.identity.service import PASSWORD
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client, SignIn
from lastcall.settings import Settings
from lastcall.stores.base import SetPassword

BEGINNING: Final = timedelta(days=40)
HABIT: Final = timedelta(hours=19.3)
"""How often a session is used; below the inactivity that would end it."""

Step = Callable[[], Awaitable[None]]


class MovedClock:
    """A clock that stands where it was put."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """Give the moment that it stands at."""
        return self.moment

    def monotonic(self) -> float:
        """Give its seconds."""
        return self.moment.timestamp()

    def lease(self) -> float:
        """Give its seconds."""
        return self.moment.timestamp()


@dataclass(frozen=True, slots=True)
class Scene:
    """Something that happens at a moment."""

    at: datetime
    step: Step


def choose_password(entropy: Entropy) -> str:
    """Choose a password that is easy to type: three words and two digits."""
    numbers = [int.from_bytes(entropy(4), "big") for _ in range(4)]
    words = [cast.WORDS[number % len(cast.WORDS)] for number in numbers[:3]]
    return "-".join([*words, f"{10 + numbers[3] % 90}"])


class Demo:
    """The demo's account, being filled. Play the scenes one after the other."""

    def __init__(self, settings: Settings, password: str, now: datetime, entropy: Entropy) -> None:
        self._settings = settings
        self._password = password
        self._first = choose_password(entropy)
        """Everybody's password at first, which nobody learns: one hash does for all."""
        self._now = now
        self._entropy = entropy
        self._clock = MovedClock(now - BEGINNING)
        self._users: dict[str, User] = {}
        self._tokens: dict[cast.Visit, Tokens] = {}
        self._stale: dict[cast.Visit, str] = {}
        self._node: Node
        self.scenes = sorted(self._write(), key=lambda scene: scene.at)

    async def play(self) -> AsyncIterator[Scene]:
        """Play the scenes in the order of their moments; gives each one when it is over."""
        self._node = await Node.open(
            self._settings, clock=self._clock, entropy=self._entropy, serving=True
        )
        try:
            for scene in self.scenes:
                self._clock.moment = scene.at
                await scene.step()
                yield scene
        finally:
            await self._node.close()

    def _write(self) -> list[Scene]:
        found = [Scene(self._ago(40), self._found)]
        found.append(Scene(self._ago(cast.PASSWORD_CHANGED), self._change_password))
        found.append(Scene(self._ago(7.2), self._suspend))
        found.append(Scene(self._ago(20.1), self._promote))
        found += [self._guess(day, email) for day, email in cast.GUESSES]
        for visit in cast.VISITS:
            found += self._visit(visit)
        return found

    def _visit(self, visit: cast.Visit) -> list[Scene]:
        begun, last = self._ago(visit.begun), self._ago(visit.last)
        uses = max(1, -((begun - last) // HABIT))
        scenes = [Scene(begun, lambda: self._begin(visit))]
        scenes += [
            Scene(begun + (last - begun) * part / uses, lambda: self._use(visit))
            for part in range(1, uses + 1)
        ]
        over = last + timedelta(minutes=12)
        match visit.end:
            case "signed_out":
                scenes.append(Scene(over, lambda: self._sign_out(visit)))
            case "refresh_reuse":
                scenes.append(Scene(over, lambda: self._steal(visit)))
            case "terminated_by_user" | "terminated_by_admin" | "reported" as reason:
                scenes.append(Scene(over, lambda: self._terminate(visit, reason)))
            case _:  # time does it, or what is done to the user
                pass
        return scenes

    def _ago(self, days: float) -> datetime:
        return self._now - timedelta(days=days)

    # What happens.

    async def _found(self) -> None:
        """Found the account, as the owner; everybody else comes in after them."""
        identity = self._node.identity
        account = await identity.add_account(cast.ORGANISATION)
        shared = await self._node.passwords.hash(self._first)
        for person in cast.PEOPLE:
            self._clock.moment += timedelta(minutes=1)
            by, origin = self._owner()
            role = "member" if person.email == cast.PROMOTED else person.role
            user = await identity.add_user(
                account.id, person.email, name=person.name, role=role, by=by, origin=origin
            )
            if person.joined:
                joined = self._clock.now()
                await self._node.store.commit(SetPassword(user.id, shared, joined, None))
            else:
                await self._node.links.invite(user, by, origin)
            self._users[person.email] = user
        await self._node.services.create(account.id, "Orders API", ("verify",), *self._owner())

    def _owner(self) -> tuple[Actor, Origin]:
        """Give the owner and where they are; before they are there, lastcall itself."""
        owner = self._users.get(cast.OWNER)
        if owner is None:
            return SYSTEM, NOWHERE
        return Actor("admin", owner.id, owner.name), self._at(cast.CHROME_MAC, "81.2.69.142")

    def _at(self, gear: cast.Gear, ip: str) -> Origin:
        """Tell from where something is done that no session does."""
        seen = SignIn(gear.user_agent, dict(gear.hints), ip)
        return self._node.sessions.origin_of(seen)

    async def _begin(self, visit: cast.Visit) -> None:
        user, gear = self._users[visit.email], visit.gear
        start = await self._node.store.log_end()
        seen = SignIn(gear.user_agent, dict(gear.hints), visit.ip)
        client = Client(gear.client, gear.name)
        self._tokens[visit] = await self._node.sessions.begin(
            user, start.position, PASSWORD, client, seen
        )

    async def _use(self, visit: cast.Visit) -> None:
        self._stale[visit] = self._tokens[visit].refresh_token
        self._tokens[visit] = await self._node.sessions.refresh(self._stale[visit], visit.ip)

    async def _sign_out(self, visit: cast.Visit) -> None:
        origin = self._at(visit.gear, visit.ip)
        await self._node.sessions.endings.sign_out(self._tokens[visit].session.id, origin)

    async def _steal(self, visit: cast.Visit) -> None:
        """Show a refresh token that was used up long ago."""
        try:
            await self._node.sessions.refresh(self._stale[visit], "103.21.58.5")
        except SessionEnded:
            return
        raise AssertionError("a used-up refresh token was taken")

    async def _terminate(self, visit: cast.Visit, reason: EndReason) -> None:
        owner, admin = self._users[cast.OWNER], self._users["ravi@example.com"]
        if reason == "terminated_by_admin":
            by, origin = Actor("admin", admin.id, admin.name), self._admin_s_desk()
        else:
            by = Actor("user", owner.id, "Chrome on macOS")
            origin = self._at(cast.CHROME_MAC, "81.2.69.142")
        await self._node.sessions.endings.terminate(
            self._tokens[visit].session.id, reason, by, lambda _: True, origin=origin
        )

    def _admin_s_desk(self) -> Origin:
        return self._at(cast.CHROME_MAC, "49.207.10.1")

    def _guess(self, days: float, email: str) -> Scene:
        """Try a wrong password, from far away."""
        seen = SignIn(cast.FIREFOX_LINUX.user_agent, {}, "103.21.58.5")

        async def step() -> None:
            with suppress(InvalidCredentials):
                await self._node.identity.sign_in(email, "123456", Client("browser"), seen)

        return Scene(self._ago(days), step)

    async def _promote(self) -> None:
        account = (await self._node.store.list_accounts())[0]
        by, origin = self._owner()
        admin = Admin(account.id, "owner", by, origin, self._users[cast.OWNER].id)
        person = next(person for person in cast.PEOPLE if person.email == cast.PROMOTED)
        changed = await self._node.administration.change(
            admin, self._users[cast.PROMOTED].id, role=person.role
        )
        self._users[cast.PROMOTED] = changed.user

    async def _change_password(self) -> None:
        """Choose the password that the demo prints, which ends the owner's other sessions."""
        sessions, identity = self._node.sessions, self._node.identity
        visit = next(visit for visit in cast.VISITS if visit.email == cast.OWNER and not visit.end)
        await self._use(visit)
        caller = await sessions.authenticate(self._tokens[visit].access_token)
        tokens, _ = await identity.change_password(
            caller, self._first, self._password, origin=sessions.origin(caller, visit.ip)
        )
        self._tokens[visit] = tokens

    async def _suspend(self) -> None:
        admin = self._users["ravi@example.com"]
        for person in cast.PEOPLE:
            if person.suspended:
                by = Actor("admin", admin.id, admin.name)
                await self._node.identity.suspend(
                    self._users[person.email], by, origin=self._admin_s_desk()
                )
