"""A stolen refresh token: whoever comes second ends the session for both, and it is seen."""

import pytest

from tests.http.conftest import on_each_store
from tests.http.serving import Native, Served, problem

pytestmark = on_each_store

SESSION, REFRESH = "/api/v1/session", "/api/v1/refresh"
USER, THIEF = "81.2.69.142", "203.0.113.66"
MALLORY = "Mallory/6.6"


def at(served: Served, native: Native, peer: str) -> Native:
    """Whoever holds the same tokens at an address."""
    agent = {"User-Agent": MALLORY} if peer == THIEF else None
    return Native(served.client(agent, peer), native.access, native.refresh, native.session_id)


async def refreshed(native: Native) -> Native:
    response = await native.client.post(REFRESH, json={"refresh_token": native.refresh})
    assert response.status_code == 200, response.text
    return native.holding(response)


@pytest.mark.parametrize(("first", "second"), [(THIEF, USER), (USER, THIEF)])
async def test_of_user_and_thief_the_second_ends_the_session_for_both_and_the_log_names_both(
    served: Served, first: str, second: str
) -> None:
    signed_in = await at(served, await served.native(), USER).client.post(
        "/api/v1/sign-in", json={"email": "ada@example.com", "password": "correct horse battery"}
    )
    stolen = (await served.native()).holding(signed_in)
    session_id = signed_in.json()["session"]["id"]
    bystander = await served.native()
    winner = await refreshed(at(served, stolen, first))
    newest = await refreshed(winner)
    served.clock.advance(seconds=11)

    loser = at(served, stolen, second)
    answer = await loser.client.post(REFRESH, json={"refresh_token": stolen.refresh})
    told = problem(answer, 401, "session_ended")
    assert (told["reason"], told["ended_at"]) == ("refresh_reuse", "2026-03-01T12:00:11Z")
    for holder in (stolen, winner, newest):
        ended = problem(await holder.get(SESSION), 401, "session_ended")
        assert ended["reason"] == "refresh_reuse"
        answer = await holder.client.post(REFRESH, json={"refresh_token": holder.refresh})
        assert problem(answer, 401, "session_ended")["reason"] == "refresh_reuse"
    assert (await bystander.get(SESSION)).status_code == 200
    assert (await refreshed(bystander)).access

    for log in ("audit", "activity"):  # the admins', and the user's own
        events = (await bystander.get(f"/api/v1/{log}")).json()["events"]
        of_it = [event for event in events if (event["target"] or {})["id"] == session_id]
        assert (of_it[0]["type"], of_it[0]["reason"]) == ("session.reuse", "refresh_reuse")
        assert of_it[0]["ip"] == second
        assert {event["ip"] for event in of_it} == {USER, THIEF}
        assert of_it[0]["location"] != of_it[-1]["location"] or second == USER
    ended = (await bystander.get("/api/v1/sessions?ended=true")).json()["sessions"]
    row = next(row for row in ended if row["id"] == session_id)
    assert (row["end_reason"], row["ended_by"]["kind"]) == ("refresh_reuse", "system")


async def test_a_thief_who_is_faster_within_the_grace_gets_no_branch_of_their_own(
    served: Served,
) -> None:
    """Both hold the same successor then, and the next of them who falls behind ends it."""
    native = await served.native()
    thief, user = at(served, native, THIEF), at(served, native, USER)
    thief, user = await refreshed(thief), await refreshed(user)
    assert thief.refresh == user.refresh
    await refreshed(user)
    served.clock.advance(seconds=11)
    answer = await thief.client.post(REFRESH, json={"refresh_token": thief.refresh})
    assert problem(answer, 401, "session_ended")["reason"] == "refresh_reuse"
    problem(await user.get(SESSION), 401, "session_ended")
