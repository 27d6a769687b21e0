"""Serving, for `serve` and `demo`: the socket, the processes, the signals, the first answer."""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Final

if sys.platform != "win32":
    import resource

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from lastcall.cli.worker import FeedProtocol, LimitedProtocol
from lastcall.clock import lease_clock
from lastcall.credentials import LOOPBACK
from lastcall.errors import Error
from lastcall.leases.messages import LONGEST
from lastcall.settings import Settings, export, share_counts

if TYPE_CHECKING:
    from types import FrameType

    from lastcall.http.app import App

BACKLOG: Final = 2048
PING_SECONDS: Final = 20.0
"""How often a verifier is asked whether it is there, and how long it may take to say so."""
DRAIN_SECONDS: Final = 4.0
"""How long a server that is told to stop goes on serving at most, for those who have not heard."""
QUIET_SECONDS: Final = 1.0
"""After how long without a request it takes it that all have heard."""
SHUTDOWN_SECONDS: Final = 5
"""How long requests under way may take to finish when the server stops."""
WORKER_SECONDS: Final = 15
"""How long a worker may be silent before it is replaced; a busy machine starts one slowly."""
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared, not bound
FORMATTERS: Final[dict[str, dict[str, object]]] = {
    "plain": {
        "()": "lastcall.cli.worker.WithoutWords",
        "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s",
    },
    "access": {
        "()": "uvicorn.logging.AccessFormatter",
        "fmt": '%(asctime)s %(client_addr)s "%(request_line)s" %(status_code)s',
        "use_colors": False,
    },
}
_LOGS: Final[dict[str, object]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"without_query": {"()": "lastcall.cli.worker.WithoutQuery"}},
    "formatters": FORMATTERS,
    "handlers": {
        "plain": {"class": "logging.StreamHandler", "formatter": "plain"},
        "access": {
            "class": "logging.StreamHandler",
            "formatter": "access",
            "filters": ["without_query"],
        },
    },
    "root": {"handlers": ["plain"], "level": "WARNING"},
    "loggers": {
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        "uvicorn.error": {"level": "WARNING"},
    },
}
"""All of it goes to standard error."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens already: clients wait for the first answer and are not refused."""

    socket: socket.socket
    host: str
    """As it was asked for."""
    address: tuple[str, int]
    """Where this machine itself reaches it; the port is the one that the system chose for 0."""

    @property
    def port(self) -> int:
        """The port."""
        return self.address[1]

    @property
    def local(self) -> bool:
        """Whether nobody but this machine reaches it."""
        return self.host in LOOPBACK or self.host.startswith("127.")

    @property
    def url(self) -> str:
        """Its address for people: loopback by name, since passkeys need one."""
        if self.local or self.host in _ANY:
            return f"http://localhost:{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[Listener]:
    """Listen on an address. Raises Error with advice where that can't be done."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Error(f"this machine has no address {host}; check --host") from error
    with opened:
        try:
            if sys.platform != "win32":  # where it would let two programs share a port
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(BACKLOG)
        except OSError as error:
            raise Error(_advice(error, host, port)) from error
        ip, chosen = opened.getsockname()[:2]
        yield Listener(opened, host, (_ANY.get(ip, ip), chosen))


def _advice(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} is taken by another program; stop that one, or choose "
                f"another port with --port (0 takes any that is free)"
            )
        case errno.EACCES:
            return f"port {port} is reserved for the system; choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"this machine has no address {host}; check --host"
        case _:
            return f"can't listen on {host} port {port}: {error.strerror}"


def exit_on_signals() -> None:
    """End in order, with status 0, where somebody stops what is not serving yet."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)


def _exit(_number: int, _frame: "FrameType | None") -> None:
    sys.exit(0)


