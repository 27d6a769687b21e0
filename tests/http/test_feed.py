"""The feed over real connections: who is let in, what is said in which order, and who is cut."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from unittest.mock import AsyncMock

import httpx
import pytest
import uvicorn
from websockets.typing import Subprotocol

from lastcall.cli.worker import FeedProtocol
from lastcall.errors import StoreError
from lastcall.events import SYSTEM, Position
from lastcall.feed import connections
from lastcall.http.app import App
from lastcall.ids import NodeId
from lastcall.leases.messages import (
    LONGEST,
    Events,
    Goodbye,
    Grant,
    Renew,
    Resume,
    Snapshot,
    Welcome,
    store_position,
    write,
)
from lastcall.leases.verifier import VerifierSide
from lastcall.server import create_app
from lastcall.stores.base import RegisterNode
from tests.http.serving import Served, problem
from tests.http.test_metrics import counts, labels
from tests.support.following import Follower, connected, eventually, following, new_name, refused


@dataclass(frozen=True)
class Fed:
    """A server that listens on loopback, on a clock that only the test moves."""

    served: Served
    port: int
    key: str

    def follow(
        self, side: VerifierSide | None = None, key: str | None = None
    ) -> AbstractAsyncContextManager[Follower]:
        """A verifier that follows it."""
        return following(self.port, key or self.key, side, self.served.clock)

    async def events(self) -> int:
        """Give the log's end."""
        return (await self.served.node.store.log_end()).position.seq


