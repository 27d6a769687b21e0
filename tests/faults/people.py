"""People who sign in and end sessions, over HTTP and by the command line, and who look whether what
they ended is confirmed."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import Coroutine, Iterable
from typing import Any, Final

import httpx

from lastcall.clock import lease_clock
from lastcall.digests import decode
from tests.faults.stage import Stage, Termination
from tests.support import verdicts

AT_A_TIME: Final = 3
"""How many people act at a time."""
LIVE: Final = 12
"""How many sessions live at a time, or more."""


class People:
    """They act at any of the servers. What they end is watched at each server until that one calls
    it confirmed: whoever knows it must, the others' deaths included."""

    def __init__(self, stage: Stage, choose: random.Random) -> None:
        self._stage = stage
        self._choose = choose
        bearer = {"Authorization": f"Bearer {stage.sessions_key}"}
        # Answers are short: a server that stands still holds up no other one.
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(headers=bearer, timeout=4, limits=limits)
        self._users = {f"user-{number}": asyncio.Lock() for number in range(6)}
        self._live: dict[str, tuple[str, str]] = {}
        """Sessions that nobody has ended: whose they are, by the name and the id."""
        self._watching: set[asyncio.Task[None]] = set()
        stage.started = self._watch_anew

    async def act(self, endings: int) -> None:
        """End so many sessions, or users' sessions."""
        self._endings = self._stage.counts["ended"] + endings
        await together(self._act() for _ in range(AT_A_TIME))

    def stop(self) -> None:
        """End nothing more than what is being ended."""
        self._endings = 0

    async def _act(self) -> None:
        while self._stage.counts["ended"] < self._endings:
            while len(self._live) < LIVE:
                await self.begin()
            await self.end()

    async def settle(self) -> list[str]:
        """Wait for all to be confirmed by each server, for no longer than that may take; tell what
        was not, and where."""
        if self._watching:
            await asyncio.wait(self._watching, timeout=2 * self._stage.plan.bound)
        return [*(task.get_name() for task in self._watching), *self._stage.open]

    async def close(self) -> None:
        """Watch no more."""
        self._stage.started = lambda _: None
        for task in [*self._watching]:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._http.aclose()

    async def begin(self, at: int | None = None) -> str | None:
        """Begin a session, at one server or any, and have its token checked by all; give its id."""
        name = self._choose.choice([*self._users])
        began = lease_clock()
        body = {"user": {"external_id": name}, "client": {"ip": "127.0.0.1", "user_agent": "test"}}
        async with self._users[name]:
            if name not in self._users:
                return None
            number = self._any() if at is None else at
            answer = await self._ask(number, "POST", "/sessions", body)
            if answer is None:
                return None
            session, token = answer["session"]["id"], answer["access_token"]
            self._stage.known.begun[session] = began
            claims = json.loads(decode(token.split(".")[1]))
            self._live[session] = (name, claims["sub"])
            self._stage.hand_out(session, token)
            return str(session)

    async def end(self) -> None:
        """End a session, or all of its user's, in one of the ways."""
        if not self._live:
            return
        session, (name, user) = self._choose.choice([*self._live.items()])
        how, wait = self._choose.random(), self._choose.choice((0, 1, 2))
        if how < 0.1:
            await self.end_by_command(session)
        elif how < 0.3:
            await self._end_user(name, user, wait)
        else:
            await self.end_one(session, wait)

    async def end_one(self, session: str, wait: int = 0) -> None:
        """End a session over HTTP."""
        number, covered = self._any(), self._give_up(session)
        asked = lease_clock()
        answer = await self._ask(number, "DELETE", f"/sessions/{session}?wait={wait}")
        self._ended(self._stage.lives.get(number, "dead"), asked + wait, answer, covered)

    async def end_by_command(self, session: str) -> None:
        """End a session by the command line, on the same database."""
        covered = self._give_up(session)
        self._stage.counts["commands"] += 1
        process = f"command-{self._stage.counts['commands']}"
        asked = lease_clock()
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lastcall", "session", "terminate", session, "--json"),
            cwd=self._stage.folder,
            env={**self._stage.environment, "PYTHONFAULTHANDLER": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        ends = asyncio.create_task(command.communicate())
        done, _ = await asyncio.wait([ends], timeout=60)
        if not done:
            command.send_signal(signal.SIGABRT)  # it says where it stands
        said, problem = await ends
        assert done, problem.decode()
        answer = json.loads(said) if command.returncode == 0 else None
        # A service is not told of what others have ended, except as it would end it again.
        self._ended(process, asked, answer, covered, ("DELETE", f"/sessions/{session}"))

    async def _end_user(self, name: str, user: str, wait: int) -> None:
        async with self._users[name]:  # who signs in meanwhile might be covered as well
            whose = [one for one, (owner, _) in self._live.items() if owner == name]
            if not whose:  # others were faster
                return
            number, covered = self._any(), self._give_up(*whose)
            asked = lease_clock()
            answer = await self._ask(number, "POST", f"/users/{user}/logout?wait={wait}")
            if answer is None:  # it may happen yet, and cover what begins until then
                del self._users[name]
                self._users[f"user-{lease_clock()}"] = asyncio.Lock()
            self._ended(self._stage.lives.get(number, "dead"), asked + wait, answer, covered)

    def _give_up(self, *sessions: str) -> frozenset[str]:
        """Whatever comes of it, from now on they are nobody's to rely on."""
        for session in sessions:
            del self._live[session]
            self._stage.known.ending[session] = lease_clock()
        return frozenset(sessions)

    def _any(self) -> int:
        return self._choose.choice([*self._stage.lives] or [0])

    async def _ask(
        self, number: int, method: str, path: str, body: object = None
    ) -> dict[str, Any] | None:
        """Ask a server; None where no good answer came."""
        url = f"http://127.0.0.1:{self._stage.ports[number]}/api/v1{path}"
        try:
            answer = await self._http.request(method, url, json=body)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.is_success else None

    # What was ended.

    def _ended(
        self,
        process: str,
        at: float,
        answer: dict[str, Any] | None,
        covered: frozenset[str],
        again: tuple[str, str] | None = None,
    ) -> None:
        if answer is None:
            self._stage.counts["unanswered"] += 1
            return
        self._stage.counts["ended"] += 1
        event = answer["id"]
        again = again or ("GET", f"/terminations/{event}")
        termination = self._stage.open[event] = Termination(event, covered, *again)
        self._stage.committed(event)
        self._note(process, at, answer, termination)
        for number in self._stage.lives:
            self._watch(number, termination)

    def _note(
        self, process: str, at: float, answer: dict[str, Any], termination: Termination
    ) -> bool:
        """Write down what was answered. That all is over counts from when the answer is there; that
        it is not yet, from when the question was put, and what it was to wait: it was decided no
        earlier."""
        event = answer["id"]
        assert event == termination.event
        if answer["state"] != "confirmed":
            self._stage.history.append(verdicts.Confirming(at, process, event))
            return False
        confirmed = verdicts.Confirmed(lease_clock(), process, event, termination.covered)
        self._stage.history.append(confirmed)
        if self._stage.open.pop(event, None) is not None:
            self._stage.counts["confirmed"] += 1
        return True

    def _watch_anew(self, number: int) -> None:
        for termination in self._stage.open.values():
            self._watch(number, termination)

    def _watch(self, number: int, termination: Termination) -> None:
        life = self._stage.lives[number]
        following = self._follow(number, life, termination)
        task = asyncio.create_task(following, name=f"{termination.event} at {life}")
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _follow(self, number: int, life: str, termination: Termination) -> None:
        while self._stage.lives.get(number) == life:
            asked = lease_clock()
            answer = None
            if number not in self._stage.stopped:
                path = f"{termination.path}?wait=1"
                answer = await self._ask(number, termination.method, path)
            if answer is None:
                await asyncio.sleep(0.05)
            elif self._note(life, asked + 1, answer, termination):
                return


async def together(acts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all at once; what one fails with, all do."""
    tasks = [asyncio.create_task(act) for act in acts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
