"""What a service does with its key: it begins sessions and ends them."""

import json
from typing import Any, Final

import pytest

from lastcall.digests import decode
from lastcall.errors import Unavailable
from lastcall.events import SYSTEM
from lastcall.sessions.service import Sessions
from lastcall.stores.base import RecordQuery
from tests.http.serving import CHROME, Served, faults, problem
from tests.support.nodes import PASSWORD

SESSIONS = "/api/v1/sessions"
START: Final[dict[str, Any]] = {
    "user": {"external_id": "7", "email": "Joe@shop.test", "name": "Joe"},
    "client": {
        "ip": "81.2.69.142",
        "user_agent": CHROME,
        "headers": {"Sec-CH-UA-Platform": '"Windows"', "X-Other": "x"},
    },
    "amr": ["pwd", "otp"],
    "client_type": "browser",
}


async def test_a_service_begins_a_session_for_a_user_whom_it_signs_in(served: Served) -> None:
    service = await served.as_service("sessions")
    response = await service.post(SESSIONS, json=START)
    value = response.json()
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    session, user = value["session"], value["user"]
    assert (session["client_type"], session["ip"]) == ("browser", "81.2.69.142")
    assert session["device"]["label"] == "Chrome on Windows"
    assert session["location"]["country_code"] == "GB"
    assert session["amr"] == ["pwd", "otp"]
    assert (user["external_id"], user["email"], user["name"]) == ("7", "Joe@shop.test", "Joe")
    assert (user["role"], user["active_sessions"]) == ("member", 1)
    headers = {"Authorization": f"Bearer {value['access_token']}"}
    own = (await served.client().get("/api/v1/session", headers=headers)).json()
    assert own["id"] == session["id"]


