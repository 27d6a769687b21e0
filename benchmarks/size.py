"""`python -m benchmarks.size`: ten million sessions of a million users beside ten thousand of a
thousand, in two databases of one PostgreSQL, which waits for the disk at each commit; and logging
out a user with ten thousand sessions beside one who has one.

What is asked of users and sessions is asked in memory, as on a server that was made for so many:
6.5 GB are read into it before the first round. `--cold` leaves there what filling has left.

It fills 13 GB, which takes a quarter of an hour, so `make bench` leaves it out. With `--server` it
makes the databases `few` and `many` on another server, and leaves them there for the next run,
which makes `few` anew; `--folder` is then where their secret files lie.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import asyncpg
import click
import psutil

from benchmarks import report, servers
from benchmarks.client import OverHttp, User, always, load, loop, request
from benchmarks.crowded import HOME, Crowded
from benchmarks.measure import Case, Outcome, Tasks, Turn, compare
from benchmarks.over_http import API
from benchmarks.scene import begin
from lastcall.clock import SystemClock, system_entropy
from lastcall.identity.administration import OPERATOR
from lastcall.ids import UserId
from lastcall.node import Node
from lastcall.settings import Settings
from lastcall.stores import rows
from lastcall.stores.postgres.hosts import connect
from tools.crowd import Crowd, fill, user_id
from tools.postgres import Cluster, Server

FEW: Final = 10_000
OF_ONE: Final = 10_000
A_USER: Final = 10
"""How many sessions everybody else has."""
SETTINGS: Final = {
    "shared_buffers": f"{psutil.virtual_memory().total // 3 // 2**20}MB",
    "max_wal_size": "2GB",
    "maintenance_work_mem": "512MB",
}
WARM: Final = ("users", "sessions")
"""The tables that are read into memory before, with their indexes."""
TOGETHER: Final = 8
HOW_TO_READ: Final = """\
p50: milliseconds, of the store unless it says HTTP: with few, with many. ratio: the time with many
over that with few (of the log-outs: with ten thousand sessions over that with one), within one
round; the median of the rounds, and from which to which."""

Operation = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Times:
    """An operation that is done so many times in a turn, since there is no more of it; what puts
    things back is not counted."""

    name: str
    operation: Operation
    times: int
    put_back: Operation | None = None

    async def run(self, _seconds: float) -> Turn:
        """Do it."""
        latencies = []
        for _ in range(self.times):
            before = perf_counter()
            await self.operation()
            latencies.append(perf_counter() - before)
            if self.put_back:
                await self.put_back()
        return Turn(sum(latencies), latencies)


def cases(few: Crowded, many: Crowded) -> Iterator[Case]:
    """Give the cases, each with the few first."""

    def both(name: str, of: Callable[[Crowded], Operation], clients: int = 1) -> Case:
        sides = [Tasks(side, [of(it)] * clients) for side, it in (("few", few), ("many", many))]
        return Case(name, clients, sides[0], (sides[1],))

    def times(name: str, of: Callable[[Crowded], Operation], number: int) -> Case:
        return Case(name, 1, Times("few", of(few), number), (Times("many", of(many), number),))

    for clients in (1, TOGETHER):
        yield both("refresh", lambda it: it.refresh, clients)
        yield both("list", lambda it: it.list_sessions, clients)
    yield both("list, regulars", lambda it: partial(it.list_sessions, regular=True))
    yield times("terminate", lambda it: it.end, 200)
    yield times("log out", lambda it: it.log_out, 30)
    for clients in (1, TOGETHER):
        yield both("search, one is called so", lambda it: it.search, clients)
    yield both("search, all are", lambda it: partial(it.search, "example"))
    yield both("search, nobody is", lambda it: partial(it.search, "nobody"))
    yield both("audit log, newest", lambda it: it.read_records)
    yield both("audit log, anywhere", lambda it: partial(it.read_records, deep=True))
    yield both("audit log, of a user", lambda it: partial(it.read_records, of_user=True))
    yield both("purge: read 500", lambda it: it.look_to_purge)
    yield times("purge: delete 5", lambda it: it.delete, 20)


@dataclass(frozen=True, slots=True)
class Served:
    """A crowd with a server on its database, a service's key for it, and a way past it."""

    crowded: Crowded
    raw: "asyncpg.Connection[asyncpg.Record]"
    node: Node
    port: int
    key: str


