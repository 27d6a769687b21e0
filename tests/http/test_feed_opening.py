"""Who is let in to the feed: by which key, from where, and in which version."""

from unittest.mock import AsyncMock

import httpx
import pytest
from websockets.typing import Subprotocol

from lastcall.errors import StoreError
from lastcall.leases.messages import Welcome
from lastcall.server import create_app
from tests.http.feeding import Fed, listening
from tests.http.serving import Served, problem
from tests.support.following import connected, eventually, refused


async def test_nobody_follows_without_a_key_of_that_scope(fed: Fed) -> None:
    problem(await refused(fed.port, None), 401, "token_missing")
    problem(await refused(fed.port, "lc_nothing"), 401, "token_invalid")
    problem(await refused(fed.port, await fed.served.key("sessions", "metrics")), 403, "forbidden")
    ada = await fed.served.native()
    problem(await refused(fed.port, ada.access), 401, "token_invalid")


async def test_a_revoked_key_opens_no_feed(fed: Fed) -> None:
    services, account = fed.served.node.services, fed.served.account
    made, text = await services.create(account.id, "gone", ("verify",))
    await services.revoke(account.id, made.id)
    problem(await refused(fed.port, text), 401, "token_invalid")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:8000", "null"])
async def test_no_page_opens_a_feed_whatever_key_it_shows(fed: Fed, origin: str) -> None:
    """No site reads what a browser has been lent: also the server's own pages have no feed."""
    problem(await refused(fed.port, fed.key, origin=origin), 403, "forbidden")


@pytest.mark.parametrize("speaks", [None, "lastcall.feed.2", "chat, LASTCALL.FEED.1"])
async def test_a_feed_is_only_opened_in_a_version_that_is_spoken(
    fed: Fed, speaks: str | None
) -> None:
    problem(await refused(fed.port, fed.key, speaks=speaks), 403, "forbidden")


async def test_of_several_versions_the_one_that_is_spoken_is_taken(fed: Fed) -> None:
    names = [Subprotocol("lastcall.feed.2"), Subprotocol("lastcall.feed.1")]
    async with connected(fed.port, fed.key, subprotocols=names) as opened:
        assert opened.subprotocol == "lastcall.feed.1"


async def test_who_asks_without_an_upgrade_is_told_that_it_takes_one(fed: Fed) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{fed.port}") as client:
        response = await client.get("/feed", headers={"Accept": "text/html"})
    problem(response, 426, "upgrade_required")
    assert response.headers["upgrade"] == "websocket"
    assert response.headers["connection"] == "upgrade"


async def test_a_websocket_on_another_path_is_refused(fed: Fed) -> None:
    for path in ("/", "/feed/", "/live", "/api/v1/session"):
        problem(await refused(fed.port, fed.key, path=path), 404, "not_found")


async def test_a_server_that_can_not_start_says_so_to_a_verifier(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(served.settings, node=served.node)
    monkeypatch.setattr(app, "_open_node", AsyncMock(side_effect=StoreError("planted")))
    async with listening(app) as port:
        problem(await refused(port, "lck_any"), 503, "unavailable")


async def test_beyond_as_many_as_it_serves_the_next_one_is_sent_elsewhere(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lastcall.feed.leases.MOST", 1)
    async with fed.follow():
        problem(await refused(fed.port, fed.key), 503, "unavailable")
    await eventually(lambda: not fed.served.node.leases.connections)
    async with fed.follow() as next_one:
        assert isinstance(next_one.told[0], Welcome)
