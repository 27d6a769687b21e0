"""Real servers, real verifiers and rough ways between them: what runs, and the history of it."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme

from lastcall.clock import lease_clock
from lastcall.leases import margins
from tests.conftest import ROOT
from tests.support import servers, verdicts
from tests.support.causes import Known, Outage, Way
from tests.support.network import Network
from tests.support.rough_proxy import RoughProxy

HELD: Final = 30
"""How many tokens a verifier is told of when it starts."""
ALLOWANCE: Final = 1.0
"""Seconds more that a process may take for what it has to do, on a machine that has much to do."""


@dataclass(frozen=True)
class Plan:
    """Who is there, with which lease in seconds, and how servers and the first verifiers break the
    protocol (`tests.support.breaking`). With a network, the first verifier is behind it."""

    lease: int = 4
    servers: int = 2
    verifiers: int = 3
    break_verifiers: tuple[str, ...] = ()
    break_servers: str = ""
    network: bool = False

    @property
    def bound(self) -> float:
        """In how many seconds a process calls confirmed what it knows durable: all clocks are one
        machine's."""
        return margins.kept(self.lease) + ALLOWANCE

    @property
    def left(self) -> float:
        """What is left of a verifier's lease, at any time when all is well."""
        renewed = margins.inside(self.lease * (1 - margins.NODE_RENEWS))
        return renewed - self.lease * margins.VERIFIER_RENEWS - ALLOWANCE / 2


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True)
class Termination:
    """What was ended: which sessions are covered, and by which request it is asked how far that
    is."""

    event: str
    covered: frozenset[str]
    method: str
    path: str


