"""The databases that the contract is held against, each by one factory."""

import asyncio
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, NullPool, create_engine, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from lastcall.clock import system_entropy
from lastcall.events import Timeline
from lastcall.stores.base import Store
from lastcall.stores.opening import open_store
from tests.support.fakes import START
from tools.postgres import Server

T = TypeVar("T")


class Backend(Protocol):
    """A database of its own for a test."""

    @property
    def url(self) -> str:
        """Give its address, as a setting names it."""

    @property
    def secret_file(self) -> Path:
        """Tell where its secret file lies."""

    def open(self) -> Store:
        """Open it once more, as another process would."""

    def do(self, act: Callable[[Connection], T]) -> T:
        """Have something done in a transaction of its own, past any store."""


@dataclass(frozen=True)
class SqliteBackend:
    """A file in a folder."""

    folder: Path

    @property
    def path(self) -> Path:
        """Give the database file."""
        return self.folder / "lastcall.db"

    @property
    def url(self) -> str:
        """Give its address, as a setting names it."""
        return f"sqlite:///{self.path}"

    @property
    def secret_file(self) -> Path:
        """Tell where its secret file lies: beside it, where no setting says otherwise."""
        return self.folder / "lastcall.key"

    def copy(self, folder: Path) -> "SqliteBackend":
        """Copy it, while nobody has it open, with its secrets."""
        made = SqliteBackend(folder)
        shutil.copy2(self.path, made.path)
        shutil.copy2(self.secret_file, made.secret_file)
        return made

    def open(self) -> Store:
        """Open it once more, as another process would."""
        return open_store(self.url, None, START, system_entropy).store

    def do(self, act: Callable[[Connection], T]) -> T:
        """Have something done in a transaction of its own, past any store."""
        with create_engine(self.url, poolclass=NullPool).begin() as db:
            return act(db)


@dataclass(frozen=True)
class PostgresBackend:
    """A database of a server, and a folder for its secret file."""

    url: str
    folder: Path

    @property
    def secret_file(self) -> Path:
        """Tell where its secret file lies."""
        return self.folder / "lastcall.key"

    def open(self) -> Store:
        """Open it once more, as another process would."""
        return open_store(self.url, self.secret_file, START, system_entropy).store

    def do(self, act: Callable[[Connection], T]) -> T:
        """Have something done in a transaction of its own, past any store."""
        address = self.url.replace("postgresql://", "postgresql+asyncpg://")

        async def work() -> T:
            async with create_async_engine(address, poolclass=NullPool).begin() as db:
                return await db.run_sync(act)

        with ThreadPoolExecutor(1) as pool:  # an event loop may run here
            return pool.submit(asyncio.run, work()).result()


@dataclass(frozen=True)
class Born:
    """A database of a server that was born once, whose copies cost less than a birth."""

    server: Server
    name: str
    folder: Path

    @classmethod
    def make(cls, server: Server, folder: Path) -> "Born":
        """Have one born."""
        made = cls(server, f"born_{secrets.token_hex(8)}", folder)
        backend = PostgresBackend(server.create_database(made.name), folder)
        backend.open()  # it connects when it is asked for something
        return made

    @contextmanager
    def copy(self) -> Iterator[PostgresBackend]:
        """Give a copy of it with the same secrets."""
        name = f"test_{secrets.token_hex(8)}"
        yield PostgresBackend(self.server.create_database(name, self.name), self.folder)
        self.server.drop_database(name)


def ask(backend: Backend, question: str) -> list[dict[str, Any]]:
    """Ask the database itself; give the rows, by the names of their columns."""
    return backend.do(lambda db: [dict(row) for row in db.exec_driver_sql(question).mappings()])


def run(backend: Backend, *statements: str) -> None:
    """Change the database itself, in one transaction."""

    def act(db: Connection) -> None:
        for statement in statements:
            db.exec_driver_sql(statement)

    backend.do(act)


def rows(backend: Backend) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, by the names of its columns."""

    def read(db: Connection) -> dict[str, list[dict[str, Any]]]:
        return {
            table: sorted(
                (dict(row) for row in db.exec_driver_sql(f'SELECT * FROM "{table}"').mappings()),  # noqa: S608  its own
                key=repr,
            )
            for table in inspect(db).get_table_names()
        }

    return backend.do(read)


def described(db: Connection) -> dict[str, object]:
    """All that a database knows about its tables."""
    inspector = inspect(db)
    return {
        table: (
            [
                (
                    *(
                        column["name"],
                        str(column["type"]),
                        getattr(column["type"], "collation", ""),
                    ),
                    *(column["nullable"], column["default"]),
                )
                for column in inspector.get_columns(table)
            ],
            inspector.get_pk_constraint(table),
            sorted(inspector.get_foreign_keys(table), key=str),
            sorted(inspector.get_unique_constraints(table), key=str),
            sorted(
                (
                    (index["name"], index["column_names"], index["unique"])
                    for index in inspector.get_indexes(table)
                ),
                key=str,
            ),
        )
        for table in inspector.get_table_names()
    }


def dump(backend: Backend) -> object:
    """All that a database holds."""
    return rows(backend), backend.do(described)


def open_timeline(backend: Backend, epoch: str, timeline: Timeline) -> None:
    """Write what a failover or a restore does: a timeline more, with the event that opens it."""
    run(
        backend,
        f"UPDATE log SET seq = seq + 1, epoch = '{epoch}', timeline_number = {timeline.number},"  # noqa: S608  a test's own
        f" timeline_name = '{timeline.name}', settled = FALSE",
        "INSERT INTO events (seq, epoch, timeline_number, timeline_name, kind, at, actor_kind,"
        " ended) SELECT seq, epoch, timeline_number, timeline_name, 'timeline_opened', 0,"
        " 'system', 0 FROM log",
    )
