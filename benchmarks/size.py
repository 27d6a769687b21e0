"""`python -m benchmarks.size`: ten million sessions of a million users beside ten thousand of a
thousand, in two databases of one PostgreSQL, which waits for the disk at each commit; and logging
out a user with ten thousand sessions beside one who has one.

It fills 13 GB, which takes a quarter of an hour, so `make bench` leaves it out. With `--server` it
makes the databases `few` and `many` on another server, and leaves them there for the next run,
which makes `few` anew; `--folder` is then where their secret files lie.
"""

import argparse
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import click

from benchmarks import report, servers
from benchmarks.client import OverHttp, User, always, load, loop, request
from benchmarks.measure import Case, Outcome, Tasks, Turn, compare
from benchmarks.over_http import API
from benchmarks.scene import begin
from lastcall.audit import Record
from lastcall.clock import SystemClock, system_entropy
from lastcall.digests import digest
from lastcall.errors import LostRace
from lastcall.events import SYSTEM
from lastcall.identity.administration import OPERATOR
from lastcall.ids import AccountId, SessionId, UserId
from lastcall.node import Node
from lastcall.sessions.policy import Policy
from lastcall.settings import Settings
from lastcall.stores import base, rows
from lastcall.stores.postgres.hosts import connect
from tools.crowd import ACCOUNT, Crowd, fill, session_id, user_id
from tools.postgres import Cluster, Server

HOME: Final = AccountId(ACCOUNT)
POLICY: Final = Policy()
FEW: Final = 10_000
OF_ONE: Final = 10_000
A_USER: Final = 10
"""How many sessions everybody else has."""
SETTINGS: Final = {"shared_buffers": "1GB", "max_wal_size": "2GB", "maintenance_work_mem": "512MB"}
SAMPLE: Final = 200_000
"""Of how many sessions, all over the table, those are that are asked for."""
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


