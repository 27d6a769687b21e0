"""The databases that processes race on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from lastcall.stores import place

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=("sqlite", "postgresql"))
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database on which every lastcall works that is started in `tmp_path`."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lastcall.db'}"
    url: str = request.getfixturevalue("database")
    with (tmp_path / "lastcall.toml").open("a") as settings:
        settings.write(f'database_url = "{url}"\n')
    return url


@pytest.fixture
def ask(database_url: str) -> Ask:
    """Asks the database itself."""

    def do(question: str) -> list[tuple[Any, ...]]:
        def read(db: Connection) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in db.execute(text(question))]

        return place.find(database_url).exclusively(read)

    return do