def run(
    settings: Settings,
    listener: Listener,
    ready: Callable[[], None],
    *,
    workers: int = 1,
    access_log: bool = False,
) -> None:
    """Serve until a signal ends it; call `ready` when the first request has been answered.

    Raises Error where the application can't start.
    """
    export(settings)
    _leave_no_core()
    config = Config(
        "lastcall.cli.worker:app",
        factory=True,
        http=LimitedProtocol,
        ws=FeedProtocol,
        ws_max_size=LONGEST,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,  # what is short and often gains nothing
        lifespan="on",
        workers=workers,
        log_config=_LOGS,
        access_log=access_log,
        proxy_headers=False,  # LASTCALL_TRUSTED_PROXIES rules them
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=WORKER_SECONDS,
    )
    over = threading.Event()
    announcer = threading.Thread(target=_announce, args=(listener, ready, over), daemon=True)
    announcer.start()
    try:
        started = _run_one(config, listener) if workers == 1 else _run_many(config, listener)
    finally:
        over.set()
    announcer.join(timeout=5)
    if not started:
        raise Error("the server could not start; what stands above says why")


def _leave_no_core() -> None:
    """Have a crash write no memory to the disk, of this process or its workers: keys are in it."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Draining(Server):
    """Goes on serving when it is told to terminate, and says at `/readyz` that it won't, until
    nobody asks for anything any more. At an interrupt it stops."""

    _told_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start. What is there by then stays: to look through it for garbage, again and again, took
        a twentieth of a refresh."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: "FrameType | None") -> None:
        """Take a signal. The first one to terminate says from when on it goes on."""
        first = not self.should_exit
        super().handle_exit(sig, frame)
        if sig != signal.SIGTERM:
            self._told_at = None
        elif first:
            self._told_at = lease_clock()

    async def on_tick(self, counter: int) -> bool:
        """Say whether it is over: ten times a second."""
        if not await super().on_tick(counter):
            return False
        app: App = self.config.loaded_app
        app.drain()
        return (
            self._told_at is None
            or app.quiet_for() >= QUIET_SECONDS
            or lease_clock() - self._told_at >= DRAIN_SECONDS
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take in whoever is connected before the sockets close: they may have asked already."""
        loop, waiting = asyncio.get_running_loop(), list[socket.socket]()
        for listening in sockets or ():
            waiting += _waiting(listening)
        # At once, before anything is done with them: who connects in between is cut off.
        for closing in (*self.servers, *(sockets or ())):
            closing.close()
        for accepted in waiting:
            taking = loop.create_task(loop.connect_accepted_socket(self._protocol, accepted))
            taking.add_done_callback(lambda taken: taken.result()[1].shutdown())
        await super().shutdown(sockets)

    def _protocol(self) -> LimitedProtocol:
        return LimitedProtocol(self.config, self.server_state, self.lifespan.state)


def _waiting(listening: socket.socket) -> Iterator[socket.socket]:
    with contextlib.suppress(OSError):  # nobody, or nobody any more
        while True:
            accepted, _ = listening.accept()
            yield accepted


def _run_one(config: Config, listener: Listener) -> bool:
    server = Draining(config)

    def stop(_number: int, _frame: "FrameType | None") -> None:
        server.should_exit = True

    # While it serves, uvicorn has handlers of its own; it then raises the signal once more.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        server.run([listener.socket])
    except SystemExit as error:
        return not error.code
    return True


def _run_many(config: Config, listener: Listener) -> bool:
    multiprocess.Process = _Worker  # type: ignore[misc]  # it takes no other kind as an argument
    workers = _Workers(config, [listener.socket])
    with tempfile.TemporaryDirectory(prefix="lastcall-counts-") as folder:
        share_counts(Path(folder))
        workers.run()
    return all(process.exitcode != STARTUP_FAILURE for process in workers.processes)


class _Worker(Process):
    """A worker process: it drains too."""

    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = Draining(self.config)
        return self._server


class _Workers(Multiprocess):
    """Worker processes, started deaf to Ctrl-C, which reaches them all: this process ends them."""

    def init_processes(self) -> None:
        if sys.platform == "win32":
            super().init_processes()
            return
        resource_tracker.ensure_running()  # which unblocks the signal when it starts
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().init_processes()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def terminate_all(self) -> None:
        # Else whoever connects once all workers have closed theirs would wait for nobody.
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


def _announce(listener: Listener, ready: Callable[[], None], over: threading.Event) -> None:
    while not over.is_set():
        connection = HTTPConnection(*listener.address, timeout=2)
        try:
            connection.request("GET", "/readyz", headers={"Host": f"localhost:{listener.port}"})
            if connection.getresponse().status < 500:
                break
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        over.wait(0.05)
    if not over.is_set():
        with contextlib.suppress(OSError):  # nobody reads it
            ready()
