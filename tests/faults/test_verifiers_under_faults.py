"""Real servers, real verifiers and everything that can go wrong between them: whatever is reported
as confirmed is accepted by nobody any more."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from lastcall.clock import lease_clock
from lastcall.digests import decode
from tests.support import servers, verdicts
from tests.support.rough_proxy import Direction, RoughProxy

LEASE = 4
VERIFIERS = 3
SERVERS = 2
HELD = 30
"""How many tokens a verifier is told of when it starts."""
KINDS = (
    "stop_verifier", "stop_server", "kill_server", "kill_verifier", "cut", "stall", "lose", "slow",
)  # fmt: skip
PATIENCE = 60
"""Seconds in which all that was ended must be confirmed once nothing fails any more."""


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Stage:
    """The processes, the ways between them, and the history."""

    folder: Path
    verify_key: str
    sessions_key: str
    broken: bool
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(SERVERS)])
    servers: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    verifiers: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    proxies: dict[tuple[int, int], RoughProxy] = field(default_factory=dict)
    history: list[verdicts.Record] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    open: dict[str, frozenset[str]] = field(default_factory=dict)
    """Terminations that are not confirmed yet, and what they cover."""
    tokens: list[str] = field(default_factory=list)
    """All that were handed out, as verifiers are told of them."""
    live: dict[str, str] = field(default_factory=dict)
    """Sessions that nobody has ended, and whose they are."""

    def start_server(self, number: int) -> None:
        """Start one, and wait until it listens."""
        environment = {**servers.environment(), "LASTCALL_LEASE": str(LEASE)}
        process = subprocess.Popen(
            [sys.executable, "-m", "lastcall", "serve", "--json", f"--port={self.ports[number]}"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline()
        self.servers[number] = process

    def start_verifier(self, number: int) -> None:
        """Start one; it says when it has a lease."""
        ways = [f"http://127.0.0.1:{self.proxies[number, one].port}" for one in range(SERVERS)]
        self.counts["verifiers"] += 1
        name = f"v{number}-{self.counts['verifiers']}"
        history, broken = str(self.folder / f"{name}.jsonl"), "broken" if self.broken else ""
        module = "tests.support.verifying"
        self.verifiers[number] = subprocess.Popen(
            [sys.executable, "-m", module, history, name, self.verify_key, broken, *ways],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # Also those of ended sessions: whoever begins anew must refuse them.
        self._tell(self.verifiers[number], self.tokens[-HELD:])

    def hand_out(self, session: str, token: str) -> None:
        """Give a token to all verifiers."""
        self.tokens.append(f"{session} {token}\n")
        for process in self.verifiers.values():
            self._tell(process, self.tokens[-1:])

    def _tell(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        if process.poll() is None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.write("".join(lines))
                process.stdin.flush()

    def read_checks(self) -> None:
        """Add what the verifiers have written."""
        for path in self.folder.glob("v*.jsonl"):
            whole, _, _ = path.read_bytes().rpartition(b"\n")  # a killed one may end in half a line
            self.history += verdicts.read(whole)

    def end_processes(self) -> None:
        """Kill whatever runs."""
        for process in (*self.servers.values(), *self.verifiers.values()):
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


@contextlib.asynccontextmanager
async def staged(folder: Path, *, broken: bool) -> AsyncIterator[Stage]:
    """Start everything, and wait until every verifier has a lease."""
    servers.add_owner(folder)
    keys = [
        json.loads(servers.run(folder, "key", "create", scope, "--scope", scope, "--json"))["key"]
        for scope in ("verify", "sessions")
    ]
    stage = Stage(folder, keys[0], keys[1], broken)
    try:
        for number in range(SERVERS):
            stage.start_server(number)
            for verifier in range(VERIFIERS):
                proxy = stage.proxies[verifier, number] = RoughProxy(stage.ports[number])
                await proxy.start()
        for verifier in range(VERIFIERS):
            stage.start_verifier(verifier)
        for process in stage.verifiers.values():
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        yield stage
    finally:
        stage.end_processes()
        for proxy in stage.proxies.values():
            await proxy.close()


class People:
    """Sign in and end sessions, one thing after the other, at one of the servers."""

    def __init__(self, stage: Stage, choose: random.Random) -> None:
        self._stage = stage
        self._choose = choose
        bearer = {"Authorization": f"Bearer {stage.sessions_key}"}
        self._http = httpx.AsyncClient(headers=bearer, timeout=3)

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response | None:
        """Ask one of the servers; None where no answer came."""
        port = self._choose.choice(self._stage.ports)
        url = f"http://127.0.0.1:{port}/api/v1{path}"
        try:
            answer = await self._http.request(method, url, json=body)
        except httpx.HTTPError:
            return None
        return answer if answer.is_success else None

    async def begin(self) -> None:
        """Begin a session, and have its token checked everywhere."""
        user = f"user-{self._choose.randrange(5)}"
        client = {"ip": "127.0.0.1", "user_agent": "test"}
        body = {"user": {"external_id": user}, "client": client}
        answer = await self.ask("POST", "/sessions", body)
        if answer is not None:
            made = answer.json()
            session = made["session"]["id"]
            claims = json.loads(decode(made["access_token"].split(".")[1]))
            self._stage.live[session] = claims["sub"]
            self._stage.hand_out(session, made["access_token"])

    async def end(self) -> None:
        """End a session, or all of its user's."""
        stage = self._stage
        session, user = self._choose.choice([*stage.live.items()])
        wait = self._choose.choice((0, 1, 2))
        if self._choose.random() < 0.25:
            covered = frozenset(one for one, whose in stage.live.items() if whose == user)
            answer = await self.ask("POST", f"/users/{user}/logout?wait={wait}")
        else:
            covered = frozenset({session})
            answer = await self.ask("DELETE", f"/sessions/{session}?wait={wait}")
        for one in covered:
            del stage.live[one]  # whatever came of it, it is nobody's to rely on
        if answer is not None:
            stage.counts["ended"] += 1
            self.note(answer, covered)

    def note(self, answer: httpx.Response, covered: frozenset[str]) -> None:
        """Write down what was answered: the promise counts from when the answer is there."""
        now, found = lease_clock(), answer.json()
        if found["state"] == "confirmed":
            self._stage.history.append(verdicts.Confirmed(now, "server", found["id"], covered))
            self._stage.open.pop(found["id"], None)
            self._stage.counts["confirmed"] += 1
        else:
            self._stage.open[found["id"]] = covered

    async def follow(self) -> None:
        """Ask how far those are that were not confirmed."""
        for name, covered in [*self._stage.open.items()]:
            answer = await self.ask("GET", f"/terminations/{name}?wait=0")
            if answer is not None:
                self.note(answer, covered)


