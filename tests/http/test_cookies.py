"""The cookies, as raw Set-Cookie lines: names, attributes, and how long they live."""

import pytest

from tests.http.serving import Served, problem, set_cookies
from tests.support.nodes import PASSWORD

BROWSER = {"email": "ada@example.com", "password": PASSWORD, "client": "browser"}


async def test_on_loopback_they_are_plain_and_live_as_long_as_the_refresh_token(
    served: Served,
) -> None:
    cookies = set_cookies(await served.client().post("/api/v1/sign-in", json=BROWSER))
    kept = {"Path=/", "Max-Age=86400", "HttpOnly", "SameSite=Lax"}
    assert cookies["lastcall-access"][1] == kept
    assert cookies["lastcall-refresh"][1] == kept
    device = {"Path=/", "Max-Age=34560000", "HttpOnly", "SameSite=Lax"}
    assert cookies["lastcall-device"][1] == device


async def test_behind_tls_they_are_secure_and_of_this_host_alone(secured: Served) -> None:
    response = await secured.client().post("/api/v1/sign-in", json=BROWSER)
    cookies = set_cookies(response)
    names = {f"__Host-lastcall-{name}" for name in ("access", "refresh", "device")}
    assert set(cookies) == names
    for _, attributes in cookies.values():
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} < attributes
        assert not any(attribute.startswith("Domain") for attribute in attributes)


async def test_behind_tls_unprefixed_cookies_are_ignored(secured: Served) -> None:
    browser = await secured.browser()
    assert (await browser.get("/api/v1/session")).status_code == 200
    access = browser.cookies["__Host-lastcall-access"]
    refresh = browser.cookies["__Host-lastcall-refresh"]
    headers = {
        "Cookie": f"lastcall-access={access}; lastcall-refresh={refresh}",
        "Sec-Fetch-Site": "same-origin",
    }
    client = secured.client(headers)
    problem(await client.get("/api/v1/session"), 401, "token_missing")
    problem(await client.post("/api/v1/refresh"), 401, "token_missing")


@pytest.mark.parametrize("header", ["X-Forwarded-Proto", "Forwarded", "X-Forwarded-Scheme"])
async def test_no_header_makes_cookies_secure_or_plain(served: Served, header: str) -> None:
    value = "proto=https" if header == "Forwarded" else "https"
    response = await served.client({header: value}).post("/api/v1/sign-in", json=BROWSER)
    assert "Secure" not in str(set_cookies(response))


async def test_on_a_shared_device_they_end_with_the_browser(served: Served) -> None:
    body = {**BROWSER, "shared_device": True}
    client = served.client({"Sec-Fetch-Site": "same-origin"})
    for path in ("/api/v1/sign-in", "/api/v1/refresh"):
        cookies = set_cookies(await client.post(path, json=body if "sign" in path else {}))
        assert cookies["lastcall-access"][1] == {"Path=/", "HttpOnly", "SameSite=Lax"}
        assert cookies["lastcall-refresh"][1] == {"Path=/", "HttpOnly", "SameSite=Lax"}


async def test_they_never_outlive_the_session(served: Served) -> None:
    browser = await served.browser()
    for _ in range(30):
        served.clock.advance(hours=23.9)
        assert (await browser.post("/api/v1/refresh")).status_code == 200
    served.clock.advance(seconds=1)
    cookies = set_cookies(await browser.post("/api/v1/refresh"))
    assert f"Max-Age={3 * 3600 - 1}" in cookies["lastcall-refresh"][1]


async def test_each_stays_within_what_browsers_keep(secured: Served) -> None:
    browser = await secured.browser()
    assert all(len(name + (value or "")) <= 4096 for name, value in browser.cookies.items())


async def test_reading_sets_no_cookie(served: Served) -> None:
    browser = await served.browser()
    for path in ("/api/v1/session", "/api/v1/sessions", "/healthz", "/openapi.json"):
        assert "set-cookie" not in (await browser.get(path)).headers
