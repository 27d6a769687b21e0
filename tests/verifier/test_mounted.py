"""A server that is mounted in an application: it verifies in its own process, without a network."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lastcall import InvalidToken, SessionEnded, Unavailable
from lastcall.events import SYSTEM
from lastcall.http.app import App
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.leases.node import NodeSide
from lastcall.node import Node
from lastcall.server import create_app
from lastcall.settings import Settings
from tests.support.children import in_child
from tests.support.fakes import FakeClock
from tests.support.nodes import calls, set_up, sign_in


@pytest.fixture
async def app(node: Node, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """The server of an account, mounted in an application in this loop, without a network."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    await set_up(node)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    app = create_app(node.settings, node=node)
    yield app
    await app.close()


async def test_a_token_is_verified_in_the_process(app: App, node: Node) -> None:
    """The first check opens the node; then `verify` needs nobody."""
    tokens = await sign_in(node)
    session = await app.verifier.averify(tokens.access_token)
    assert session.id == (await calls(node, tokens)).session.id
    found = app.verifier.verify(tokens.access_token)
    assert found == session
    assert app.verifier.verify(tokens.access_token) is found
    status = app.verifier.status()
    assert (status.leased, status.connected, status.checks.introspected) == (True, True, 1)


async def test_an_ended_session_is_refused_once_that_is_confirmed(app: App, node: Node) -> None:
    tokens = await sign_in(node)
    await app.verifier.averify(tokens.access_token)
    app.verifier.verify(tokens.access_token)
    caller = await calls(node, tokens)
    ended = await node.sessions.endings.terminate(
        caller.session.id, "signed_out", SYSTEM, lambda _: True
    )
    assert (await node.confirmations.follow(ended, 5)).confirmation.state == "confirmed"
    with pytest.raises(SessionEnded) as error:
        app.verifier.verify(tokens.access_token)
    assert error.value.reason == "signed_out"


async def test_without_a_lease_the_node_renews_it_first(
    app: App, node: Node, clock: FakeClock
) -> None:
    """In its own loop only who awaits can wait for that; from another thread, both can."""
    token = (await sign_in(node)).access_token
    session = await app.verifier.averify(token)
    lost = float("-inf")
    node.leases.side.view.leased_until = lost
    with pytest.raises(Unavailable):
        app.verifier.verify(token)
    with pytest.raises(Unavailable):
        app.verifier.wait_ready()
    assert await asyncio.to_thread(app.verifier.verify, token) == session
    node.leases.side.view.leased_until = lost
    await asyncio.to_thread(app.verifier.wait_ready)
    assert app.verifier.verify(token) == session
    node.leases.side.view.leased_until = lost
    assert await asyncio.to_thread(lambda: asyncio.run(app.verifier.averify(token))) == session


async def test_a_node_without_its_database_decides_nothing(
    app: App, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await sign_in(node)).access_token
    await app.verifier.averify(token)

    async def fail(*_: object, **__: object) -> None:
        raise Unavailable("no database")

    monkeypatch.setattr(node.store, "commit", fail)
    monkeypatch.setattr(node.leases, "_renew", fail)
    node.leases.side.view.leased_until = float("-inf")
    with pytest.raises(Unavailable):
        await app.verifier.averify(token)
    with pytest.raises(Unavailable):
        await asyncio.to_thread(app.verifier.verify, token)
    assert not app.verifier.status().leased


async def test_a_verifier_may_be_for_one_account(app: App, node: Node) -> None:
    tokens = await sign_in(node)
    account = (await calls(node, tokens)).user.account_id
    own, other = app.verifier_for(account), app.verifier_for("a_other")
    for _ in range(2):
        assert (await own.averify(tokens.access_token)).account_id == account
        with pytest.raises(InvalidToken):
            await other.averify(tokens.access_token)


async def test_what_does_not_run_accepts_nothing(node: Node) -> None:
    tokens = await set_up(node)
    app = create_app(node.settings, node=node)
    with pytest.raises(Unavailable):
        app.verifier.verify(tokens.access_token)
    await app.verifier.averify(tokens.access_token)
    app.verifier.verify(tokens.access_token)
    await app.close()
    assert not app.verifier.status().connected
    with pytest.raises(Unavailable):
        app.verifier.verify(tokens.access_token)


async def test_a_child_of_the_serving_process_accepts_nothing(app: App, node: Node) -> None:
    token = (await sign_in(node)).access_token
    await app.verifier.averify(token)
    app.verifier.verify(token)

    def act() -> None:
        assert not app.verifier.status().leased
        with pytest.raises(Unavailable):
            app.verifier.verify(token)

    assert in_child(os.fork, act) == 0


def test_an_application_made_before_a_fork_serves_and_verifies_in_the_child(
    tmp_path: Path,
) -> None:
    """As under gunicorn with `preload_app`: the node is the child's own."""
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'lastcall.db'}")
    app = create_app(settings, passwords=Passwords(CHEAP))

    async def serve() -> None:
        node = (await app.open()).node
        token = (await set_up(node)).access_token
        session = app.verifier.verify(token)
        found = await asyncio.to_thread(app.verifier_for(session.account_id).verify, token)
        assert found == session
        assert app.verifier.status().leased
        await app.close()

    assert in_child(os.fork, lambda: asyncio.run(serve())) == 0


async def test_a_verifier_whose_mark_is_wiped_accepts_nothing(app: App, node: Node) -> None:
    """As in a child of the serving process, step by step."""
    token = (await sign_in(node)).access_token
    await app.verifier.averify(token)
    app.verifier._mark[0] = 0  # type: ignore[index]  # noqa: SLF001  what MADV_WIPEONFORK does
    with pytest.raises(Unavailable):
        await app.verifier.averify(token)
    with pytest.raises(Unavailable):
        app.verifier.verify(token)


async def test_a_node_that_gets_no_lease_decides_nothing(
    app: App, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await sign_in(node)).access_token
    await app.verifier.averify(token)
    monkeypatch.setattr(NodeSide, "leased", lambda *_: False)
    with pytest.raises(Unavailable):
        await node.leases.require()
