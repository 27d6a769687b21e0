"""GET /renew: a page's run-out token is rotated and the browser goes back; nothing loops, and
nobody is led elsewhere."""

import httpx
import pytest

from lastcall.local import local_path
from lastcall.settings import Settings
from tests.http.conftest import Serve
from tests.http.serving import Served, problem, set_cookies
from tests.support.elsewhere import ELSEWHERE

NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


async def renew(browser: httpx.AsyncClient, target: str, **more: str) -> httpx.Response:
    headers = {**NAVIGATE, **{name.replace("_", "-"): value for name, value in more.items()}}
    return await browser.get("/renew", params={"next": target}, headers=headers)


async def test_it_rotates_by_the_cookie_and_sends_back(served: Served) -> None:
    browser = await served.browser()
    served.clock.advance(hours=2)
    response = await renew(browser, "/settings/sessions?a=b")
    assert response.status_code == 303
    assert response.headers["location"] == "/settings/sessions?a=b"
    assert {"lastcall-access", "lastcall-refresh"} < set(set_cookies(response))
    assert (await browser.get("/api/v1/session")).status_code == 200


async def test_a_link_from_another_site_may_lead_here(served: Served) -> None:
    response = await renew(await served.browser(), "/x", Sec_Fetch_Site="cross-site")
    assert response.headers["location"] == "/x"


async def test_the_same_place_twice_in_ten_seconds_goes_to_sign_in(served: Served) -> None:
    browser = await served.browser()
    assert (await renew(browser, "/a")).headers["location"] == "/a"
    served.clock.advance(seconds=10)
    response = await renew(browser, "/a")
    assert response.headers["location"] == "/sign-in?next=/a"
    assert "set-cookie" not in response.headers
    served.clock.advance(seconds=1)
    assert (await renew(browser, "/a")).headers["location"] == "/a"


async def test_two_places_in_turn_are_no_loop(served: Served) -> None:
    browser = await served.browser()
    assert (await renew(browser, "/a")).headers["location"] == "/a"
    assert (await renew(browser, "/b")).headers["location"] == "/b"


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin", "websocket", ""])
async def test_only_a_navigation_is_renewed(served: Served, mode: str) -> None:
    browser = await served.browser()
    problem(await renew(browser, "/a", Sec_Fetch_Mode=mode), 403, "csrf_failed")


@pytest.mark.parametrize("name", ["Sec_Purpose", "Purpose", "X_Moz"])
async def test_what_is_fetched_ahead_is_not_renewed(served: Served, name: str) -> None:
    browser = await served.browser()
    response = await renew(browser, "/a", **{name: "prefetch;prerender"})
    problem(response, 403, "csrf_failed")


async def test_a_browser_that_does_not_say_how_it_comes_goes_to_sign_in(served: Served) -> None:
    response = await (await served.browser()).get("/renew?next=/a")
    assert response.headers["location"] == "/sign-in?next=/a"
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("refresh", [None, "x", "lcr_x", ""])
async def test_without_a_good_refresh_cookie_it_goes_to_sign_in(
    served: Served, refresh: str | None
) -> None:
    cookie = {} if refresh is None else {"Cookie": f"lastcall-refresh={refresh}"}
    response = await renew(served.client(cookie), "/a")
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=/a")
    assert "set-cookie" not in response.headers


async def test_an_ended_session_goes_to_sign_in_with_its_cookies_which_can_tell_why(
    served: Served,
) -> None:
    browser = await served.browser()
    served.clock.advance(hours=25)
    response = await renew(browser, "/a")
    assert response.headers["location"] == "/sign-in?next=/a"
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("target", ELSEWHERE, ids=lambda target: ascii(target)[:30])
async def test_nobody_is_led_to_another_origin(served: Served, target: str) -> None:
    response = await renew(await served.browser(), target)
    assert response.headers["location"] == "/settings/sessions"
    response = await renew(served.client(), target)
    assert response.headers["location"] == "/sign-in?next=/settings/sessions"


@pytest.mark.parametrize(
    "target", ["/", "/a", "/a/", "/a/b.c?d=e&f=/g%20h#i", "/%C3%A9", "/account/users/u_1"]
)
def test_a_path_of_this_origin_is_kept_as_it_is(target: str) -> None:
    assert local_path(target, "/home") == target


async def test_under_a_path_it_stays_there(serve: Serve, database_url: str) -> None:
    settings = Settings(database_url=database_url, public_url="http://localhost:8000/auth")
    served = await serve(settings)
    browser = await served.browser()
    response = await browser.get("/renew", headers=NAVIGATE)
    assert response.headers["location"] == "/auth/settings/sessions"
    response = await served.client().get("/renew?next=/shop/cart", headers=NAVIGATE)
    assert response.headers["location"] == "/auth/sign-in?next=/shop/cart"


async def test_where_no_session_is_needed_who_can_not_have_one_is_sent_back(
    served: Served,
) -> None:
    """With a mark, by which the application tells that it was tried."""
    browser = await served.browser()
    served.clock.advance(hours=25)
    params = {"next": "/a", "required": "false"}
    response = await browser.get("/renew", params=params, headers=NAVIGATE)
    assert (response.status_code, response.headers["location"]) == (303, "/a")
    assert set(set_cookies(response)) == {"lastcall-renewed"}
    response = await browser.get("/renew", params=params)
    assert response.headers["location"] == "/a"