class Crowded:
    """A database full of people, and what is asked of it. Each operation has a third of the users
    to itself."""

    def __init__(self, store: base.Store, crowd: Crowd) -> None:
        self._store = store
        self._crowd = crowd
        self._chance = random.Random()
        self._oldest = crowd.sessions * 9 // 10  # from here on, they are there to be deleted
        others = range(crowd.of_one + 1, self._oldest)
        numbers = self._chance.sample(others, min(SAMPLE, len(others)))
        parts = [[one for one in numbers if self._user(one) % 3 == part] for part in range(3)]
        self._kept = cycle(parts[0])
        self._ending = iter(parts[1])
        self._leaving = cycle(parts[2])
        self._dropped = self._oldest + self._chance.randrange(crowd.sessions // 50)
        self._generations: dict[int, int] = {}

    def _user(self, session: int) -> int:
        return 2 + session % (self._crowd.users - 1)  # as `tools.crowd` gives them out

    async def refresh(self) -> None:
        """Refresh a session: the next one that is as it was filled in, or as this left it."""
        while not await self._refresh(next(self._kept)):
            pass

    async def _refresh(self, number: int) -> bool:
        generation = self._generations.get(number, 1)
        shown, successor = (
            digest((f"{number}" if one == 1 else f"{number} {one}").encode())
            for one in (generation, generation + 1)
        )
        named = SessionId(session_id(number))
        now = SystemClock().now()
        done = await self._store.refresh(
            base.Refresh(named, generation, shown, successor, bytes(60), "192.0.2.1", now, POLICY)
        )
        self._generations[number] = generation + 1
        return done is not None

    async def list_sessions(self) -> None:
        """List somebody's sessions."""
        user = UserId(user_id(self._user(next(self._kept))))
        query = base.SessionQuery(user, "active", POLICY, SystemClock().now())
        if not await self._store.list_sessions(query):
            raise LookupError(user)

    async def end(self) -> None:
        """End a session."""
        number = next(self._ending)
        user, now = UserId(user_id(self._user(number))), SystemClock().now()
        ended = SessionId(session_id(number))
        with suppress(LostRace):  # a run before has ended it
            await self._store.commit(
                base.EndSession(ended, user, HOME, "revoked", SYSTEM, now),
                base.AddRecord(Record("session.sign_out", now, HOME, user, SYSTEM)),
            )

    def listing(self, key: str) -> User:
        """List somebody's sessions over HTTP, as a service."""

        def ask() -> bytes:
            user = user_id(self._user(next(self._kept)))
            return request("GET", f"{API}/users/{user}/sessions", token=key)

        return User(ask)

    def ending(self, key: str) -> User:
        """End a session over HTTP, as a service."""

        def ask() -> bytes:
            ended = session_id(next(self._ending))
            return request("DELETE", f"{API}/sessions/{ended}", token=key)

        return User(ask)

    async def log_out(self, user: UserId | None = None) -> None:
        """Log somebody out."""
        user = user or UserId(user_id(self._user(next(self._leaving))))
        now = SystemClock().now()
        await self._store.commit(
            base.EndUser(user, HOME, None, "terminated_by_admin", SYSTEM, now, POLICY),
            base.AddRecord(Record("user.logout", now, HOME, user, SYSTEM)),
        )

    async def search(self, text: str | None = None) -> None:
        """Search users, for one of them unless it is said for what."""
        wanted = text or f"user{1 + self._chance.randrange(self._crowd.users)}@"
        await self._store.list_users(base.UserQuery(HOME, POLICY, SystemClock().now(), text=wanted))

    async def read_records(self, *, deep: bool = False, of_user: bool = False) -> None:
        """Read a page of the audit log, from its end or from anywhere, of all or of somebody."""
        before = 1 + self._chance.randrange(self._crowd.sessions) if deep else None
        user = UserId(user_id(self._user(next(self._kept)))) if of_user else None
        await self._store.list_records(base.RecordQuery(HOME, user, before=before))

    async def look_to_purge(self) -> None:
        """Read a piece of the sessions, anywhere, as a purge does."""
        after = session_id(1 + self._chance.randrange(self._crowd.sessions - 500))
        await self._store.over(base.PurgeQuery("sessions", SystemClock().now(), after))

    async def delete(self) -> None:
        """Delete the next five sessions, as if they had been over for long."""
        self._dropped += 5
        keys = tuple(session_id(self._dropped - one) for one in range(5))
        over = rows.moment(self._crowd.at + 400 * 86_400 * 10**6)
        with suppress(LostRace):  # a run before has deleted one of them
            await self._store.commit(base.Drop("sessions", keys, over))


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
    """A crowd with a server on its database, and a service's key for it."""

    crowded: Crowded
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

    yield both("list", lambda it: it.crowded.listing(it.key))
    yield both("terminate", lambda it: it.crowded.ending(it.key), 0.5)


async def log_outs(many: Served, url: str) -> list[Case]:
    """Give the cases of logging out who has one session, beside who has ten thousand; both are
    signed in again each time."""
    raw, node = await connect(url), many.node
    one = await node.identity.add_user(HOME, f"{new_name()}@example.com")
    await begin(node.sessions, one, (await node.store.log_end()).position)

    async def over_http(user: UserId) -> None:
        ask = request("POST", f"{API}/users/{user}/logout", b"{}", token=many.key)
        await load(many.port, [always(ask)], 0)

    async def sign_in_again(user: UserId) -> None:
        await raw.execute("UPDATE users SET ended_seq = 0 WHERE id = $1", user)

    def both(name: str, act: Callable[[UserId], Awaitable[object]]) -> Case:
        sides = [
            Times(who, partial(act, user), 20, partial(sign_in_again, user))
            for who, user in (("one", one.id), ("ten thousand", UserId(user_id(1))))
        ]
        return Case(name, 1, sides[0], (sides[1],))

    log_out = many.crowded.log_out
    return [both("log out", log_out), both("log out, over HTTP", over_http)]


async def account_log_outs(few: Served, many: Served, urls: dict[str, str]) -> Case:
    """Give the case of logging out all of an account; they are signed in again each time."""

    async def log_out(name: str, side: Served) -> Times:
        raw, account = await connect(urls[name]), await side.node.store.find_account(HOME)
        if account is None:
            raise LookupError(HOME)
        act = partial(
            side.node.sessions.endings.terminate_account,
            account,
            "terminated_by_admin",
            OPERATOR,
            None,
        )
        sign_in_again = partial(raw.execute, "UPDATE accounts SET ended_seq = 0")
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
    async with AsyncExitStack() as stack:

        async def serve(name: str) -> Served:
            where = places[name]
            node = await Node.open(where, serving=True)
            stack.push_async_callback(node.close)
            _, key = await node.services.create(HOME, new_name(), ("sessions",), OPERATOR)
            flags = {"--database-url": where.database_url, "--secret-file": str(where.secret_file)}
            words = [text for pair in flags.items() for text in pair]
            port = stack.enter_context(servers.lastcall(folder, sys.executable, *words))
            return Served(Crowded(node.store, crowds[name]), node, port, key)

        few, many = await serve("few"), await serve("many")
        urls = {name: where.database_url for name, where in places.items()}
        users = await log_outs(many, urls["many"])
        sizes = [
            one
            for one in (
                *cases(few.crowded, many.crowded),
                *over_http(few, many),
                await account_log_outs(few, many, urls),
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
