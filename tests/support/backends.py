"""The databases that the contract is held against, each by one factory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lastcall.clock import system_entropy
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
