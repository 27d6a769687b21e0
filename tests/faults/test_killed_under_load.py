"""Two server processes on one database, one or both killed again and again under a load: nothing is
lost, nothing comes back, and nobody is signed out without a cause."""

import os
import random
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Literal

import pytest

from tests.faults.machine import BOB, Machine, World, content
from tests.support.history import Step, faults
from tests.support.nodes import DATABASE, EMAIL, PASSWORD

CLIENTS = 4
BETWEEN = 40
"""Answers that come between one kill and the next."""
PATIENCE = 120

Kind = Literal["sign-in", "use", "refresh", "terminate"]


class Load:
    """Clients that write down what they do. Each holds sessions of its own, ended ones as well."""

    def __init__(self, machines: tuple[Machine, ...], world: World) -> None:
        self._machines = machines
        self._world = world
        self._ticks = count()
        self._changed = threading.Condition()
        self.history: list[Step] = []
        self.over = False

    def run(self, seed: int) -> None:
        """Do one thing after the other until it is over; at last use whatever there is."""
        choose = random.Random(seed)
        email, actor = ((EMAIL, "ada"), (BOB, "bob"))[seed % 2]
        held: dict[str, tuple[str, str]] = {}
        while not self.over:
            machine = choose.choice(self._machines)
            kind: Kind = choose.choices(
                ("sign-in", "use", "refresh", "terminate"), weights=(2, 3, 5, 1)
            )[0]
            session = choose.choice(list(held)) if held else ""
            if kind == "sign-in" or not session:
                self._sign_in(machine, email, held)
            else:
                self._do(kind, machine, session, held, self._world.devices[actor].access)
        for session in held:
            self._do("use", self._machines[0], session, held, "")
            self._do("refresh", self._machines[0], session, held, "")

    def wait(self, answers: int) -> None:
        """Wait for so many answers more."""
        with self._changed:
            until = len(self.history) + answers
            assert self._changed.wait_for(lambda: len(self.history) >= until, PATIENCE)

    def _sign_in(self, machine: Machine, email: str, held: dict[str, tuple[str, str]]) -> None:
        began = next(self._ticks)
        body = {"email": email, "password": PASSWORD}
        answer = machine.ask("POST", "/api/v1/sign-in", body)
        # Of one that was not answered or refused nobody knows a session.
        if answer is not None and answer.is_success:
            given = answer.json()
            session = given["session"]["id"]
            held[session] = given["access_token"], given["refresh_token"]
            self._note(Step("sign-in", session, "ok", began, next(self._ticks)))

    def _do(
        self,
        kind: Kind,
        machine: Machine,
        session: str,
        held: dict[str, tuple[str, str]],
        actor: str,
    ) -> None:
        access, refresh = held[session]
        began = next(self._ticks)
        match kind:
            case "refresh":
                answer = machine.ask("POST", "/api/v1/refresh", {"refresh_token": refresh})
            case "terminate":
                answer = machine.ask("DELETE", f"/api/v1/sessions/{session}", token=actor)
            case _:
                answer = machine.ask("GET", "/api/v1/session", token=access)
        step = Step(kind, session, "info", began, next(self._ticks), shown=refresh)
        if answer is not None and not answer.is_success:
            step = replace(step, outcome="fail", code=answer.json()["code"])
        elif answer is not None:
            given = refresh
            if kind == "refresh":
                given = answer.json()["refresh_token"]
                held[session] = answer.json()["access_token"], given
            step = replace(step, outcome="ok", given=given)
        self._note(step)

    def _note(self, step: Step) -> None:
        with self._changed:
            self.history.append(step)
            self._changed.notify_all()


@contextmanager
def stopped(process: int) -> Iterator[None]:
    """Let a process stand still until the block ends."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("kills", [8, pytest.param(150, marks=pytest.mark.soak)])
def test_servers_that_are_killed_under_load_keep_what_they_have_answered(
    machine: Machine, neighbour: Machine, world: World, tmp_path: Path, kills: int
) -> None:
    machines = (machine, neighbour)
    folder = world.begin(machine, tmp_path / "served")
    processes = {id(one): one.start(folder) for one in machines}
    load, choose = Load(machines, world), random.Random(kills)
    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(load.run, seed) for seed in range(CLIENTS)]
        try:
            for _ in range(kills):
                load.wait(BETWEEN)
                victim, other = choose.sample(machines, 2)
                if choose.random() < 1 / 3:
                    processes[id(other)] = other.start(folder)
                with stopped(processes[id(other)]):
                    processes[id(victim)] = victim.start(folder)
            load.wait(BETWEEN)
        finally:
            load.over = True
        for client in clients:
            client.result()
    assert faults(load.history) == []
    outcomes = Counter((step.kind, step.outcome) for step in load.history)
    assert min(outcomes[kind, "ok"] for kind in ("sign-in", "use", "refresh", "terminate")) > 0
    expect_records(folder)
    for one in machines:
        one.close()


RECORDS = """
    SELECT ended_seq IS NOT NULL,
        (SELECT count(*) FROM audit WHERE type = 'session.sign_in' AND target_id = sessions.id),
        (SELECT count(*) FROM audit WHERE type = 'session.terminate' AND target_id = sessions.id),
        (SELECT count(*) FROM events WHERE kind = 'session_ended' AND session_id = sessions.id)
    FROM sessions
"""


def expect_records(folder: Path) -> None:
    """Expect one record of each session's begin, and one record and one event of each end."""
    begun = content(folder / DATABASE)["sessions"]
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        found = Counter(db.execute(RECORDS))
        signed_in = db.execute("SELECT count(*) FROM audit WHERE type = 'session.sign_in'")
        assert signed_in.fetchone() == (len(begun),)
    assert set(found) == {(0, 1, 0, 0), (1, 1, 1, 1)}