@asynccontextmanager
async def listening(app: App, max_size: int = LONGEST) -> AsyncIterator[int]:
    """Run uvicorn on an application, as `lastcall serve` has it; give its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, loop="none", lifespan="off", log_config=None, proxy_headers=False,
        ws=FeedProtocol, ws_max_size=max_size, ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        app.hang_up()
        server.should_exit = True
        await running


@pytest.fixture
async def fed(served: Served) -> AsyncIterator[Fed]:
    await served.node.leases.start()
    app = create_app(served.settings, node=served.node)
    await app.open()
    async with listening(app) as port:
        yield Fed(served.at(app), port, await served.key("verify"))


# Who is let in.


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


# What is said.


async def test_a_verifier_is_greeted_and_shown_all_that_is_in_force(fed: Fed) -> None:
    ada = await fed.served.native()
    await ada.delete(f"/api/v1/sessions/{ada.session_id}")
    node = fed.served.node
    async with fed.follow() as follower:
        welcome = follower.told[0]
        assert isinstance(welcome, Welcome)
        assert isinstance(follower.told[1], Snapshot)
        assert welcome.account == fed.served.account.id
        assert (welcome.issuer, welcome.lease) == ("http://localhost:8000", 30.0)
        await follower.until_at(await fed.events())
        view = follower.side.view
        assert view is not None
        while ada.session_id not in view.of(welcome.account).sessions:
            await follower.hear()
            view = follower.side.view
            assert view is not None
        assert set(view.keys) == {key["kid"] for key in (await node.signing.ring()).jwks()}


async def test_who_comes_back_with_a_position_is_told_what_followed_and_nothing_else(
    fed: Fed,
) -> None:
    async with fed.follow() as follower:
        side = follower.side
        assert side.view is not None
        before = side.view.seq
    ada = await fed.served.native()
    await ada.delete(f"/api/v1/sessions/{ada.session_id}")
    end, known = await fed.events(), fed.served.node.leases.side
    await eventually(lambda: known.view.seq >= end)
    async with fed.follow(side) as follower:
        told = follower.told[1]
        assert isinstance(told, Events)
        assert told.after == before
        assert [event.session for event in told.events] == [ada.session_id]


async def test_who_has_seen_another_log_is_shown_everything_anew(fed: Fed) -> None:
    async with fed.follow() as follower:
        assert follower.side.view is not None
        position = follower.side.view.position
    other = Position("another-log-", position.timeline, position.seq)
    async with connected(fed.port, fed.key) as opened:
        await opened.send(write(Resume(new_name(), store_position(other))).decode())
        kinds = [json.loads(await opened.recv())["type"] for _ in range(2)]
    assert kinds == ["welcome", "snapshot"]


async def test_an_event_reaches_a_verifier_before_any_grant_that_knows_it(fed: Fed) -> None:
    async with fed.follow() as follower:
        await follower.lease()
        for _ in range(5):
            ada = await fed.served.native()
            await ada.delete(f"/api/v1/sessions/{ada.session_id}?wait=0")
            fed.served.clock.advance(seconds=3)
            # `VerifierSide` refuses a grant that overtakes its events.
            await follower.lease()
        await follower.until_at(await fed.events())
        assert any(isinstance(one, Grant) for one in follower.told)


async def test_others_events_are_known_by_their_number_alone(fed: Fed) -> None:
    elsewhere = await fed.served.node.identity.add_account("Elsewhere")
    await fed.served.add_user("zuleika@elsewhere.example.com", elsewhere)
    theirs = await fed.served.native("zuleika@elsewhere.example.com")
    async with fed.follow() as follower:
        await theirs.delete(f"/api/v1/sessions/{theirs.session_id}?wait=0")
        seq = await fed.events()
        await follower.until_at(seq)
        told = [one for one in follower.told if isinstance(one, Events)]
        assert told[-1].position[2] == seq
        said = "".join(write(one).decode() for one in follower.told)
        for secret in (theirs.session_id, elsewhere.id, "zuleika", "signed_out"):
            assert secret not in said


# Terminations.


async def test_a_termination_is_confirmed_once_every_verifier_has_acknowledged_it(
    fed: Fed,
) -> None:
    ada, other = await fed.served.native(), await fed.served.native()
    async with fed.follow() as one, fed.follow() as two:
        await one.lease()
        await two.lease()
        url = f"/api/v1/sessions/{other.session_id}?wait=30"
        ending = asyncio.create_task(ada.delete(url))
        while not any(isinstance(told, Events) and told.events for told in one.told):
            await one.hear()
        assert not ending.done()
        while not any(isinstance(told, Events) and told.events for told in two.told):
            await two.hear()
        done = (await ending).json()
        assert (done["state"], done["verifiers"], done["acknowledged"]) == ("confirmed", 2, 2)
        assert (done["ended"], done["certain_by"], done["certain_in"]) == (1, None, None)
        later = (await ada.get(f"/api/v1/terminations/{done['id']}?wait=0")).json()
        assert (later["state"], later["ended"]) == ("confirmed", 1)


async def test_what_was_confirmed_stays_so_when_a_node_comes_that_has_acknowledged_nothing(
    fed: Fed,
) -> None:
    ada, other = await fed.served.native(), await fed.served.native()
    done = (await ada.delete(f"/api/v1/sessions/{other.session_id}?wait=30")).json()
    assert (done["state"], done["verifiers"]) == ("confirmed", 0)
    store = fed.served.node.store
    await store.commit(RegisterNode(NodeId("n_new"), timedelta(seconds=30)))
    third, leases = await fed.served.native(), fed.served.node.leases
    await third.delete(f"/api/v1/sessions/{third.session_id}?wait=0")
    event = await store.find_event(int(done["id"].rpartition("_")[2]))
    assert event is not None
    now = fed.served.clock.lease()
    await eventually(lambda: leases.side.progress(event.position, now).state == "confirming")
    later = (await ada.get(f"/api/v1/terminations/{done['id']}?wait=0")).json()
    assert (later["state"], later["certain_by"]) == ("confirmed", None)


async def test_who_stays_silent_is_waited_for_until_its_lease_is_over(fed: Fed) -> None:
    """The caller is told by when it is certain at the latest, a lease and its margin, and is not
    kept waiting once that verifier's own lease has run out."""
    ada, other = await fed.served.native(), await fed.served.native()
    async with fed.follow() as follower:
        await follower.lease()
        follower.deaf = True
        done = (await ada.delete(f"/api/v1/sessions/{other.session_id}?wait=0")).json()
        assert (done["state"], done["verifiers"], done["acknowledged"]) == ("confirming", 1, 0)
        assert done["certain_in"] == 37
        path = f"/api/v1/terminations/{done['id']}"
        fed.served.clock.advance(seconds=29)
        assert (await ada.get(path + "?wait=0")).json()["state"] == "confirming"
        fed.served.clock.advance(seconds=1)
        later = (await ada.get(path + "?wait=30")).json()
        assert (later["state"], later["certain_by"]) == ("confirmed", None)


