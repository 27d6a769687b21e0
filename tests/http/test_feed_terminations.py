"""A termination and its verifiers: when it is confirmed, and who is waited for until when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from lastcall.errors import Unavailable
from lastcall.events import SYSTEM
from lastcall.ids import NodeId
from lastcall.leases.messages import Events, Goodbye, Grant, Renew, store_position
from lastcall.stores.base import RegisterNode
from tests.http.feeding import Fed
from tests.support.following import Follower, eventually


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


async def test_what_was_done_is_told_also_where_the_database_fails_by_then(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was durable before: that it waits for somebody needs no database."""
    ada, other = await fed.served.native(), await fed.served.native()
    async with fed.follow() as follower:
        await follower.lease()
        follower.deaf = True

        async def fail() -> None:
            raise Unavailable("planted")

        monkeypatch.setattr(fed.served.node.store, "nodes", fail)
        done = await ada.delete(f"/api/v1/sessions/{other.session_id}?wait=0")
        assert done.status_code == 200
        assert (done.json()["state"], done.json()["certain_in"]) == ("confirming", 37)


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