def over_http(few: Served, many: Served) -> Iterator[Case]:
    """Give the cases over HTTP."""

    def both(name: str, of: Callable[[Served], User], length: float = 1) -> Case:
        sides = [
            OverHttp(side, it.port, lambda it=it: [of(it)])  # type: ignore[misc]
            for side, it in (("few", few), ("many", many))
        ]
        return Case(f"{name}, over HTTP", 1, sides[0], (sides[1],), length)

    yield both("refresh", lambda it: it.crowded.refreshing())
    yield both("list", lambda it: it.crowded.listing(it.key))
    yield both("terminate", lambda it: it.crowded.ending(it.key), 0.5)


async def log_outs(many: Served) -> list[Case]:
    """Give the cases of logging out who has one session, beside who has ten thousand; both are
    signed in again each time."""
    node = many.node
    one = await node.identity.add_user(HOME, f"{new_name()}@example.com")
    await begin(node.sessions, one, (await node.store.log_end()).position)

    async def over_http(user: UserId) -> None:
        ask = request("POST", f"{API}/users/{user}/logout", b"{}", token=many.key)
        await load(many.port, [always(ask)], 0)

    async def sign_in_again(user: UserId) -> None:
        await many.raw.execute("UPDATE users SET ended_seq = 0 WHERE id = $1", user)

    def both(name: str, act: Callable[[UserId], Awaitable[object]]) -> Case:
        sides = [
            Times(who, partial(act, user), 20, partial(sign_in_again, user))
            for who, user in (("one", one.id), ("ten thousand", UserId(user_id(1))))
        ]
        return Case(name, 1, sides[0], (sides[1],))

    log_out = many.crowded.log_out
    return [both("log out", log_out), both("log out, over HTTP", over_http)]


async def account_log_outs(few: Served, many: Served) -> Case:
    """Give the case of logging out all of an account; they are signed in again each time."""

    async def log_out(name: str, side: Served) -> Times:
        account = await side.node.store.find_account(HOME)
        if account is None:
            raise LookupError(HOME)
        act = partial(
            side.node.sessions.endings.terminate_account,
            account,
            "terminated_by_admin",
            OPERATOR,
            None,
        )
        sign_in_again = partial(side.raw.execute, "UPDATE accounts SET ended_seq = 0")
        return Times(name, act, 3, sign_in_again)

    sides = [await log_out("few", few), await log_out("many", many)]
    return Case("log out an account", 1, sides[0], (sides[1],))


def new_name() -> str:
    """Give a name that nobody has."""
    return f"one-{system_entropy(6).hex()}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Write what was measured."""
    lines = [f"{'operation':26}{'clients':>8}{'p50':>9}{'p50':>9}{'ratio':>7}"]
    for one in outcomes:
        (other,) = one.floors
        ratios = one.ratios(other)
        middles = "".join(f"{side.latency(0.5) * 1e3:9.2f}" for side in (one.lastcall, other))
        spread = f"  ({min(ratios):.2f}-{max(ratios):.2f})"
        lines.append(f"{one.case:26}{one.clients:8}{middles}{median(ratios):7.2f}{spread}")
    return "\n".join(lines)


_PREWARM: Final = """
SELECT sum(pg_prewarm(indexrelid) + CASE WHEN indisprimary THEN pg_prewarm(indrelid) ELSE 0 END)
FROM pg_index WHERE indrelid = $1::regclass
"""
_UPDATES: Final = "SELECT n_tup_{}upd FROM pg_stat_user_tables WHERE relname = 'sessions'"
_HERE: Final = "SELECT true FROM pg_database WHERE datname = $1"


def updates(server: Server, database: str) -> tuple[int, int]:
    """Tell how many rows of sessions were updated there, and how many of them moved no index."""
    every, hot = (server.value(_UPDATES.format(kind), database=database) for kind in ("", "hot_"))
    return every, hot


