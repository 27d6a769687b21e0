"""What several of the unit tests ask for."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doctor import Doctor, born, open_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that every user may enter."""
    with open_folder() as made:
        yield made


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database in perfect order, to copy."""
    return born(Doctor(tmp_path_factory.mktemp("healthy"))).folder


@pytest.fixture
def doctor(folder: Path, healthy: Path) -> Doctor:
    """A doctor, and a database in perfect order."""
    for name in ("lastcall.db", "lastcall.key"):
        shutil.copy2(healthy / name, folder)
    return Doctor(folder)
