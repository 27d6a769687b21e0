"""A client that signs in, refreshes, uses and ends sessions, and writes down what it was told, for
the judge in `tests.support.history`."""

import asyncio
import random
from dataclasses import replace
from typing import Final, Literal

import httpx

from lastcall.clock import lease_clock
from tests.faults.stage import Stage
from tests.nodes.balancer import Balancer
from tests.support.history import Step
from tests.support.servers import EMAIL, PASSWORD

Kind = Literal["sign-in", "use", "refresh", "terminate"]
NANO: Final = 1e9
PATIENCE: Final = 60
"""Seconds after which a test gives up; none is decided by it."""


class Diary:
    """Its moments are nanoseconds of this machine's clock for leases."""

    def __init__(
        self, stage: Stage, choose: random.Random, balancer: Balancer | None = None
    ) -> None:
        """With a balancer it asks that, and any node by itself without one."""
        self.history: list[Step] = []
        self.strange: list[str] = []
        """Answers that a good client is not given, whatever fails."""
        self.over = False
        """Whether those who run are to end."""
        self._stage = stage
        self._choose = choose
        self._balancer = balancer
        self._held: list[dict[str, tuple[str, str]]] = []
        self._key = stage.sessions_key
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.AsyncClient(timeout=10, limits=limits)
        self._moved = asyncio.Condition()

    async def run(self) -> None:
        """Do one thing after the other until it is over, with sessions that nobody else knows."""
        held: dict[str, tuple[str, str]] = {}
        self._held.append(held)
        while not self.over:
            kind: Kind = self._choose.choices(
                ("sign-in", "use", "refresh", "terminate"), weights=(3, 3, 6, 2)
            )[0]
            if kind == "sign-in" or not held:
                await self._sign_in(held)
                continue
            session = self._choose.choice([*held])
            step = await self._do(kind, session, held)
            while kind == "refresh" and step.outcome == "info":  # what else could it show?
                await asyncio.sleep(0.05)
                step = await self._do(kind, session, held)

    async def refresh_all(self) -> None:
        """Refresh every session that was ever begun, the ended ones too."""
        await asyncio.gather(
            *(self._do("refresh", session, held) for held in self._held for session in held)
        )

    async def wait(self, answers: int) -> None:
        """Wait for so many good answers more."""
        until = self._good() + answers
        async with self._moved, asyncio.timeout(PATIENCE):
            await self._moved.wait_for(lambda: self._good() >= until)

    def first_write(self, since: float) -> float:
        """Give when the first write was answered that began after a moment."""
        return min(
            step.ended / NANO
            for step in self.history
            if step.began / NANO > since and step.kind != "use" and step.outcome == "ok"
        )

    async def close(self) -> None:
        """Ask nothing more."""
        await self._http.aclose()

    def _good(self) -> int:
        return sum(step.outcome == "ok" for step in self.history)

    async def _sign_in(self, held: dict[str, tuple[str, str]]) -> None:
        began = _now()
        if self._choose.random() < 0.1:
            path, body = "sign-in", {"email": EMAIL, "password": PASSWORD}
        else:
            client = {"ip": "127.0.0.1", "user_agent": "test"}
            path, body = "sessions", {"user": {"external_id": "diarist"}, "client": client}  # type: ignore[dict-item]
        answer = await self._ask("POST", path, body, token="" if path == "sign-in" else self._key)
        if answer is None:
            return
        if answer.is_success:
            given = answer.json()
            session = given["session"]["id"]
            held[session] = given["access_token"], given["refresh_token"]
            await self._note(Step("sign-in", session, "ok", began, _now()))
        elif answer.status_code != 503:
            self.strange.append(answer.text)

    async def _do(self, kind: Kind, session: str, held: dict[str, tuple[str, str]]) -> Step:
        access, refresh = held[session]
        began = _now()
        match kind:
            case "refresh":
                answer = await self._ask("POST", "refresh", {"refresh_token": refresh})
            case "terminate":
                path = f"sessions/{session}?wait=0"
                answer = await self._ask("DELETE", path, token=self._key)
            case _:
                answer = await self._ask("GET", "session", token=access)
        step = Step(kind, session, "info", began, _now(), shown=refresh)
        if answer is not None and answer.is_success:
            given = refresh
            if kind == "refresh":
                given = answer.json()["refresh_token"]
                held[session] = answer.json()["access_token"], given
            step = replace(step, outcome="ok", given=given)
        elif answer is not None and answer.status_code != 503:  # which may not be known (rule 15)
            step = replace(step, outcome="fail", code=answer.json()["code"])
            if step.code != "session_ended":
                self.strange.append(answer.text)
        await self._note(step)
        return step

    async def _ask(
        self, method: str, path: str, body: object = None, token: str = ""
    ) -> httpx.Response | None:
        if self._balancer is not None:
            return await self._balancer.request(method, path, body, token)
        number = self._choose.choice([*self._stage.lives])
        url = f"http://127.0.0.1:{self._stage.ports[number]}/api/v1/{path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            return await self._http.request(method, url, json=body, headers=headers)
        except httpx.HTTPError:
            return None

    async def _note(self, step: Step) -> None:
        async with self._moved:
            self.history.append(step)
            self._moved.notify_all()


def _now() -> int:
    return int(lease_clock() * NANO)
