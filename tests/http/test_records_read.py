"""Activity and the audit log: who may read what of them, and by which filters."""

from typing import Any

import pytest

from tests.http.office import ACTIVITY, AUDIT, ELSEWHERE, HERE, Office, signs_in
from tests.http.serving import USERS, faults, problem
from tests.support.nodes import PASSWORD

# Who may read what.


async def test_an_event_has_all_that_the_contract_names(office: Office) -> None:
    session = (await signs_in(PASSWORD)(office)).json()["session"]
    (seen, *_) = (await office.ada.get(AUDIT)).json()["events"]
    assert seen == {
        "id": seen["id"],
        "at": "2026-03-01T12:00:00Z",
        "type": "session.sign_in",
        "outcome": "success",
        "actor": {"kind": "user", "id": office.mia_user.id, "name": "mia@example.com"},
        "target": {"kind": "session", "id": session["id"], "name": "Chrome on Windows"},
        "session_id": session["id"],
        "device": session["device"],
        "location": session["location"],
        "ip": ELSEWHERE,
        "reason": None,
    }
    mine = (await office.mia.get(ACTIVITY)).json()["events"]
    assert mine[0] == seen


async def test_somebody_s_activity_is_what_concerns_them_and_nobody_else(office: Office) -> None:
    await office.ada.patch(f"{USERS}/{office.mia_user.id}", {"name": "Mia"})
    mine = (await office.mia.get(ACTIVITY)).json()["events"]
    assert [one["type"] for one in mine] == [
        "user.rename",
        "session.sign_in",
        "session.sign_in",
        "user.add",
    ]
    theirs = (await office.ada.get(ACTIVITY)).json()["events"]
    assert office.mia_user.id not in str(theirs)


async def test_a_user_learns_who_acted_on_them_and_not_from_where(office: Office) -> None:
    """The audit log says both; the address of an admin is not a member's to know."""
    ada, service = office.at(office.ada), await office.service()
    await ada.delete(f"{USERS}/{office.mia_user.id}/sessions/{office.old.session_id}")
    await service.post(f"{USERS}/{office.mia_user.id}/logout")
    mia = await office.served.native("mia@example.com")
    answer = await mia.get(ACTIVITY)
    assert ELSEWHERE not in answer.text
    assert office.ada.session_id not in answer.text
    by_service, by_ada = answer.json()["events"][1:3]
    assert by_ada["actor"] == {"kind": "admin", "id": office.ada_user.id, "name": "Ada"}
    assert by_service["actor"]["name"] == "shop"
    for one in (by_ada, by_service):
        hidden = (one["session_id"], one["device"], one["location"], one["ip"])
        assert hidden == (None, None, None, None)
    logged = (await office.ada.get(AUDIT)).json()["events"]
    assert [one["ip"] for one in logged[1:3]] == [ELSEWHERE, ELSEWHERE]
    assert logged[2]["session_id"] == office.ada.session_id


async def test_a_user_sees_where_their_own_doings_and_attempts_at_them_came_from(
    office: Office,
) -> None:
    await signs_in("wrong")(office)
    started = await office.served.start_external("9")
    mine = (await office.mia.get(ACTIVITY)).json()["events"][0]
    assert (mine["outcome"], mine["reason"], mine["ip"]) == (
        "failure",
        "invalid_credentials",
        ELSEWHERE,
    )
    assert mine["device"]["label"] == "Chrome on Windows"
    begun = (await started.get(ACTIVITY)).json()["events"][0]
    assert (begun["actor"]["kind"], begun["ip"]) == ("service", HERE)
    # An admin's own session, ended as an admin, was ended from where they know they are.
    own = f"{USERS}/{office.ada_user.id}/logout"
    await office.at(office.ada).post(own)
    ada = await office.served.native()
    assert (await ada.get(ACTIVITY)).json()["events"][1]["ip"] == ELSEWHERE


# Filters.


async def test_the_audit_log_is_filtered_by_type_outcome_person_and_time(office: Office) -> None:
    await signs_in("wrong")(office)
    office.served.clock.advance(seconds=60)
    await office.ada.patch(f"{USERS}/{office.mia_user.id}", {"name": "Mia"})
    everything = (await office.ada.get(f"{AUDIT}?limit=200")).json()["events"]

    async def found(query: str) -> list[dict[str, Any]]:
        answer = await office.ada.get(f"{AUDIT}?{query}")
        assert answer.status_code == 200, answer.text
        events: list[dict[str, Any]] = answer.json()["events"]
        return events

    ins = [one for one in everything if one["type"] == "session.sign_in"]
    both = [one for one in everything if one["type"] in ("session.sign_in", "user.rename")]
    assert await found("type=session.sign_in") == ins
    assert await found("type=session.sign_in,user.rename") == both
    assert await found("type=user.rename&type=session.sign_in") == both
    assert await found("type=") == everything
    assert [one["outcome"] for one in await found("outcome=failure")] == ["failure"]
    assert await found("outcome=failure&type=user.rename") == []
    mine = [
        one
        for one in everything
        if office.mia_user.id in (one["actor"]["id"], (one["target"] or {}).get("id"))
    ]
    assert [one for one in await found(f"person={office.mia_user.id}") if one in mine] == mine
    (renamed,) = await found("since=2026-03-01T12:01:00Z")
    assert renamed["type"] == "user.rename"
    assert await found("since=2026-03-01T13:01:00%2B01:00") == [renamed]
    assert await found("until=2026-03-01T12:01:00Z") == everything[1:]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=session.nothing", "type[0]"),
        ("outcome=maybe", "outcome"),
        ("since=yesterday", "since"),
        ("since=2026-03-01T12:00:00", "since"),
        ("until=2026-13-01T12:00:00Z", "until"),
        ("since=0.5", "since"),
        ("until=253402300800", "until"),  # a second after the last one that Python knows
        ("outcome=success&outcome=failure", "outcome"),
        ("person=" + "u" * 81, "person"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("before=x", "before"),
    ],
)
async def test_a_filter_that_is_wrong_is_named(office: Office, query: str, field: str) -> None:
    response = await office.ada.get(f"{AUDIT}?{query}")
    problem(response, 422, "invalid_request")
    assert [at for at, _ in faults(response)] == [field]
