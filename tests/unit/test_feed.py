"""A node at work, where its database fails it; and the small parts of its feed."""

import asyncio
import operator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest

from lastcall.errors import Unavailable
from lastcall.events import SYSTEM, Event, Position, Timeline
from lastcall.feed import about, translation
from lastcall.feed.confirmations import Confirmations
from lastcall.feed.connections import QUEUE, TOO_SLOW, Connection, Encoder
from lastcall.feed.leases import Leases
from lastcall.identity.model import ServiceKey
from lastcall.ids import AccountId, KeyId, NodeId, SessionId, UserId
from lastcall.leases import messages
from lastcall.leases.barrier import Row
from lastcall.leases.messages import Recall, Resume, Welcome
from lastcall.leases.node import NodeSide
from lastcall.leases.view import Begun, View
from lastcall.node import Node
from lastcall.sessions.endings import Termination
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from tests.support.backends import SqliteBackend, open_timeline
from tests.support.fakes import START, FakeClock
from tests.support.following import eventually
from tests.support.nodes import calls, set_up, sign_in

ACCOUNT = AccountId("a_one")
ONE = Timeline(1, "aaaaaaaaaaaa")
NAME = "a-verifier-of-a-test"


def connection(number: int = 1) -> Connection:
    return Connection(number, ACCOUNT, KeyId("k_one"), "shop", "127.0.0.1", START)


# Connections.


async def deliver(one: Connection) -> list[str]:
    """Give what is sent of what waits."""
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    task = asyncio.create_task(one.deliver(send))
    await eventually(lambda: not one.queue)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return sent


async def test_what_waits_is_sent_in_its_order() -> None:
    one = connection()
    for text in "abc":
        one.put(text, part=False)
    assert await deliver(one) == ["a", "b", "c"]


async def test_a_full_queue_is_not_over_it_and_one_more_is() -> None:
    one = connection()
    for _ in range(QUEUE):
        one.put("x", part=False)
    assert len(one.queue) == QUEUE
    one.put("x", part=False)
    assert (one.close_code, len(one.queue)) == (TOO_SLOW, 0)
    assert await one.ended() == TOO_SLOW


async def test_a_snapshot_may_be_longer_than_the_queue_and_is_counted_no_more_once_sent() -> None:
    one = connection()
    for _ in range(QUEUE + 5):
        one.put("part", part=True)
    assert one.close_code is None
    await deliver(one)
    assert one.parts == 0


async def test_what_a_cut_connection_is_given_goes_nowhere_and_its_first_reason_stays() -> None:
    one = connection()
    one.cut(TOO_SLOW)
    one.put("x", part=False)
    one.cut(1001)
    assert (one.close_code, len(one.queue)) == (TOO_SLOW, 0)


def test_a_message_for_many_is_written_once_and_forgotten_with_it() -> None:
    encoder, message = Encoder(), Recall()
    assert encoder.text(message) is encoder.text(message)
    del message
    assert not encoder._written  # noqa: SLF001  nothing else would show it


# What a node tells.


def write(side: NodeSide, known: dict[tuple[str, str], Connection], now: float = 0.0) -> str:
    return about.write("here 1", START, side, known, now, START)


def test_a_node_tells_of_its_verifiers_and_what_is_read_is_what_was_told() -> None:
    side = NodeSide("n_one", 30.0, View("epoch", (Begun(ONE, 1),), 5, 0, {}))
    side.receive(1, ACCOUNT, Resume(NAME), 0.0, 0.0)
    known = connection()
    known.agent = "shop\x1b\u202e 7"
    told = about.read(write(side, {(ACCOUNT, NAME): known}))
    assert told is not None
    (follower,) = told.followers
    assert (told.agent, told.started_at) == ("here 1", START)
    assert (follower.name, follower.agent, follower.connected_at) == (NAME, "shop 7", START)
    assert (follower.leased_until, follower.seq) == (None, 0)
    side.closed(1)
    told = about.read(write(side, {(ACCOUNT, NAME): known}))
    assert told is not None
    assert told.followers[0].connected_at is None


