"""POST /sign-in: who gets in, and how tokens are handed over."""

import pytest

from lastcall.errors import Unavailable
from lastcall.events import SYSTEM
from tests.http.serving import CHROME, Served, faults, problem, set_cookies
from tests.support.nodes import PASSWORD

SIGN_IN = "/api/v1/sign-in"
ADA = {"email": "ada@example.com", "password": PASSWORD}


async def test_a_native_client_gets_its_tokens_in_the_body_and_no_cookie(served: Served) -> None:
    response = await served.client().post(SIGN_IN, json=ADA)
    tokens = response.json()
    assert response.status_code == 200
    assert set(tokens) == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "refresh_expires_in",
        "session",
    }
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    assert tokens["refresh_expires_in"] == 86400
    assert "set-cookie" not in response.headers


async def test_the_session_in_the_answer_has_every_field_of_the_contract(served: Served) -> None:
    headers = {"User-Agent": CHROME}
    body = {**ADA, "name": "laptop"}
    session = (await served.client(headers, "81.2.69.142").post(SIGN_IN, json=body)).json()[
        "session"
    ]
    assert session.pop("id").startswith("s_")
    assert session == {
        "current": True,
        "device": {
            "type": "desktop",
            "os": "Windows",
            "os_version": None,
            "browser": "Chrome",
            "browser_version": "142",
            "label": "Chrome on Windows",
        },
        "location": {
            "label": "United Kingdom",
            "reason": None,
            "city": None,
            "region": None,
            "country": "United Kingdom",
            "country_code": "GB",
        },
        "ip": "81.2.69.142",
        "client_type": "native",
        "name": "laptop",
        "created_at": "2026-03-01T12:00:00Z",
        "last_active_at": "2026-03-01T12:00:00Z",
        "expires_at": "2026-03-02T12:00:00Z",
        "expires_in": 86400,
        "expires_by": "inactivity",
        "absolute_expires_at": "2026-03-31T12:00:00Z",
        "amr": ["pwd"],
        "auth_time": "2026-03-01T12:00:00Z",
        "ended_at": None,
        "end_reason": None,
        "ended_by": None,
    }


async def test_a_browser_gets_its_tokens_as_cookies_and_none_in_the_body(served: Served) -> None:
    response = await served.client().post(SIGN_IN, json={**ADA, "client": "browser"})
    assert response.status_code == 200
    assert set(response.json()) == {"token_type", "expires_in", "refresh_expires_in", "session"}
    cookies = set_cookies(response)
    assert set(cookies) == {"lastcall-access", "lastcall-refresh", "lastcall-device"}
    for value, _ in cookies.values():
        assert value
        assert value not in response.text


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("sue@example.com", PASSWORD),
        ("ada@example.com\0", PASSWORD),
        ("", ""),
    ],
    ids=["wrong password", "unknown", "no address", "suspended", "NUL", "empty"],
)
async def test_all_wrong_credentials_have_one_answer(
    served: Served, email: str, password: str
) -> None:
    sue = await served.add_user("sue@example.com")
    await served.node.identity.suspend(sue, SYSTEM)
    client = served.client()
    known = await client.post(SIGN_IN, json={"email": "ada@example.com", "password": "no"})
    response = await client.post(SIGN_IN, json={"email": email, "password": password})
    problem(response, 401, "invalid_credentials")
    assert response.content == known.content
    assert response.headers == known.headers


async def test_an_address_is_the_same_in_another_case_and_width(served: Served) -> None:
    body = {"email": "\N{FULLWIDTH LATIN CAPITAL LETTER A}DA@EXAMPLE.com", "password": PASSWORD}
    assert (await served.client().post(SIGN_IN, json=body)).status_code == 200


async def test_a_browser_is_recognised_at_its_next_sign_in(served: Served) -> None:
    browser = await served.browser()
    first = browser.cookies["lastcall-device"]
    browser.cookies.delete("lastcall-access")
    browser.cookies.delete("lastcall-refresh")
    response = await browser.post(SIGN_IN, json={**ADA, "client": "browser"})
    assert set_cookies(response)["lastcall-device"][0] == first


@pytest.mark.parametrize("made_up", ["A" * 64, "x", "!", "A" * 43])
async def test_a_made_up_device_cookie_is_replaced(served: Served, made_up: str) -> None:
    client = served.client({"Sec-Fetch-Site": "same-origin"})
    response = await client.post(
        SIGN_IN,
        json={**ADA, "client": "browser"},
        headers={"Cookie": f"lastcall-device={made_up}"},
    )
    # The id comes first in it, then the proof that it was given here.
    assert set_cookies(response)["lastcall-device"][0][:20] != made_up[:20]


async def test_signing_in_again_ends_the_session_that_the_browser_held(served: Served) -> None:
    browser = await served.browser()
    old = browser.cookies["lastcall-access"]
    await browser.post(SIGN_IN, json={**ADA, "client": "browser"})
    assert (await browser.get("/api/v1/session")).status_code == 200
    response = await served.client({"Authorization": f"Bearer {old}"}).get("/api/v1/session")
    assert problem(response, 401, "session_ended")["reason"] == "signed_out"


async def test_a_session_that_cannot_be_replaced_now_stops_no_sign_in(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await served.browser()

    async def fail(_text: str, _origin: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(served.node.sessions.endings, "sign_out_refresh", fail)
    response = await browser.post(SIGN_IN, json={**ADA, "client": "browser"})
    assert response.status_code == 200
    assert "goes on: unavailable" in caplog.text
    assert (await browser.get("/api/v1/session")).status_code == 200


async def test_a_failed_sign_in_leaves_the_browsers_session_alone(served: Served) -> None:
    browser = await served.browser()
    body = {"email": "ada@example.com", "password": "wrong", "client": "browser"}
    problem(await browser.post(SIGN_IN, json=body), 401, "invalid_credentials")
    assert (await browser.get("/api/v1/session")).status_code == 200


@pytest.mark.parametrize("name", ["", "  ", "a\u0000b", "x" * 201, "\u202eevil"])
async def test_a_clients_name_must_be_one(served: Served, name: str) -> None:
    response = await served.client().post(SIGN_IN, json={**ADA, "name": name})
    problem(response, 422, "invalid_request")
    assert [at for at, _ in faults(response)] == ["name"]


async def test_a_strange_host_name_gets_nowhere_in_the_answer(served: Served) -> None:
    response = await served.client().post(SIGN_IN, json=ADA, headers={"Host": "evil.example"})
    assert "evil" not in response.text