async def test_a_session_that_has_begun_is_answered_also_where_the_database_fails_by_then(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the service would begin another one, at another server, and nobody have the first."""

    async def fail(*_: object) -> None:
        raise Unavailable("planted")

    monkeypatch.setattr(Sessions, "count", fail)
    service = await served.as_service("sessions")
    asked = {"user": {"external_id": "42"}, "client": {"ip": None, "user_agent": None}}
    begun = await service.post("/api/v1/sessions", json=asked)
    assert begun.status_code == 200
    assert begun.json()["user"]["active_sessions"] is None
    assert begun.json()["refresh_token"]


async def test_the_access_token_carries_the_external_id_also_after_a_refresh(
    served: Served,
) -> None:
    service, verifies = await served.as_service("sessions"), await served.as_service("verify")
    longest = "\U0001d11e" * 200
    body = {**START, "user": {"external_id": longest}}
    begun = (await service.post(SESSIONS, json=body)).json()
    refresh = {"refresh_token": begun["refresh_token"]}
    renewed = (await served.client().post("/api/v1/refresh", json=refresh)).json()
    for tokens in (begun, renewed):
        claims = json.loads(decode(tokens["access_token"].split(".")[1]))
        assert claims["external_id"] == longest
        found = await verifies.post("/oauth/introspect", data={"token": tokens["access_token"]})
        assert found.json()["external_id"] == longest


async def test_a_service_is_given_the_cookies_that_it_sets_in_its_users_browser(
    served: Served,
) -> None:
    service = await served.as_service("sessions")
    begun = (await service.post(SESSIONS, json={**START, "cookies": True})).json()
    assert not {"access_token", "refresh_token"} & set(begun)
    assert begun["session"]["client_type"] == "browser"
    names = [one["name"] for one in begun["cookies"]]
    assert names == ["lastcall-access", "lastcall-refresh", "lastcall-device"]
    for one in begun["cookies"]:
        rules = {name: one[name] for name in ("path", "secure", "http_only", "same_site")}
        assert rules == {"path": "/", "secure": False, "http_only": True, "same_site": "Lax"}
    ages = [one["max_age"] for one in begun["cookies"]]
    assert ages == [86400, 86400, 400 * 86400]
    browser = served.client({"Sec-Fetch-Site": "same-origin"})
    for one in begun["cookies"]:
        browser.cookies.set(one["name"], one["value"])
    found = (await browser.get("/api/v1/session")).json()
    assert found["id"] == begun["session"]["id"]
    assert (await browser.post("/api/v1/refresh")).status_code == 200


async def test_behind_tls_those_cookies_are_for_this_host_alone(secured: Served) -> None:
    service = await secured.as_service("sessions")
    begun = (await service.post(SESSIONS, json={**START, "cookies": True})).json()
    assert all(one["secure"] for one in begun["cookies"])
    assert all(one["name"].startswith("__Host-lastcall-") for one in begun["cookies"])


async def test_on_a_shared_device_the_cookies_of_a_service_end_with_the_browser(
    served: Served,
) -> None:
    service = await served.as_service("sessions")
    body = {**START, "cookies": True, "shared_device": True}
    begun = (await service.post(SESSIONS, json=body)).json()
    assert [one["max_age"] for one in begun["cookies"]][:2] == [None, None]


async def test_a_browser_that_a_service_names_keeps_its_device_and_a_forged_one_gets_a_new_one(
    served: Served,
) -> None:
    service = await served.as_service("sessions")

    async def device(shown: str | None) -> str:
        client = {**START["client"], "device": shown}
        body = {**START, "client": client, "cookies": True}
        found: str = (await service.post(SESSIONS, json=body)).json()["cookies"][2]["value"]
        return found

    first = await device(None)
    assert await device(first) == first
    for forged in (first[:-4] + "AAAA", "x" * 4000, "ä", ""):
        assert await device(forged) != first


async def test_the_external_id_alone_tells_who_it_is(served: Served) -> None:
    service = await served.as_service("sessions")
    first = (await service.post(SESSIONS, json=START)).json()["user"]["id"]
    other = {**START, "user": {"external_id": "7", "email": "else@shop.test"}}
    assert (await service.post(SESSIONS, json=other)).json()["user"]["id"] == first
    other = {**START, "user": {"external_id": "8", "email": "Joe@shop.test"}}
    assert (await service.post(SESSIONS, json=other)).json()["user"]["id"] != first


async def test_an_address_never_links_to_a_user_who_signs_in_here(served: Served) -> None:
    service = await served.as_service("sessions")
    body = {**START, "user": {"external_id": "7", "email": "ada@example.com"}}
    value = (await service.post(SESSIONS, json=body)).json()
    assert value["user"]["id"] != served.ada.id
    assert value["user"]["role"] == "member"


async def test_the_same_external_id_in_another_account_is_another_user(served: Served) -> None:
    elsewhere = await served.node.identity.add_account("Elsewhere")
    here = await served.as_service("sessions")
    there = await served.as_service("sessions", account=elsewhere)
    one = (await here.post(SESSIONS, json=START)).json()["user"]["id"]
    two = (await there.post(SESSIONS, json=START)).json()["user"]["id"]
    assert one != two


async def test_a_suspended_user_is_refused(served: Served) -> None:
    service = await served.as_service("sessions")
    await service.post(SESSIONS, json=START)
    user = await served.node.store.find_external_user(served.account.id, "7")
    assert user is not None
    await served.node.identity.suspend(user, SYSTEM)
    problem(await service.post(SESSIONS, json=START), 403, "forbidden")


async def test_only_the_least_is_needed(served: Served) -> None:
    service = await served.as_service("sessions")
    body = {"user": {"external_id": "9"}, "client": {"ip": None, "user_agent": None}}
    session = (await service.post(SESSIONS, json=body)).json()["session"]
    assert (session["client_type"], session["amr"], session["ip"]) == ("service", [], None)
    assert session["location"] == {
        "label": "unknown",
        "reason": "no_address",
        "city": None,
        "region": None,
        "country": None,
        "country_code": None,
    }


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("user", {"user": None}),
        ("user.external_id", {"user": {}}),
        ("user.external_id", {"user": {"external_id": ""}}),
        ("user.external_id", {"user": {"external_id": " 7"}}),
        ("user.external_id", {"user": {"external_id": "7\u0000"}}),
        ("user.external_id", {"user": {"external_id": "x" * 201}}),
        ("user.id", {"user": {"external_id": "7", "id": "u_1"}}),
        ("user.email", {"user": {"external_id": "7", "email": "a\nb@c.d"}}),
        ("user.name", {"user": {"external_id": "7", "name": "\u202eevil"}}),
        ("client.ip", {"client": {"ip": "1.2.3", "user_agent": ""}}),
        ("client.user_agent", {"client": {"ip": "1.2.3.4"}}),
        ("client.headers", {"client": {"ip": None, "user_agent": None, "headers": []}}),
        ("amr[0]", {"amr": ["a b"]}),
        ("amr[0]", {"amr": ["pwd\n"]}),
        ("amr", {"amr": ["x"] * 17}),
        ("client_type", {"client_type": "toaster"}),
        ("role", {"role": "owner"}),
    ],
)
async def test_what_is_wrong_is_named_by_its_place(
    served: Served, field: str, change: dict[str, object]
) -> None:
    service = await served.as_service("sessions")
    response = await service.post(SESSIONS, json={**START, **change})
    problem(response, 422, "invalid_request")
    assert [at for at, _ in faults(response)] == [field]
    assert await served.node.store.find_external_user(served.account.id, "7") is None


async def test_cookies_never_prove_a_service(served: Served) -> None:
    browser = await served.browser()
    problem(await browser.post(SESSIONS, json=START), 401, "token_missing")


async def test_a_service_ends_any_session_of_its_account(served: Served) -> None:
    service, native = await served.as_service("sessions"), await served.native()
    response = await service.delete(f"{SESSIONS}/{native.session_id}")
    assert (response.status_code, response.json()["ended"]) == (200, 1)
    value = problem(await native.get("/api/v1/session"), 401, "session_ended")
    assert value["reason"] == "terminated_by_service"
    assert value["ended_by"] == {"kind": "service", "name": "shop"}
    followed = await service.get(f"/api/v1/terminations/{response.json()['id']}")
    assert followed.json()["ended"] == 1


async def test_a_session_of_another_account_is_not_there_for_a_service(served: Served) -> None:
    elsewhere = await served.node.identity.add_account("Elsewhere")
    service = await served.as_service("sessions", account=elsewhere)
    native = await served.native()
    theirs = await service.delete(f"{SESSIONS}/{native.session_id}")
    unknown = await service.delete(f"{SESSIONS}/s_c1_{'0' * 26}")
    problem(theirs, 404, "not_found")
    assert theirs.content == unknown.content
    assert (await native.get("/api/v1/session")).status_code == 200


async def test_another_key_of_the_account_does_not_follow_what_this_one_ended(
    served: Served,
) -> None:
    service, other = await served.as_service("sessions"), await served.as_service("sessions")
    native = await served.native()
    ended = (await service.delete(f"{SESSIONS}/{native.session_id}")).json()
    problem(await other.get(f"/api/v1/terminations/{ended['id']}"), 404, "not_found")


async def test_the_role_of_a_session_that_a_service_vouches_for_is_member(served: Served) -> None:
    value = await served.start_external()
    caller = await served.node.sessions.authenticate(value.access)
    assert (caller.role, caller.access.roles) == ("member", ("member",))


async def test_a_service_signs_nobody_in_by_password(served: Served) -> None:
    service = await served.as_service("sessions")
    body = {"email": "ada@example.com", "password": PASSWORD}
    session = (await service.post("/api/v1/sign-in", json=body)).json()["session"]
    assert session["client_type"] == "native"


async def test_the_session_that_a_browser_held_ends_as_signed_out_from_where_the_browser_is(
    served: Served,
) -> None:
    service = await served.as_service("sessions")
    first = (await service.post(SESSIONS, json={**START, "cookies": True})).json()
    held = {**START["client"], "refresh_token": first["cookies"][1]["value"]}
    await service.post(SESSIONS, json={**START, "client": held, "cookies": True})
    records = await served.node.store.list_records(RecordQuery(limit=50))
    [said] = [one for one in records if one.type == "session.sign_out"]
    assert said.target is not None
    assert said.target.id == first["session"]["id"]
    assert said.origin.ip == "81.2.69.142"
