"""Logging a user out, or everybody: what a preview tells, and what a service may."""

from tests.http.company import Company
from tests.http.conftest import on_each_store
from tests.http.serving import SESSION, USERS, faults, problem

pytestmark = on_each_store


async def test_a_service_finds_a_user_by_external_id_and_no_list(company: Company) -> None:
    started = await company.served.start_external("42")
    service = await company.served.as_service("sessions")
    for query in ("", "?q=mia", "?limit=1"):
        problem(await service.get(USERS + query), 403, "forbidden")
    (user,) = (await service.get(f"{USERS}?external_id=42")).json()["users"]
    assert user["active_sessions"] == 1
    sessions = (await service.get(f"{USERS}/{user['id']}/sessions")).json()["sessions"]
    assert [(one["id"], one["current"]) for one in sessions] == [(started.session_id, False)]
    ended = (await service.post(f"{USERS}/{user['id']}/logout?wait=0")).json()
    assert ended["ended"] == 1
    assert (await service.get(f"/api/v1/terminations/{ended['id']}")).json()["ended"] == 1
    refused = problem(await started.get(SESSION), 401, "session_ended")
    assert refused["reason"] == "terminated_by_service"
    assert refused["ended_by"] == {"kind": "service", "name": "shop"}


async def test_a_preview_tells_what_a_logout_then_does(company: Company) -> None:
    first = await company.served.native("mia@example.com")
    company.served.clock.advance(seconds=300)
    await company.served.browser("mia@example.com")
    path = f"{USERS}/{company.mia.id}/logout"
    preview = (await company.grace.get(path)).json()
    assert preview == {
        "sessions": 2,
        "devices": 2,
        "access_tokens": 2,
        "longest_expires_in": 3610,  # within the grace, the last refresh is answered once more
    }
    ended = (await company.grace.post(f"{path}?wait=30")).json()
    assert (ended["ended"], ended["state"], ended["certain_by"]) == (2, "confirmed", None)
    problem(await first.get(SESSION), 401, "session_ended")
    assert (await company.grace.get(path)).json() == {
        "sessions": 0,
        "devices": 0,
        "access_tokens": 0,
        "longest_expires_in": None,
    }
    assert (await company.grace.get(f"/api/v1/terminations/{ended['id']}")).status_code == 200
    problem(await company.grace.post(f"{path}?wait=31"), 422, "invalid_request")
    listed = (await company.grace.get(f"{USERS}/{company.mia.id}/sessions?ended=true")).json()
    assert {one["end_reason"] for one in listed["sessions"]} == {"terminated_by_admin"}


async def test_everybody_is_logged_out_but_who_asks_if_they_say_so(company: Company) -> None:
    for body in ({}, {"all_users": False}, {"except_self": True}):
        response = await company.ada.post("/api/v1/logout", body)
        problem(response, 422, "invalid_request")
        assert faults(response) == [("all_users", "not_allowed")]
    assert (await company.grace.get(SESSION)).status_code == 200
    ended = (await company.ada.post("/api/v1/logout", {"all_users": True})).json()
    assert ended["ended"] == 1
    problem(await company.grace.get(SESSION), 401, "session_ended")
    assert (await company.ada.get(SESSION)).status_code == 200
    both = {"all_users": True, "except_self": False}
    assert (await company.ada.post("/api/v1/logout", both)).json()["ended"] == 1
    problem(await company.ada.get(SESSION), 401, "session_ended")