async def make(server: Server, folder: Path, name: str, crowd: Crowd) -> Settings:
    """Make and fill a database, unless the many are there; give a node's settings on it."""
    made = folder / name
    made.mkdir(exist_ok=True)
    where = Settings(database_url=server.url(name), secret_file=made / "lastcall.key")
    if name == "few":
        server.drop_database(name)
    elif server.value(_HERE, name):
        return where
    server.create_database(name)
    node = await Node.open(where)
    await node.close()
    length = crowd.users + crowd.sessions
    with click.progressbar(length=length, label=f"Filling {name}", file=sys.stderr) as bar:
        await fill(where.database_url, crowd, bar.update)
    return where


async def measure(
    server: Server, folder: Path, given: argparse.Namespace, tell: Callable[[str], None]
) -> tuple[list[Outcome], list[Outcome]]:
    """Fill, and run the rounds: of few beside many, and of the log-outs."""
    at = rows.micros(SystemClock().now())
    crowds = {
        "few": Crowd(FEW // A_USER, FEW, at, A_USER),
        "many": Crowd(given.sessions // A_USER, given.sessions, at, OF_ONE),
    }
    places = {name: await make(server, folder, name, crowd) for name, crowd in crowds.items()}
    server.execute("CHECKPOINT")
    if not given.cold:
        for name in places:
            server.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm", database=name)
            for table_ in WARM:
                tell(f"reading {table_} of the {name} into memory")
                server.value(_PREWARM, table_, database=name)
    async with AsyncExitStack() as stack:

        async def serve(name: str) -> Served:
            where = places[name]
            node = await Node.open(where, serving=True)
            stack.push_async_callback(node.close)
            _, key = await node.services.create(HOME, new_name(), ("sessions",), OPERATOR)
            flags = {"--database-url": where.database_url, "--secret-file": str(where.secret_file)}
            words = [text for pair in flags.items() for text in pair]
            port = stack.enter_context(servers.lastcall(folder, sys.executable, *words))
            crowded = Crowded(node.store, crowds[name])
            raw = await connect(where.database_url)
            stack.push_async_callback(raw.close)
            await crowded.mint(raw, node.secrets)
            return Served(crowded, raw, node, port, key)

        few, many = await serve("few"), await serve("many")
        users = await log_outs(many)
        sizes = [
            one
            for one in (
                *cases(few.crowded, many.crowded),
                *over_http(few, many),
                await account_log_outs(few, many),
            )
            if given.only in one.name
        ]
        return (
            await compare(sizes, given.rounds, given.seconds, tell),
            await compare(users, given.rounds, given.seconds, tell),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.size", description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000_000, help="how many are many")
    parser.add_argument("--rounds", type=int, default=5, help="how often; 5")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn lasts; 1")
    parser.add_argument("--only", metavar="NAME", default="", help="operations with NAME in it")
    parser.add_argument("--cold", action="store_true", help="read nothing into memory before")
    parser.add_argument("--server", metavar="URL", help="a server that is there already")
    parser.add_argument("--folder", type=Path, help="where secret files lie, and stay")
    given = parser.parse_args(arguments)

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with ExitStack() as stack:
        server = Server(given.server) if given.server else Cluster(settings=SETTINGS)
        if isinstance(server, Cluster):
            stack.callback(server.close)
            server.start()
        folder = given.folder or Path(stack.enter_context(TemporaryDirectory()))
        facts = report.machine(folder)
        runner = stack.enter_context(loop())
        sizes, users = runner.run(measure(server, folder, given, tell))
        hot = {name: updates(server, name) for name in ("few", "many")}
    print(f"\n{FEW:,} sessions beside {given.sessions:,}:\n\n{table(sizes)}\n")
    print(f"A user with one session beside one with {OF_ONE:,}:\n\n{table(users)}\n")
    for name, (every, kept) in hot.items():
        share = kept / every if every else 0
        print(f"{name}: {every:,} updates of sessions since the start, {share:.1%} moved no index")
    print(f"\n{report.describe(facts)}\n\n{HOW_TO_READ}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