async def test_who_leaves_an_event_unacknowledged_gets_no_lease(fed: Fed) -> None:
    ada, other = await fed.served.native(), await fed.served.native()
    async with fed.follow() as follower:
        await follower.lease()
        follower.deaf = True
        await ada.delete(f"/api/v1/sessions/{other.session_id}?wait=0")
        await follower.until_at(await fed.events())
        fed.served.clock.advance(seconds=3)
        view = follower.side.view
        assert view is not None
        until = view.leased_until
        await follower.say(Renew(1000, store_position(view.position)))
        # An event more comes after whatever the node had to say to that.
        third = await fed.served.native()
        await third.delete(f"/api/v1/sessions/{third.session_id}?wait=0")
        await follower.until_at(await fed.events())
        assert not [one for one in follower.told if isinstance(one, Grant) and one.request == 1000]
        assert view.leased_until == until


@asynccontextmanager
async def waiting(fed: Fed) -> AsyncIterator[tuple[Follower, asyncio.Task[httpx.Response]]]:
    """An ending that waits for a verifier, which has heard of it and says nothing."""
    ada, other = await fed.served.native(), await fed.served.native()
    async with fed.follow() as follower:
        await follower.lease()
        follower.deaf = True
        ending = asyncio.create_task(ada.delete(f"/api/v1/sessions/{other.session_id}?wait=30"))
        await follower.until(lambda told: isinstance(told, Events) and bool(told.events))
        yield follower, ending


async def test_a_goodbye_is_waited_for_no_more(fed: Fed) -> None:
    async with waiting(fed) as (follower, ending):
        assert follower.side.give_back() == [Goodbye()]
        await follower.say(Goodbye())
        # The node looks again with the next thing that moves; time alone does, too.
        assert (await ending).json()["state"] == "confirmed"


async def test_a_closed_connection_acknowledges_nothing(fed: Fed) -> None:
    ada, other = await fed.served.native(), await fed.served.native()
    async with fed.follow() as follower:
        await follower.lease()
    done = (await ada.delete(f"/api/v1/sessions/{other.session_id}?wait=0")).json()
    assert (done["state"], done["verifiers"], done["acknowledged"]) == ("confirming", 1, 0)


async def test_who_waits_when_the_server_stops_is_told_how_far_it_is(fed: Fed) -> None:
    """It is ended, whoever has not heard of it yet; only an answer could get lost."""
    async with waiting(fed) as (_, ending):
        fed.served.app.hang_up()
        done = (await ending).json()
        assert (done["state"], done["ended"], done["certain_in"]) == ("confirming", 1, 37)


async def test_all_of_a_user_s_sessions_and_all_of_an_account_s_end_by_one_event(
    fed: Fed,
) -> None:
    for _ in range(5):
        await fed.served.native()
    ada = await fed.served.native()
    async with fed.follow() as follower:
        await follower.until_at(await fed.events())
        before = await fed.events()
        assert (await ada.post("/api/v1/sessions/terminate-others")).json()["ended"] == 5
        ended = await fed.served.node.sessions.endings.terminate_account(
            fed.served.account, "terminated_by_admin", SYSTEM, None
        )
        assert ended.ended == 1
        await follower.until_at(await fed.events())
        told = [
            event
            for one in follower.told
            if isinstance(one, Events)
            for event in one.events
            if event.seq > before
        ]
        assert [event.kind for event in told] == ["user_ended", "account_ended"]
        assert [event.spared for event in told] == [ada.session_id, None]


async def test_what_is_counted_tells_of_verifiers_and_confirmations(fed: Fed) -> None:
    ada, other = await fed.served.native(), await fed.served.native()
    async with fed.follow() as follower:
        await follower.lease()
        ending = asyncio.create_task(ada.delete(f"/api/v1/sessions/{other.session_id}?wait=30"))
        await follower.until(lambda told: isinstance(told, Events) and bool(told.events))
        assert (await ending).json()["state"] == "confirmed"
        view = follower.side.view
        assert view is not None
        message = {
            "type": "renew", "request": 9, "position": store_position(view.position),
            "checks": {"accepted": 5, "invalid": 2, "ended": 1, "introspected": 3},
        }  # fmt: skip
        await follower.socket.send(json.dumps(message))
        await follower.until(lambda told: isinstance(told, Grant) and told.request == 9)
        await renewed_after(fed, 3)
        async with fed.served.client() as here:
            seen = counts((await here.get("/metrics")).text)
    assert seen["lastcall_confirmation_seconds_count", labels()] == 1
    assert seen["lastcall_verifiers", labels(state="connected")] == 1
    assert seen["lastcall_verifiers", labels(state="leased")] == 1
    assert seen["lastcall_feed_lag_events", labels()] == 0
    assert seen["lastcall_checks_total", labels(verdict="accepted")] == 5
    assert seen["lastcall_checks_total", labels(verdict="ended")] == 1
    assert seen["lastcall_introspections_by_verifiers_total", labels()] == 3


