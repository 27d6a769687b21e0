"""What a server shows of its verifiers: in its metrics, and in the list of services."""

import asyncio
import json

from lastcall.leases.messages import Events, Grant, store_position
from tests.http.company import Company
from tests.http.conftest import on_each_store
from tests.http.feeding import Fed
from tests.http.test_metrics import counts, labels
from tests.support.following import eventually


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


@on_each_store
async def test_no_service_is_connected_yet(company: Company) -> None:
    listed = (await company.grace.get("/api/v1/services")).json()
    assert [one for one in listed["services"] if one["kind"] == "verifier"] == []
    assert listed["next"] is None