class Trouble:
    """Makes things go wrong, one after the other, each for a while."""

    def __init__(self, stage: Stage, choose: random.Random) -> None:
        self._stage = stage
        self._choose = choose
        self._kinds: tuple[Callable[[], Callable[[], None]], ...] = (
            self._stop_verifier, self._stop_server, self._kill_server, self._kill_verifier,
            self._cut, self._stall, self._lose, self._slow,
        )  # fmt: skip

    async def run(self) -> None:
        """Go on until it is cancelled; then all is well again."""
        while True:
            kind = self._choose.choice(self._kinds)
            heal = kind()
            self._stage.counts[kind.__name__.strip("_")] += 1
            try:
                await asyncio.sleep(self._choose.choice((0.1, 0.5, 1.5, LEASE * 1.4)))
            finally:
                await asyncio.to_thread(heal)
            await asyncio.sleep(self._choose.uniform(0.0, 1.0))

    def _signal(self, process: subprocess.Popen[str], name: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, name)

    def _stop_verifier(self) -> Callable[[], None]:
        process = self._choose.choice([*self._stage.verifiers.values()])
        self._signal(process, signal.SIGSTOP)
        return lambda: self._signal(process, signal.SIGCONT)

    def _stop_server(self) -> Callable[[], None]:
        process = self._choose.choice([*self._stage.servers.values()])
        self._signal(process, signal.SIGSTOP)
        return lambda: self._signal(process, signal.SIGCONT)

    def _kill_server(self) -> Callable[[], None]:
        number = self._choose.randrange(SERVERS)
        self._end(self._stage.servers[number])
        return lambda: self._stage.start_server(number)

    def _kill_verifier(self) -> Callable[[], None]:
        number = self._choose.randrange(VERIFIERS)
        self._end(self._stage.verifiers[number])
        return lambda: self._stage.start_verifier(number)

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _proxy(self) -> RoughProxy:
        return self._choose.choice([*self._stage.proxies.values()])

    def _cut(self) -> Callable[[], None]:
        self._proxy().cut()
        return lambda: None

    def _stall(self) -> Callable[[], None]:
        return self._one_way(RoughProxy.stall)

    def _lose(self) -> Callable[[], None]:
        return self._one_way(RoughProxy.lose)

    def _slow(self) -> Callable[[], None]:
        return self._one_way(RoughProxy.slow)

    def _one_way(self, fault: Callable[[RoughProxy, Direction], None]) -> Callable[[], None]:
        proxy, loop = self._proxy(), asyncio.get_running_loop()
        fault(proxy, "up" if self._choose.random() < 0.5 else "down")

        def heal() -> None:
            loop.call_soon_threadsafe(proxy.heal)

        return heal


