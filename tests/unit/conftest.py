"""What several of the unit tests ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doctor import Doctor, born, open_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that every user may enter."""
    with open_folder() as made:
        yield made


@pytest.fixture
def doctor(folder: Path) -> Doctor:
    """A doctor, and a database in perfect order."""
    return born(Doctor(folder))