def test_a_node_names_so_many_verifiers_and_counts_the_others() -> None:
    """Those come first that have no lease, no connection or an event to acknowledge."""
    side = NodeSide("n_one", 30.0, View("epoch", (Begun(ONE, 1),), 5, 0, {}))
    known: dict[tuple[str, str], Connection] = {}
    for number in range(about.MOST + 5):
        side.receive(number, ACCOUNT, Resume(f"{NAME}-{number}"), 0.0, 0.0)
        known[ACCOUNT, f"{NAME}-{number}"] = connection(number)
    told = about.read(write(side, known))
    assert told is not None
    assert len(told.followers) == about.MOST
    assert told.unnamed == {ACCOUNT: 5}
    for peer in side.peers:
        peer.acked, peer.kept_until = side.view.position, 40.0
    last = f"{NAME}-{about.MOST + 4}"
    assert last not in [one.name for one in read(write(side, known)).followers]
    side.closed(about.MOST + 4)
    assert read(write(side, known)).followers[0].name == last


def read(text: str) -> about.About:
    told = about.read(text)
    assert told is not None
    return told


def test_a_node_tells_until_when_a_lease_goes_on_by_the_clock_of_people() -> None:
    side = NodeSide("n_one", 30.0, View("epoch", (Begun(ONE, 1),), 5, 0, {}))
    side.receive(1, ACCOUNT, Resume(NAME), 0.0, 0.0)
    (peer,), known = side.peers, {(str(ACCOUNT), NAME): connection()}
    peer.kept_until = 40.0
    (follower,) = read(write(side, known, 15.0)).followers
    assert follower.leased_until == START + timedelta(seconds=25)
    (follower,) = read(write(side, known, 40.0)).followers
    assert follower.leased_until is None


def test_who_has_a_lease_no_connection_and_not_acknowledged_it_is_unreachable() -> None:
    later = START + timedelta(seconds=1)
    gone = about.Follower("v", "a", "k", "shop", None, None, None, later, 4)
    told = about.About("here", START, (gone,))
    assert told.unreachable(5, START) == 1
    assert told.unreachable(4, START) == 0
    assert told.unreachable(5, later) == 0
    there = msgspec.structs.replace(gone, connected_at=START)
    assert about.About("here", START, (there,)).unreachable(5, START) == 0


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"agent":1}'])
def test_what_a_node_of_another_version_tells_is_left_out(text: str) -> None:
    assert about.read(text) is None


# The log in the feed's words.


def event(**changes: Any) -> Event:  # noqa: ANN401
    """An event, by default the end of a session."""
    given = {
        "position": Position("epoch", ONE, 7),
        "kind": "session_ended",
        "at": datetime(2026, 3, 1, tzinfo=UTC),
        "account_id": ACCOUNT,
        "user_id": UserId("u_one"),
        "session_id": SessionId("s_one"),
        "reason": "signed_out",
        **changes,
    }
    return Event(**given)


def test_an_ended_session_is_told_without_whose_it_was() -> None:
    told = translation.happened(event(), lambda _: None)
    assert (told.seq, told.session, told.user, told.reason) == (7, "s_one", None, "signed_out")
    assert told.at == 1772323200
    assert b"u_one" not in msgspec.json.encode(told)


def test_a_published_key_is_told_whole_and_a_revoked_one_by_its_id() -> None:
    jwk = {"kid": "key-1", "kty": "EC"}
    published = event(kind="key_published", key_id="key-1", session_id=None, user_id=None)
    assert translation.happened(published, {"key-1": jwk}.get).key == jwk
    revoked = replace(published, kind="key_revoked")
    assert translation.happened(revoked, {"key-1": jwk}.get).key == "key-1"


def test_an_opened_timeline_is_told_by_number_and_name() -> None:
    opened = event(kind="timeline_opened", session_id=None)
    assert translation.happened(opened, lambda _: None).timeline == "1.aaaaaaaaaaaa"