async def play(folder: Path, endings: int, seed: int, *, broken: bool = False) -> Stage:
    """End so many sessions while things go wrong; give the stage, with its whole history."""
    choose = random.Random(seed)
    async with staged(folder, broken=broken) as stage:
        people = People(stage, random.Random(seed + 1))
        trouble = None if broken else asyncio.create_task(Trouble(stage, choose).run())
        while stage.counts["ended"] < endings:
            while len(stage.live) < 12:
                await people.begin()
            await people.end()
            await people.follow()
        if trouble is not None:
            assert not trouble.done(), "things go wrong until the end"
            trouble.cancel()
            with pytest.raises(asyncio.CancelledError):
                await trouble
        until = lease_clock() + PATIENCE
        while stage.open and lease_clock() < until:
            await people.follow()
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)  # checks go on for a little after the last confirmation
        await people.close()
    stage.read_checks()
    told = f"\n{dict(stage.counts)}, {len(stage.history):,} records\n"
    sys.stdout.write(told)  # `pytest -s` shows it
    return stage


@pytest.mark.parametrize("endings", [100, pytest.param(600, marks=pytest.mark.soak)])
async def test_what_is_confirmed_is_accepted_by_nobody_whatever_fails(
    tmp_path: Path, endings: int
) -> None:
    stage = await play(tmp_path, endings, seed=endings)
    assert verdicts.faults(stage.history, LEASE) == []
    assert not stage.open, "all is confirmed, once nothing fails any more"
    assert stage.counts["confirmed"] >= endings
    accepted = [
        one
        for one in stage.history
        if isinstance(one, verdicts.Check) and one.verdict == "accepted"
    ]
    assert len(accepted) > endings, "verifiers accept what is good"
    troubles = sum(count for kind, count in stage.counts.items() if kind in KINDS)
    assert troubles >= endings / 20, "enough has gone wrong"


async def test_a_verifier_that_acknowledges_what_it_ignores_is_found(tmp_path: Path) -> None:
    """The judge can find a fault: here there is one."""
    stage = await play(tmp_path, 5, seed=1, broken=True)
    assert any(text.startswith("unsafe") for text in verdicts.faults(stage.history, LEASE))