async def renewed_after(fed: Fed, seconds: float) -> None:
    """Move the clock, and wait until the node has renewed its lease."""
    fed.served.clock.advance(seconds=seconds)
    await renewed(fed)


async def renewed(fed: Fed) -> None:
    """Wait until the node has renewed its lease, after the clock was moved."""
    node = fed.served.node
    await eventually(lambda: node.leases.side.view.leased_until >= node.clock.lease() + 30)


async def test_services_lists_nodes_and_verifiers_of_the_own_account(fed: Fed) -> None:
    elsewhere = await fed.served.node.identity.add_account("Elsewhere")
    theirs = await fed.served.key("verify", account=elsewhere)
    ada = await fed.served.native()
    async with fed.follow() as own, fed.follow(key=theirs):
        await own.lease()
        await renewed_after(fed, 3)
        value = (await ada.get("/api/v1/services")).json()
        (node, verifier) = value["services"]
        assert (node["kind"], node["current"], node["leased"]) == ("node", True, True)
        assert (verifier["kind"], verifier["id"]) == ("verifier", own.side.name)
        assert (verifier["service"], verifier["leased"]) == ("shop", True)
        assert (verifier["ip"], verifier["node"]) == ("127.0.0.1", node["id"])
        assert (verifier["behind"], value["seq"]) == (0, await fed.events())
        first = (await ada.get("/api/v1/services?limit=1")).json()
        rest = (await ada.get(f"/api/v1/services?limit=1&before={first['next']}")).json()
        assert [first["services"], rest["services"], rest["next"]] == [[node], [verifier], None]


# Who is cut.


async def close_of(fed: Fed, *said: str | bytes, first: bool = True) -> tuple[int, str]:
    """Say something as a verifier that follows, or first of all; give how that is closed."""
    if first:
        async with connected(fed.port, fed.key) as opened:
            follower = Follower(opened, VerifierSide(new_name()), fed.served.clock)
            for one in said:
                await opened.send(one)
            return await follower.closed()
    async with fed.follow() as follower:
        for one in said:
            await follower.socket.send(one)
        return await follower.closed()


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{}",
        "nothing",
        "[]",
        '{"type":"grant","request":1,"seconds":30,"position":["a","1.b",1],"now":0}',
        '{"type":"resume"}',
        '{"type":"resume","verifier":"short"}',
        '{"type":"resume","verifier":"a-name-long-enough","position":["e","no timeline",1]}',
        '{"type":"resume","verifier":"a-name-long-enough","position":["e","1.abcdefghijkl",-1]}',
        '{"type":"ack","position":["e","1.abcdefghijkl",1]}',
        '{"type":"goodbye"}',
        "[" * 100_000,
        b"\x00\x01",
    ],
)
async def test_what_is_not_of_this_protocol_closes_the_connection(
    fed: Fed, said: str | bytes
) -> None:
    for first in (True, False):
        if not first and said == '{"type":"goodbye"}':
            continue
        code, reason = await close_of(fed, said, first=first)
        assert (code, reason) == (1002, connections.CLOSES[1002])
    async with fed.follow() as another:
        await another.lease()


async def test_what_was_not_told_can_not_be_acknowledged(fed: Fed) -> None:
    async with fed.follow() as follower:
        assert follower.side.view is not None
        epoch, timeline, seq = store_position(follower.side.view.position)
        said = {"type": "ack", "position": [epoch, timeline, seq + 1000]}
        await follower.socket.send(json.dumps(said))
        assert (await follower.closed())[0] == connections.PROTOCOL_ERROR


async def test_a_message_over_the_limit_closes_the_connection(fed: Fed) -> None:
    code, _ = await close_of(fed, "x" * (LONGEST + 1))
    assert code == 1009


