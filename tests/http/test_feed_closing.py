"""Whose connection to the feed is closed, by what, and what that leaves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lastcall.feed import connections
from lastcall.leases.messages import LONGEST, store_position
from lastcall.leases.verifier import VerifierSide
from tests.http.feeding import Fed
from tests.support.following import Follower, connected, eventually, new_name


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
