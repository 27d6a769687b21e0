"""POST /password."""

import pytest

from tests.http.serving import Served, faults, problem, set_cookies
from tests.support.nodes import PASSWORD

PATH = "/api/v1/password"
CHANGE = {"current_password": PASSWORD, "new_password": "a much better one"}


async def test_a_change_ends_the_other_sessions_and_gives_the_caller_new_tokens(
    served: Served,
) -> None:
    other, native = await served.native(), await served.native()
    response = await native.post(PATH, CHANGE)
    value = response.json()
    assert response.status_code == 200
    assert (value["termination"]["ended"], value["termination"]["state"]) == (1, "confirmed")
    assert value["session"]["id"] == native.session_id
    problem(await native.get("/api/v1/session"), 401, "token_expired")
    assert (await native.holding(response).get("/api/v1/session")).status_code == 200
    ended = problem(await other.get("/api/v1/session"), 401, "session_ended")
    assert ended["reason"] == "password_changed"
    response = await native.client.post(
        "/api/v1/sign-in", json={"email": "ada@example.com", "password": PASSWORD}
    )
    problem(response, 401, "invalid_credentials")


async def test_the_others_stay_where_that_is_asked_for(served: Served) -> None:
    other, native = await served.native(), await served.native()
    response = await native.post(PATH, {**CHANGE, "terminate_others": False})
    assert response.json()["termination"] is None
    assert (await other.get("/api/v1/session")).status_code == 200


async def test_it_carries_its_own_proof(served: Served) -> None:
    native = await served.native()
    served.clock.advance(seconds=1800)
    assert (await native.post(PATH, CHANGE)).status_code == 200


async def test_a_browser_is_answered_in_cookies(served: Served) -> None:
    browser = await served.browser()
    response = await browser.post(PATH, json=CHANGE)
    assert set(set_cookies(response)) == {"lastcall-access", "lastcall-refresh"}
    assert "access_token" not in response.json()
    assert (await browser.get("/api/v1/session")).status_code == 200


async def test_a_wrong_current_password_changes_nothing(served: Served) -> None:
    native = await served.native()
    response = await native.post(PATH, {**CHANGE, "current_password": "wrong"})
    problem(response, 401, "invalid_credentials")
    assert (await native.get("/api/v1/session")).status_code == 200


@pytest.mark.parametrize(
    ("new", "code"),
    [("short", "too_short"), ("password123", "too_common"), ("x" * 1025, "too_long")],
)
async def test_a_new_password_that_nobody_should_have_is_named_as_the_fault(
    served: Served, new: str, code: str
) -> None:
    native = await served.native()
    response = await native.post(PATH, {**CHANGE, "new_password": new})
    assert faults(response) == [("new_password", code)]


async def test_the_wait_is_checked_before_anything_is_done(served: Served) -> None:
    native = await served.native()
    problem(await native.post(f"{PATH}?wait=31", CHANGE), 422, "invalid_request")
    assert (await native.get("/api/v1/session")).status_code == 200