async def test_members_that_this_version_does_not_know_are_passed_over(fed: Fed) -> None:
    async with connected(fed.port, fed.key) as opened:
        said = {"type": "resume", "verifier": new_name(), "agent": "curl", "colour": "red"}
        await opened.send(json.dumps(said))
        kinds = [json.loads(await opened.recv())["type"] for _ in range(2)]
        assert kinds == ["welcome", "snapshot"]


async def test_a_second_connection_of_the_same_verifier_takes_the_first_one_s_place(
    fed: Fed,
) -> None:
    async with fed.follow() as first:
        name = first.side.name
        async with fed.follow(VerifierSide(name)) as second:
            assert await first.closed() == (4000, connections.CLOSES[4000])
            await second.lease()


async def test_another_account_s_verifier_of_the_same_name_takes_nobody_s_place(fed: Fed) -> None:
    elsewhere = await fed.served.node.identity.add_account("Elsewhere")
    theirs = await fed.served.key("verify", account=elsewhere)
    async with fed.follow() as own, fed.follow(VerifierSide(own.side.name), theirs) as other:
        await other.lease()
        await own.lease()


async def test_revoking_a_key_closes_its_connections_and_no_others(fed: Fed) -> None:
    services, account = fed.served.node.services, fed.served.account
    made, text = await services.create(account.id, "going", ("verify",))
    async with fed.follow() as stays, fed.follow(key=text) as goes:
        await services.revoke(account.id, made.id)
        fed.served.clock.advance(seconds=3)
        assert await goes.closed() == (4002, connections.CLOSES[4002])
        await stays.lease()


async def test_who_reads_too_slowly_is_cut_and_the_others_are_not(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is bounded; it is let go although nothing can be sent to it any more."""
    monkeypatch.setattr(connections, "QUEUE", 10)
    leases = fed.served.node.leases
    async with fed.follow() as reads, slow(fed) as connection:
        await reads.lease()
        text = '{"type":"recall","for":"' + "x" * 200_000 + '"}'
        for _ in range(200):
            connection.put(text, part=False)
            assert len(connection.queue) <= 11
            await asyncio.sleep(0)
        assert connection.close_code == connections.TOO_SLOW
        await eventually(lambda: connection not in leases.connections)
        fed.served.clock.advance(seconds=3)
        await reads.lease()


@asynccontextmanager
async def slow(fed: Fed) -> AsyncIterator[connections.Connection]:
    """A verifier that follows and reads nothing; give the server's end of it."""
    known = set(fed.served.node.leases.connections)
    reader, writer = await asyncio.open_connection("127.0.0.1", fed.port, limit=64)
    writer.write(
        b"GET /feed HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: lastcall.feed.1\r\nAuthorization: Bearer "
        + fed.key.encode()
        + b"\r\n\r\n"
    )
    await reader.readline()
    await eventually(lambda: set(fed.served.node.leases.connections) > known)
    yield (set(fed.served.node.leases.connections) - known).pop()
    writer.transport.abort()


async def test_a_server_that_stops_says_so_and_leaves_its_verifiers_their_leases(
    fed: Fed,
) -> None:
    node = fed.served.node
    async with fed.follow() as follower:
        await follower.lease()
        fed.served.app.hang_up()
        assert await follower.closed() == (1001, connections.CLOSES[1001])
        assert follower.side.leased(fed.served.clock.lease())
    await node.leases.close()
    assert len((await node.store.nodes()).rows) == 1


async def test_a_server_on_which_nobody_depends_takes_its_row_away(fed: Fed) -> None:
    node = fed.served.node
    async with fed.follow():
        pass
    await node.leases.close()
    assert (await node.store.nodes()).rows == ()


async def test_a_session_in_its_own_process_ends_at_its_verifier_too(fed: Fed) -> None:
    """What a verifier says of a token follows the log: alive, then ended with its reason."""
    ada = await fed.served.native()
    access = (await fed.served.node.sessions.authenticate(ada.access)).access
    async with fed.follow() as follower:
        view = follower.side.view
        assert view is not None
        who = (access.account_id, access.user_id, access.session_id, access.position)
        await follower.until_at(access.position.seq) if view.seq < access.position.seq else None
        assert getattr(view.judge(*who), "value", None) == "lives"
        await ada.delete(f"/api/v1/sessions/{ada.session_id}?wait=0")
        await follower.until_at(await fed.events())
        assert getattr(view.judge(*who), "reason", None) == "signed_out"
