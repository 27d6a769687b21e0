"""The databases that the contract is held against, each by one factory."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lastcall.clock import system_entropy
from lastcall.events import Timeline
from lastcall.stores.base import Store
from lastcall.stores.opening import open_store
from tests.support.fakes import START


class Backend(Protocol):
    """A database of its own for a test."""

    @property
    def url(self) -> str:
        """Give its address, as a setting names it."""

    def open(self) -> Store:
        """Open it once more, as another process would."""


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

    def open(self) -> Store:
        """Open it once more, as another process would."""
        return open_store(self.url, None, START, system_entropy).store


def open_timeline(path: Path, epoch: str, timeline: Timeline) -> None:
    """Write what a failover or a restore does: a timeline more, with the event that opens it."""
    with closing(sqlite3.connect(path)) as db, db:
        row = (epoch, *timeline)
        db.execute(
            "UPDATE log SET seq = seq + 1, epoch = ?, timeline_number = ?, timeline_name = ?", row
        )
        db.execute(
            "INSERT INTO events (seq, epoch, timeline_number, timeline_name, kind, at, actor_kind,"
            " ended) SELECT seq, epoch, timeline_number, timeline_name, 'timeline_opened', 0,"
            " 'system', 0 FROM log"
        )
