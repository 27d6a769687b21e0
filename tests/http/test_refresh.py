"""POST /refresh: rotation, repeats, reuse, and the shape of the answer."""

import pytest

from tests.http.conftest import on_each_store
from tests.http.serving import Served, problem, set_cookies

pytestmark = on_each_store

REFRESH = "/api/v1/refresh"


async def test_a_refresh_token_in_the_body_is_answered_in_the_body(served: Served) -> None:
    native = await served.native()
    response = await native.client.post(REFRESH, json={"refresh_token": native.refresh})
    tokens = response.json()
    assert response.status_code == 200
    assert tokens["refresh_token"] != native.refresh
    assert tokens["session"]["id"] == native.session_id
    assert "set-cookie" not in response.headers
    assert (await native.holding(response).get("/api/v1/session")).status_code == 200


async def test_a_refresh_token_in_the_cookie_is_answered_in_cookies(served: Served) -> None:
    browser = await served.browser()
    response = await browser.post(REFRESH)
    assert response.status_code == 200
    assert set(set_cookies(response)) == {"lastcall-access", "lastcall-refresh"}
    assert "token" not in set(response.json()) - {"token_type"}
    assert "lcr_" not in response.text
    assert (await browser.get("/api/v1/session")).status_code == 200


async def test_a_refresh_token_in_both_places_is_refused_as_unreadable(served: Served) -> None:
    browser = await served.browser()
    token = browser.cookies["lastcall-refresh"]
    problem(await browser.post(REFRESH, json={"refresh_token": token}), 400, "invalid_request")
    assert (await browser.post(REFRESH)).status_code == 200


async def test_with_an_authorization_header_the_refresh_cookie_is_ignored(served: Served) -> None:
    browser, native = await served.browser(), await served.native()
    response = await browser.post(REFRESH, headers={"Authorization": "Bearer anything"})
    problem(response, 401, "token_missing")
    response = await browser.post(
        REFRESH, json={"refresh_token": native.refresh}, headers={"Authorization": "Bearer x"}
    )
    assert response.json()["session"]["id"] == native.session_id


async def test_no_refresh_token_at_all_is_a_missing_token(served: Served) -> None:
    problem(await served.client().post(REFRESH), 401, "token_missing")
    problem(await served.client().post(REFRESH, json={}), 401, "token_missing")


@pytest.mark.parametrize("token", ["", "x", "lcr_", "lcr_s_c1_0.1.A.B", "\u0000", "é" * 100])
async def test_what_is_no_refresh_token_is_invalid(served: Served, token: str) -> None:
    response = await served.client().post(REFRESH, json={"refresh_token": token})
    problem(response, 401, "token_invalid")


async def test_an_access_token_refreshes_nothing(served: Served) -> None:
    native = await served.native()
    response = await native.client.post(REFRESH, json={"refresh_token": native.access})
    problem(response, 401, "token_invalid")


async def test_a_repeat_within_the_grace_gets_the_same_refresh_token_and_a_fresh_access_token(
    served: Served,
) -> None:
    native = await served.native()
    body = {"refresh_token": native.refresh}
    first = (await native.client.post(REFRESH, json=body)).json()
    served.clock.advance(seconds=10)
    again = (await native.client.post(REFRESH, json=body)).json()
    assert again["refresh_token"] == first["refresh_token"]
    assert again["access_token"] != first["access_token"]


async def test_the_hundred_and_first_repeat_is_limited_and_the_session_kept(
    served: Served,
) -> None:
    native = await served.native()
    body = {"refresh_token": native.refresh}
    successor = (await native.client.post(REFRESH, json=body)).json()
    for _ in range(100):
        assert (await native.client.post(REFRESH, json=body)).status_code == 200
    problem(await native.client.post(REFRESH, json=body), 429, "rate_limited")
    body = {"refresh_token": successor["refresh_token"]}
    assert (await native.client.post(REFRESH, json=body)).status_code == 200


async def test_a_token_used_up_before_the_grace_ends_the_session_and_says_so(
    served: Served,
) -> None:
    native = await served.native()
    body = {"refresh_token": native.refresh}
    successor = (await native.client.post(REFRESH, json=body)).json()
    served.clock.advance(seconds=11)
    value = problem(await native.client.post(REFRESH, json=body), 401, "session_ended")
    assert value["reason"] == "refresh_reuse"
    assert value["ended_at"] == "2026-03-01T12:00:11Z"
    body = {"refresh_token": successor["refresh_token"]}
    value = problem(await native.client.post(REFRESH, json=body), 401, "session_ended")
    assert value["reason"] == "refresh_reuse"


async def test_the_loser_of_a_race_between_tabs_is_sent_no_expiring_cookie(served: Served) -> None:
    browser = await served.browser()
    first = browser.cookies["lastcall-refresh"]
    await browser.post(REFRESH)
    served.clock.advance(seconds=11)
    loser = served.client({"Sec-Fetch-Site": "same-origin", "Cookie": f"lastcall-refresh={first}"})
    problem(await loser.post(REFRESH), 401, "session_ended")  # which sees to Set-Cookie


async def test_a_refresh_token_past_its_time_says_that_the_session_ran_out(served: Served) -> None:
    native = await served.native()
    served.clock.advance(hours=24)
    response = await native.client.post(REFRESH, json={"refresh_token": native.refresh})
    assert problem(response, 401, "session_ended")["reason"] == "expired_inactive"


async def test_the_absolute_limit_holds_for_a_session_that_is_always_used(served: Served) -> None:
    native = await served.native()
    for _ in range(30):
        served.clock.advance(hours=23.9)
        response = await native.client.post(REFRESH, json={"refresh_token": native.refresh})
        native = native.holding(response)
    session = (await native.get("/api/v1/session")).json()
    assert (session["expires_by"], session["expires_in"]) == ("absolute", 3 * 3600)
    served.clock.advance(hours=3)
    response = await native.client.post(REFRESH, json={"refresh_token": native.refresh})
    assert problem(response, 401, "session_ended")["reason"] == "expired_absolute"


async def test_two_refresh_cookies_of_one_name_are_none(served: Served) -> None:
    browser = await served.browser()
    good = browser.cookies["lastcall-refresh"]
    for pair in (f"{good}; lastcall-refresh=x", f"x; lastcall-refresh={good}"):
        client = served.client(
            {"Sec-Fetch-Site": "same-origin", "Cookie": f"lastcall-refresh={pair}"}
        )
        problem(await client.post(REFRESH), 401, "token_invalid")


async def test_a_refresh_moves_the_session_to_where_it_comes_from(served: Served) -> None:
    native = await served.native()
    elsewhere = served.client(peer="81.2.69.142")
    response = await elsewhere.post(REFRESH, json={"refresh_token": native.refresh})
    session = response.json()["session"]
    assert (session["ip"], session["location"]["country_code"]) == ("81.2.69.142", "GB")
