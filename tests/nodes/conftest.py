"""A database for nodes, with an owner and keys."""

import secrets
from collections.abc import Iterator

import pytest

from tests.faults.stage import Prepared
from tests.nodes.site import Site, write_settings
from tests.support.servers import Server as Node
from tools.postgres import Server


@pytest.fixture(scope="session")
def template(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Prepared]]:
    """The name of a database with an owner and keys, and the folder that goes with it."""
    name, folder = f"nodes_{secrets.token_hex(8)}", tmp_path_factory.mktemp("nodes")
    write_settings(folder, postgres.create_database(name))
    yield name, Prepared.make(folder)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def site(
    template: tuple[str, Prepared], postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A copy of it for a module's tests."""
    (source, prepared), name = template, f"test_{secrets.token_hex(8)}"
    postgres.create_database(name, source)
    yield Site.make(prepared, tmp_path_factory.mktemp("site"), postgres, name)
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def pair(site: Site) -> Iterator[tuple[Node, Node]]:
    """Two nodes for a module's tests."""
    with site.nodes(2) as (one, two):
        yield one, two
