"""POST /sign-out: always 204, whatever there is left to end."""

from lastcall.settings import Settings
from tests.http.conftest import Serve
from tests.http.serving import SESSION, Served, problem, set_cookies

SIGN_OUT = "/api/v1/sign-out"


async def test_a_browser_that_signs_out_forgets_both_cookies_and_its_storage(
    served: Served,
) -> None:
    browser = await served.browser()
    access = browser.cookies["lastcall-access"]
    response = await browser.post(SIGN_OUT)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["clear-site-data"] == '"storage"'
    expired = {"Path=/", "Max-Age=0", "HttpOnly", "SameSite=Lax"}
    assert set_cookies(response) == {
        "lastcall-access": ("", expired),
        "lastcall-refresh": ("", expired),
    }
    response = await served.client({"Authorization": f"Bearer {access}"}).get(SESSION)
    assert problem(response, 401, "session_ended")["reason"] == "signed_out"


async def test_either_cookie_alone_is_enough(served: Served) -> None:
    for kept in ("lastcall-access", "lastcall-refresh"):
        browser = await served.browser()
        access = browser.cookies["lastcall-access"]
        headers = {"Sec-Fetch-Site": "same-origin", "Cookie": f"{kept}={browser.cookies[kept]}"}
        assert (await served.client(headers).post(SIGN_OUT)).status_code == 204
        response = await served.client({"Authorization": f"Bearer {access}"}).get(SESSION)
        problem(response, 401, "session_ended")


async def test_a_run_out_access_cookie_still_signs_out(served: Served) -> None:
    browser = await served.browser()
    served.clock.advance(hours=2)
    assert (await browser.post(SIGN_OUT)).status_code == 204
    assert not (await served.node.sessions.list(served.ada.id, "active")).sessions


async def test_an_ended_session_and_none_at_all_are_204_too(served: Served) -> None:
    browser = await served.browser()
    headers = {
        "Sec-Fetch-Site": "same-origin",
        "Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()),
    }
    assert (await served.client(headers).post(SIGN_OUT)).status_code == 204
    assert (await served.client(headers).post(SIGN_OUT)).status_code == 204
    assert (await served.client().post(SIGN_OUT)).status_code == 204
    headers["Cookie"] = "lastcall-access=x; lastcall-refresh=y; lastcall-refresh=z"
    assert (await served.client(headers).post(SIGN_OUT)).status_code == 204


async def test_a_native_client_signs_out_by_its_access_token_and_is_sent_no_cookie(
    served: Served,
) -> None:
    native = await served.native()
    for _ in range(2):
        response = await native.post(SIGN_OUT)
        assert response.status_code == 204
        assert not {"set-cookie", "clear-site-data"} & set(response.headers)
    problem(await native.get(SESSION), 401, "session_ended")
    response = await native.client.post("/api/v1/refresh", json={"refresh_token": native.refresh})
    problem(response, 401, "session_ended")


async def test_a_bearer_token_must_be_genuine(served: Served) -> None:
    browser = await served.browser()
    response = await browser.post(SIGN_OUT, headers={"Authorization": "Bearer x"})
    problem(response, 401, "token_invalid")
    assert (await browser.get(SESSION)).status_code == 200


async def test_another_site_signs_nobody_out(served: Served) -> None:
    browser = await served.browser()
    response = await browser.post(SIGN_OUT, headers={"Sec-Fetch-Site": "cross-site"})
    problem(response, 403, "csrf_failed")
    assert (await browser.get(SESSION)).status_code == 200


async def test_a_refresh_cookie_from_before_the_grace_is_a_theft_at_sign_out_too(
    served: Served,
) -> None:
    browser = await served.browser()
    old = browser.cookies["lastcall-refresh"]
    await browser.post("/api/v1/refresh")
    served.clock.advance(seconds=11)
    headers = {"Sec-Fetch-Site": "same-origin", "Cookie": f"lastcall-refresh={old}"}
    assert (await served.client(headers).post(SIGN_OUT)).status_code == 204
    assert problem(await browser.get(SESSION), 401, "session_ended")["reason"] == "refresh_reuse"


async def test_an_application_that_mounts_the_server_keeps_its_storage(
    serve: Serve, database_url: str
) -> None:
    settings = Settings(database_url=database_url, public_url="http://localhost:8000/auth")
    browser = await (await serve(settings)).browser()
    response = await browser.post(SIGN_OUT)
    assert response.status_code == 204
    assert "clear-site-data" not in response.headers
    assert set(set_cookies(response)) == {"lastcall-access", "lastcall-refresh"}


async def test_the_body_of_a_sign_out_is_not_looked_at(served: Served) -> None:
    browser = await served.browser()
    assert (await browser.post(SIGN_OUT, content=b"\xff" * 10)).status_code == 204