def test_rows_are_told_with_their_leases() -> None:
    position = Position("epoch", ONE, 7)
    row = base.NodeRow(NodeId("n_one"), 3, position, timedelta(seconds=9), 2)
    nodes = base.Nodes(base.LogEnd(position, 0), (row,))
    assert translation.rows(nodes.rows) == [Row("n_one", 3, position, 9.0, 2)]


# Where the database fails.


class Failing:
    """A store that can be made to fail; all else is the real one's."""

    def __init__(self, store: base.Store) -> None:
        self._store = store
        self.down: Exception | None = None
        self.failures = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        real = getattr(self._store, name)
        if name not in ("commit", "data_version", "read_log", "nodes"):
            return real

        async def ask(*args: Any, **options: Any) -> Any:  # noqa: ANN401
            if self.down is not None:
                self.failures += 1
                raise self.down
            return await real(*args, **options)

        return ask


@pytest.fixture
def failing(node: Node) -> Failing:
    return Failing(node.store)


@pytest.fixture
def confirmations(node: Node, failing: Failing, clock: FakeClock) -> Confirmations:
    """Those that the leases below are told to."""
    return Confirmations(failing, lease=timedelta(seconds=30), metrics=node.metrics, clock=clock)


@pytest.fixture
async def unstarted(
    node: Node, failing: Failing, confirmations: Confirmations, clock: FakeClock
) -> Any:  # noqa: ANN401
    """The leases of a node whose pauses last no time, before its start."""

    async def pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    made = Leases(
        failing,
        node.signing,
        lambda name, account: Welcome(name, account, "i", "a", 30.0),
        lease=timedelta(seconds=30),
        access_lifetime=timedelta(hours=1),
        confirmations=confirmations,
        metrics=node.metrics,
        clock=clock,
        entropy=node.entropy,
        pause=pause,
    )
    yield made
    failing.down = None
    await made.close()


@pytest.fixture
async def leases(unstarted: Leases) -> Leases:
    """The same, started."""
    await unstarted.start()
    return unstarted


async def test_verifiers_that_come_one_by_one_are_sent_the_same_snapshot(
    leases: Leases, node: Node
) -> None:
    """It may have megabytes, and a thousand of them come at once where a node has gone."""
    account = (await calls(node, await set_up(node))).user.account_id
    await terminate(node)
    key = ServiceKey(KeyId("k_one"), account, "shop", ("verify",), b"", START)
    with leases.connected(key, None) as one, leases.connected(key, None) as other:
        for number, each in enumerate((one, other)):
            leases.heard(each, messages.write(Resume(f"{NAME}-{number}")))
        assert len(one.queue) > 1
        assert all(map(operator.is_, list(one.queue)[1:], list(other.queue)[1:]))


async def terminate(node: Node) -> Termination:
    """Begin a session and end it."""
    tokens = await sign_in(node)
    return await node.sessions.endings.terminate(
        tokens.session.id, "terminated_by_admin", SYSTEM, lambda _: True
    )


async def test_a_command_says_what_it_ended_whatever_the_database_does_by_then(
    node: Node, failing: Failing, confirmations: Confirmations
) -> None:
    """It serves nobody, so that it reads how far the ending has come."""
    await set_up(node)
    ended = await terminate(node)
    failing.down = Unavailable("planted")
    followed = await confirmations.follow(ended, 1)
    assert failing.failures
    assert (followed.ended, followed.confirmation.state) == (1, "confirming")
    assert followed.confirmation.certain_by is None