@dataclass
class Stage:
    """The processes, the ways between them, and the history."""

    folder: Path
    plan: Plan
    verify_key: str
    sessions_key: str
    network: Network | None
    known: Known
    ports: list[int] = field(default_factory=list)
    servers: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    lives: dict[int, str] = field(default_factory=dict)
    """The name of each server that runs: another one each time that it starts."""
    stopped: set[int] = field(default_factory=set)
    """Servers that are made to stand still."""
    verifiers: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    proxies: dict[tuple[int, int], RoughProxy] = field(default_factory=dict)
    history: list[verdicts.Record] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    durable: dict[tuple[str, str], float] = field(default_factory=dict)
    """Since when which server must know which termination durable."""
    open: dict[str, Termination] = field(default_factory=dict)
    """Those that no server has called confirmed yet."""
    tokens: list[str] = field(default_factory=list)
    """All that were handed out, as verifiers are told of them."""
    started: Callable[[int], None] = lambda _: None
    """Told of each server that has started."""
    _all: list[subprocess.Popen[str]] = field(default_factory=list)

    # Servers.

    @property
    def environment(self) -> dict[str, str]:
        """That of servers and of command lines."""
        return {**servers.environment(), "LASTCALL_LEASE": str(self.plan.lease)}

    async def start_server(self, number: int) -> None:
        """Start one, and wait until it listens."""
        program = ["lastcall"]
        if self.plan.break_servers:
            program = ["tests.support.breaking", self.plan.break_servers]
        process = self._launch(
            [sys.executable, "-m", *program, "serve", "--json", f"--port={self.ports[number]}"],
            self.environment,
        )
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline), "the server starts"
        self.counts["servers"] += 1
        self.servers[number] = process
        self.lives[number] = f"s{number}-{self.counts['servers']}"
        for event in self.open:
            self._knows(number, event)
        self.started(number)

    def kill_server(self, number: int) -> None:
        """End it at once."""
        del self.lives[number]
        end(self.servers[number])

    async def restart_server(self, number: int) -> None:
        """End it in order, and start it again."""
        del self.lives[number]
        process = self.servers[number]
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 30) == 0
        end(process)
        await self.start_server(number)

    def stop_server(self, number: int) -> None:
        """Have it stand still."""
        self.stopped.add(number)
        self.servers[number].send_signal(signal.SIGSTOP)

    def resume_server(self, number: int, since: float) -> None:
        """Let it go on. Whatever was committed just before it stood still is read only now: by the
        others too, if it stood still while it wrote."""
        self.servers[number].send_signal(signal.SIGCONT)
        self.stopped.discard(number)
        now = lease_clock()
        for which, at in self.durable.items():
            if since - ALLOWANCE < at:
                self.durable[which] = now
        for event in self.open:
            self._knows(number, event)

    def committed(self, event: str) -> None:
        """A termination's commit was answered: whichever server runs reads of it now (rule 10)."""
        for number in self.lives:
            if number not in self.stopped:
                self._knows(number, event)

    def _knows(self, number: int, event: str) -> None:
        self.durable.setdefault((self.lives[number], event), lease_clock())

    # Verifiers.

    def start_verifier(self, number: int) -> None:
        """Start one; it says when it has a lease."""
        ways = [self.proxies[number, server].url for server in range(self.plan.servers)]
        self.counts["verifiers"] += 1
        name = f"v{number}-{self.counts['verifiers']}"
        behind = self.network.command if self.network and number == 0 else ()
        broken = (*self.plan.break_verifiers, *[""] * self.plan.verifiers)[number]
        process = self._launch(
            [
                *behind, sys.executable, "-m", "tests.support.verifying",
                str(self.folder), name, self.verify_key, broken, *ways,
            ],
            {**servers.environment(), "SSL_CERT_FILE": str(self.folder / "authority.pem")},
        )  # fmt: skip
        self.verifiers[number] = process
        # Also those of ended sessions: whoever begins anew must refuse them.
        self.tell(process, self.tokens[-HELD:])

    def hand_out(self, session: str, token: str) -> None:
        """Give a token to all verifiers."""
        self.tokens.append(f"{session} {token}\n")
        for process in self.verifiers.values():
            self.tell(process, self.tokens[-1:])

    def tell(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        """Write lines to a verifier, if it lives."""
        if process.poll() is None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                process.stdin.write("".join(lines))
                process.stdin.flush()

    # The history.

    @contextlib.contextmanager
    def outage(self, kind: str, ways: Iterable[Way]) -> Iterator[None]:
        """Note from when until when something goes wrong, and on which ways."""
        self.counts[kind] += 1
        outage = Outage(kind, lease_clock(), frozenset(ways))
        self.known.outages.append(outage)
        try:
            yield
        finally:
            outage.until = lease_clock()

    def finish(self) -> None:
        """Add what servers must have known and verifiers have written, with its causes."""
        for (process, event), at in self.durable.items():
            self.history.append(verdicts.Durable(at, process, event))
        for path in self.folder.glob("v*.jsonl"):
            whole, _, _ = path.read_bytes().rpartition(b"\n")  # a killed one may end in half a line
            self.history += verdicts.read(whole)
        self.history = [*self.known.judge(self.history)]

    @property
    def faults(self) -> list[str]:
        """What the judge finds."""
        return verdicts.faults(self.history, self.plan.bound)

    @property
    def checks(self) -> list[verdicts.Check]:
        """All that verifiers have said."""
        return [one for one in self.history if isinstance(one, verdicts.Check)]

    def report(self) -> str:
        """Tell of it in a few lines, for people."""
        said = Counter(check.verdict for check in self.checks)
        causes = Counter(
            check.cause for check in self.checks if check.verdict == "unavailable"
        ).items()
        return (
            f"\n{dict(self.counts)}\n{len(self.checks):,} checks recorded: {dict(said)}, "
            f"of which unavailable for {dict(causes)}\n"
            f"the longest that a server knew and did not confirm: "
            f"{verdicts.longest(self.history):.2f} s; the promise is "
            f"{margins.kept(self.plan.lease):.2f} s, judged {self.plan.bound:.2f} s\n"
        )

    # Processes.

    def _launch(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        """Start a process in the folder, as the first of a group that its forks are in too."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._all.append(process)
        return process

    def close(self) -> None:
        """Kill whatever runs."""
        for process in self._all:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


@dataclass(frozen=True)
class Prepared:
    """A folder with a database, and keys for verifiers and for who begins and ends sessions."""

    folder: Path
    verify_key: str
    sessions_key: str

    @classmethod
    def make(cls, folder: Path) -> "Prepared":
        """Make one."""
        servers.add_owner(folder)
        verify, _ = servers.new_key(folder, "verify")
        sessions, _ = servers.new_key(folder, "sessions")
        return cls(folder, verify, sessions)


@contextlib.asynccontextmanager
async def staged(prepared: Prepared, folder: Path, plan: Plan) -> AsyncIterator[Stage]:
    """Start everything on a copy of what is prepared, and wait until every verifier has a lease."""
    shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
    network = Network() if plan.network else None
    known = Known(plan.servers, plan.left)
    stage = Stage(folder, plan, prepared.verify_key, prepared.sessions_key, network, known)
    stage.ports = [free_port() for _ in range(plan.servers)]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    try:
        for number in range(plan.servers):
            await stage.start_server(number)
            for verifier in range(plan.verifiers):
                host, tls = "127.0.0.1", None
                if network and verifier == 0:
                    host, tls = network.here, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                    authority.issue_cert(host).configure_cert(tls)
                proxy = stage.proxies[verifier, number] = RoughProxy(stage.ports[number], host, tls)
                await proxy.start()
        for verifier in range(plan.verifiers):
            stage.start_verifier(verifier)
        for process in stage.verifiers.values():
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        yield stage
    finally:
        stage.close()
        if network is not None:
            network.close()
        for proxy in stage.proxies.values():
            await proxy.close()
