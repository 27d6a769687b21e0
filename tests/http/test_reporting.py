"""A session that its user reports: it ends, and the admins see it."""

from tests.http.office import AUDIT, Office
from tests.http.serving import problem


async def test_a_session_that_is_reported_ends_and_the_admins_see_it(office: Office) -> None:
    path = f"/api/v1/sessions/{office.old.session_id}/report"
    assert (await office.mia.post(path)).json()["ended"] == 1
    refused = problem(await office.old.get("/api/v1/session"), 401, "session_ended")
    assert refused["reason"] == "reported"
    (seen,) = (await office.ada.get(f"{AUDIT}?type=session.report")).json()["events"]
    assert seen["target"]["id"] == office.old.session_id
    assert seen["session_id"] == office.mia.session_id
    # A second time there is nothing left to say.
    assert (await office.mia.post(path)).json()["ended"] == 0
    assert len((await office.ada.get(f"{AUDIT}?type=session.report")).json()["events"]) == 1


async def test_a_session_that_had_ended_keeps_its_ending_and_is_reported_all_the_same(
    office: Office,
) -> None:
    """A thief may have signed out already."""
    await office.old.post("/api/v1/sign-out")
    path = f"/api/v1/sessions/{office.old.session_id}/report"
    assert (await office.mia.post(path)).json()["ended"] == 0
    refused = problem(await office.old.get("/api/v1/session"), 401, "session_ended")
    assert refused["reason"] == "signed_out"
    (seen,) = (await office.ada.get(f"{AUDIT}?type=session.report")).json()["events"]
    assert (seen["reason"], seen["actor"]["id"]) == ("reported", office.mia_user.id)


async def test_one_s_own_session_may_be_reported_too(office: Office) -> None:
    assert (await office.mia.post(f"/api/v1/sessions/{office.mia.session_id}/report")).is_success
    refused = problem(await office.mia.get("/api/v1/session"), 401, "session_ended")
    assert (refused["reason"], refused["ended_by"]) == ("reported", {"kind": "self", "name": None})


async def test_reporting_needs_a_fresh_proof(office: Office) -> None:
    office.served.clock.advance(seconds=601)
    path = f"/api/v1/sessions/{office.old.session_id}/report"
    problem(await office.mia.post(path), 401, "reauthentication_required")
    assert (await office.old.get("/api/v1/session")).status_code == 200