async def test_a_start_that_broke_off_is_made_good_by_the_next_one(
    node: Node, unstarted: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a mounted node would have a lease and follow nothing."""
    with monkeypatch.context() as broken:
        broken.setattr(unstarted, "_renew", AsyncMock(side_effect=Unavailable("planted")))
        with pytest.raises(Unavailable):
            await unstarted.require()
    await unstarted.require()
    tokens = await set_up(node)
    await node.sessions.endings.sign_out(tokens.session.id)
    end = (await node.store.log_end()).position
    await eventually(lambda: unstarted.side.view.position == end)
    assert len((await node.store.nodes()).rows) == 1


async def test_who_asks_while_an_attempt_is_made_that_fails_waits_for_no_further_one(
    unstarted: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take seconds: they would queue up, and longer with each request."""
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        raise Unavailable("planted")

    monkeypatch.setattr(unstarted, "start", fail)
    for attempt in (1, 2):
        asked = [unstarted.require() for _ in range(10)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in found] == [Unavailable] * 10
        assert tries == attempt


async def test_a_node_that_has_left_stays_away_whoever_asks_it(leases: Leases, node: Node) -> None:
    """Also who asked before, and waits for its lease: it would be a node that others wait for."""
    leases.side.view.leased_until = float("-inf")
    waiting = asyncio.create_task(leases.require())
    await asyncio.sleep(0)
    await leases.close()
    found = await asyncio.gather(waiting, leases.require(), return_exceptions=True)
    assert isinstance(found[1], Unavailable)
    assert not leases.side.leased(node.clock.lease())
    assert (await node.store.nodes()).rows == ()


async def test_a_node_goes_on_after_its_database_was_away(
    leases: Leases, failing: Failing, clock: FakeClock
) -> None:
    """Without it no lease is renewed; nobody is told that a session lives once it has run out."""
    failing.down = Unavailable("planted")
    clock.advance(seconds=31)
    await eventually(lambda: failing.failures > 2)
    assert not leases.side.leased(clock.lease())
    with pytest.raises(Unavailable):
        await leases.require()
    failing.down = None
    await eventually(lambda: leases.side.leased(clock.lease()))
    assert (await leases.require()).seq == leases.side.view.seq


async def test_an_error_that_nobody_foresaw_ends_no_node(
    leases: Leases, failing: Failing, clock: FakeClock
) -> None:
    failing.down = RuntimeError("planted")
    clock.advance(seconds=31)
    await eventually(lambda: failing.failures > 2)
    failing.down = None
    await eventually(lambda: leases.side.leased(clock.lease()))


async def test_a_node_whose_row_is_gone_goes_on_as_another_one(
    leases: Leases, node: Node, clock: FakeClock
) -> None:
    before = leases.side.name
    (row,) = [row for row in (await node.store.nodes()).rows if row.id == before]
    await node.store.commit(base.RemoveNode(row.id, row.beat))
    clock.advance(seconds=3)
    await eventually(lambda: leases.side.name != before)
    clock.advance(seconds=3)
    await eventually(lambda: leases.side.view.leased_until >= clock.lease() + 30)
    names = [row.id for row in (await node.store.nodes()).rows]
    assert leases.side.name in names
    assert before not in names


async def test_a_log_with_another_past_is_read_anew_and_the_lease_ends_first(
    leases: Leases, node: Node, clock: FakeClock
) -> None:
    view = leases.side.view
    view.epoch = "another-log-"
    leases._woken.set()  # noqa: SLF001  as a commit of this process does
    await eventually(lambda: leases.side.view is not view)
    assert view.leased_until == float("-inf")
    assert leases.side.view.position == (await node.store.log_end()).position
    clock.advance(seconds=3)
    await eventually(lambda: leases.side.leased(clock.lease()))


async def test_a_row_whose_process_is_dead_is_removed_after_its_lease_and_its_margin(
    leases: Leases, node: Node, clock: FakeClock
) -> None:
    dead = NodeId("n_dead")
    await node.store.commit(base.RegisterNode(dead, timedelta(seconds=30)))

    async def look(seconds: float) -> bool:
        clock.advance(seconds=seconds)
        leases._woken.set()  # noqa: SLF001
        await eventually(lambda: not leases._woken.is_set())  # noqa: SLF001
        await eventually(lambda: leases.side.view.leased_until >= clock.lease() + 30)
        return dead in [row.id for row in (await node.store.nodes()).rows]

    assert await look(3)
    assert await look(36)
    assert leases.side.silent_for(dead, clock.lease()) == 36
    clock.advance(seconds=1)
    leases._woken.set()  # noqa: SLF001
    async with asyncio.timeout(20):
        while dead in [row.id for row in (await node.store.nodes()).rows]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_process_that_does_not_serve_has_no_side_and_closes_without_a_trace(
    node: Node,
) -> None:
    with pytest.raises(Unavailable):
        _ = node.leases.side
    await node.leases.close()
    node.leases.stop()
    assert (await node.leases.nodes())[1] == ()


async def test_a_process_that_does_not_serve_waits_for_the_rows_of_those_that_do(
    ada: Tokens, leases: Leases, node: Node, clock: FakeClock
) -> None:
    """As a command line does: `node` serves nobody, `leases` are those of who does."""
    assert ada.session.user_id
    assert leases.side.name in [row.id for row in (await node.store.nodes()).rows]
    end = (await node.store.log_end()).position
    assert (await node.confirmations.confirm(end)).state == "confirmed"
    other = NodeId("n_other")
    await node.store.commit(base.RegisterNode(other, timedelta(seconds=30)))
    found = await node.confirmations.confirm(end)
    assert found.state == "confirming"
    assert found.certain_by is not None
    assert 36 < (found.certain_by - clock.now()).total_seconds() < 37
    waiting = asyncio.create_task(node.confirmations.confirm(end, 30))
    await asyncio.sleep(0)
    (row,) = [row for row in (await node.store.nodes()).rows if row.id == other]
    await node.store.commit(base.RemoveNode(row.id, row.beat))
    assert (await asyncio.wait_for(waiting, 20)).state == "confirmed"


async def test_what_this_process_ends_is_known_before_the_log_is_read_unless_that_is_under_way(
    leases: Leases, failing: Failing, node: Node
) -> None:
    """What is read meanwhile may end before it, and would look like another log."""

    async def commit() -> Position:
        event = (await terminate(node)).event
        leases.committed((), base.Committed(event.position, (event,)))
        return event.position

    await set_up(node)
    end = (await node.store.log_end()).position
    await eventually(lambda: leases.side.view.position == end)
    failing.down = Unavailable("planted")
    known = await commit()
    assert leases.side.view.position == known
    async with leases._busy:  # noqa: SLF001  as while it reads
        later = await commit()
        assert leases.side.view.position == known
    failing.down = None
    await eventually(lambda: leases.side.view.position == later)


async def test_who_starts_on_a_timeline_that_is_not_the_store_s_first_waits_before_rows_speak(
    tmp_path: Path, ada: Tokens, node: Node, unstarted: Leases, clock: FakeClock
) -> None:
    """A server as well as a command line: who had a lease before may have one still (rule 6)."""
    assert ada.session.user_id
    before = (await node.store.log_end()).position
    open_timeline(SqliteBackend(tmp_path), before.epoch, Timeline(2, "second"))
    end = (await node.store.log_end()).position
    assert (await node.confirmations.confirm(end)).state == "confirming"
    await unstarted.start()
    assert not unstarted.side.settled(clock.lease() + 36)
    assert unstarted.side.settled(clock.lease() + 37)


async def test_who_starts_on_the_store_s_first_timeline_waits_for_nothing(
    leases: Leases, clock: FakeClock
) -> None:
    assert leases.side.settled(clock.lease())


async def test_of_many_terminations_the_newest_are_remembered_with_what_confirmed_them(
    ada: Tokens,
    leases: Leases,
    confirmations: Confirmations,
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How long a confirmation took is known for so many of them, and memory doesn't grow."""
    monkeypatch.setattr("lastcall.feed.confirmations.OUTCOMES", 2)
    for _ in range(4):
        event = (await terminate(node)).event
        leases.committed((), base.Committed(event.position, (event,)))
        confirmed = await confirmations.confirm(event.position, 30)
        assert confirmed.state == "confirmed"
        assert confirmed.after is not None
    assert len(confirmations._outcomes) == 2  # noqa: SLF001
    assert ada.session.id
