"""POST /oauth/revoke: a token that is given back is dead, with all that belongs to its session
(RFC 7009; attack 16)."""

from pathlib import Path

import httpx
import pytest

from tests.http.cast import dump
from tests.http.conftest import Serve
from tests.http.serving import CHROME, Native, Served, faults, problem
from tests.support.nodes import PASSWORD

REVOKE = "/oauth/revoke"
SESSION, REFRESH = "/api/v1/session", "/api/v1/refresh"
STRANGER = "203.0.113.9"


async def give_back(client: httpx.AsyncClient, token: str) -> None:
    """Revoke a token, as what may be one."""
    response = await client.post(REVOKE, data={"token": token})
    assert (response.status_code, response.content) == (200, b""), response.text
    assert response.headers["cache-control"] == "no-store"
    assert not {"set-cookie", "clear-site-data"} & set(response.headers)


async def refresh(native: Native) -> httpx.Response:
    return await native.client.post(REFRESH, json={"refresh_token": native.refresh})


async def assert_ended(native: Native, reason: str = "revoked") -> None:
    """Hold that neither token is good for anything."""
    assert problem(await native.get(SESSION), 401, "session_ended")["reason"] == reason
    assert problem(await refresh(native), 401, "session_ended")["reason"] == reason


async def assert_alive(native: Native) -> None:
    assert (await native.get(SESSION)).status_code == 200


async def test_a_refresh_token_that_is_given_back_is_dead_with_its_access_tokens(
    served: Served,
) -> None:
    """By whoever holds it, without any other proof: native clients have none."""
    native, bystander = await served.native(), await served.native()
    newer = native.holding(await refresh(native))
    await give_back(served.client(), newer.refresh)
    await assert_ended(newer)
    problem(await native.get(SESSION), 401, "session_ended")  # an older access token
    await assert_alive(bystander)


async def test_an_access_token_that_is_given_back_ends_its_session(served: Served) -> None:
    native = await served.native()
    await give_back(served.client(), native.access)
    await assert_ended(native)


async def test_an_access_token_that_has_run_out_ends_its_session_too(served: Served) -> None:
    """As at a sign-out: it is all that some clients have left."""
    native = await served.native()
    served.clock.advance(hours=2)
    await give_back(served.client(), native.access)
    await assert_ended(native)


async def test_a_token_that_is_dead_already_is_given_back_to_no_effect(
    served: Served, tmp_path: Path
) -> None:
    native, other = await served.native(), await served.native()
    await give_back(served.client(), native.refresh)
    await other.post("/api/v1/sign-out")
    before = dump(tmp_path)
    for token in (native.refresh, native.access, other.refresh, other.access):
        await give_back(served.client(), token)
    assert dump(tmp_path) == before
    await assert_ended(native)
    await assert_ended(other, "signed_out")


async def test_a_session_that_ran_out_keeps_that_for_its_end(served: Served) -> None:
    native = await served.native()
    served.clock.advance(hours=25)
    for token in (native.refresh, native.access):
        await give_back(served.client(), token)
    await assert_ended(native, "expired_inactive")


async def test_what_is_no_token_of_ours_is_given_back_to_no_effect(
    served: Served, native_elsewhere: Native, tmp_path: Path
) -> None:
    native = await served.native()
    key = await served.key("verify")
    before = dump(tmp_path)
    mac, guessed = native.refresh[-43:], native.refresh[:-4]
    for token in (
        *("x", "a.b.c", "é", "\0", "lcr_", "lck_x", "x" * 60_000),
        *(native.session_id, f"lcr_{native.session_id}.1.{'A' * 43}.{mac}"),
        guessed + ("AAAA" if not native.refresh.endswith("AAAA") else "BBBB"),
        native.access[:-4] + ("AAAA" if not native.access.endswith("AAAA") else "BBBB"),
        *(native_elsewhere.refresh, native_elsewhere.access, key),
    ):
        await give_back(served.client(), token)
    after = dump(tmp_path)
    assert before.pop("throttle") != after.pop("throttle")  # counted, and nothing else
    assert after == before
    await assert_alive(native)


async def test_a_hint_right_or_wrong_and_other_parameters_change_nothing(served: Served) -> None:
    for hint in ("access_token", "refresh_token", "made_up", ""):
        for kind in ("access", "refresh"):
            native = await served.native()
            form = {"token": getattr(native, kind), "token_type_hint": hint, "client_id": "native"}
            assert (await served.client().post(REVOKE, data=form)).status_code == 200
            await assert_ended(native)


async def test_unknown_tokens_are_limited_by_address_and_genuine_ones_not(served: Served) -> None:
    native, other = await served.native(), await served.native()
    client = served.client(peer=STRANGER)
    for number in range(100):
        await give_back(client, f"lcr_{number}")
    refused = await client.post(REVOKE, data={"token": "lcr_again"})
    problem(refused, 429, "rate_limited")
    refused = await client.post(REFRESH, json={"refresh_token": "lcr_again"})
    problem(refused, 429, "rate_limited")  # counted together
    await give_back(served.client(), "lcr_again")
    await give_back(client, native.refresh)
    await assert_ended(native)
    await give_back(client, other.access)
    await assert_ended(other)


# Tokens that have been used.


async def test_the_parent_within_the_grace_is_as_good_as_its_successor(served: Served) -> None:
    """A tab that has not heard of the refresh yet."""
    native = await served.native()
    newer = native.holding(await refresh(native))
    await give_back(served.client(), native.refresh)
    await assert_ended(newer)


async def test_a_token_that_was_used_up_long_ago_is_a_theft_here_too(served: Served) -> None:
    native, bystander = await served.native(), await served.native()
    newer = native.holding(await refresh(native))
    served.clock.advance(seconds=11)
    await give_back(served.client(peer=STRANGER), native.refresh)
    await assert_ended(newer, "refresh_reuse")
    events = (await bystander.get("/api/v1/activity")).json()["events"]
    assert (events[0]["type"], events[0]["ip"]) == ("session.reuse", STRANGER)


async def test_a_refresh_token_that_a_fresh_proof_has_just_replaced_ends_nothing(
    served: Served,
) -> None:
    """It is good for nothing any more, also not for a sign-out."""
    native = await served.native()
    newer = native.holding(await native.post("/api/v1/reauthenticate", {"password": PASSWORD}))
    await give_back(served.client(), native.refresh)
    await assert_alive(newer)


# Services.


@pytest.fixture
async def shop(served: Served) -> tuple[httpx.AsyncClient, Native]:
    """A service, and a client whose session it has begun."""
    service = await served.as_service("sessions")
    response = await service.post(
        "/api/v1/sessions",
        json={
            "user": {"external_id": "7"},
            "client": {"ip": "81.2.69.142", "user_agent": CHROME},
        },
    )
    tokens = response.json()
    given = tokens["access_token"], tokens["refresh_token"], tokens["session"]["id"]
    return service, Native(served.client(), *given)


@pytest.mark.parametrize("kind", ["access", "refresh"])
async def test_a_service_gives_back_what_it_was_given_and_is_named_for_it(
    served: Served, shop: tuple[httpx.AsyncClient, Native], kind: str
) -> None:
    service, native = shop
    ada = await served.native()
    await give_back(service, getattr(native, kind))
    await assert_ended(native)
    events = (await ada.get("/api/v1/audit")).json()["events"]
    ended = next(event for event in events if event["reason"] == "revoked")
    assert (ended["type"], ended["target"]["id"]) == ("session.sign_out", native.session_id)
    assert (ended["actor"]["kind"], ended["actor"]["name"]) == ("service", "shop")


@pytest.mark.parametrize("kind", ["access", "refresh"])
async def test_what_was_given_to_another_client_is_refused_to_a_service_without_effect(
    served: Served, shop: tuple[httpx.AsyncClient, Native], tmp_path: Path, kind: str
) -> None:
    """To another service of the account, to one elsewhere, and to one for what no service began;
    also where the token was used up long ago."""
    _, given = shop
    native, used = await served.native(), await served.native()
    newer = used.holding(await refresh(used))
    served.clock.advance(seconds=11)
    elsewhere = await served.node.identity.add_account("Elsewhere")
    another = await served.as_service("sessions")
    stranger = await served.as_service("sessions", account=elsewhere)
    before = dump(tmp_path)
    for service in (another, stranger):
        for holder in (given, native, used):
            response = await service.post(REVOKE, data={"token": getattr(holder, kind)})
            told = problem(response, 403, "forbidden")
            assert told["error"] == "unauthorized_client"
            assert dump(tmp_path) == before
    for holder in (given, native, newer):
        await assert_alive(holder)
    await give_back(served.client(), getattr(given, kind))  # as a public client
    await assert_ended(given)


async def test_a_key_that_is_not_good_is_refused_even_with_a_good_token(
    served: Served, shop: tuple[httpx.AsyncClient, Native], tmp_path: Path
) -> None:
    _, native = shop
    verify = await served.key("verify")
    before = dump(tmp_path)
    form = {"token": native.refresh}
    for header, status, code, error in (
        ("Bearer x", 401, "token_invalid", "invalid_client"),
        (f"Bearer {native.access}", 401, "token_invalid", "invalid_client"),
        ("Basic bmF0aXZlOg==", 401, "token_missing", "invalid_client"),
        (f"Bearer {verify}", 403, "forbidden", "unauthorized_client"),
    ):
        client = served.client({"Authorization": header})
        told = problem(await client.post(REVOKE, data=form), status, code)
        assert told["error"] == error
    assert dump(tmp_path) == before
    await assert_alive(native)


# What is told of it.


async def test_the_user_and_their_admins_see_that_the_application_ended_it(served: Served) -> None:
    native, other = await served.native(), await served.native()
    client = served.client({"User-Agent": CHROME}, peer=STRANGER)
    await give_back(client, native.refresh)
    for log in ("activity", "audit"):
        event = (await other.get(f"/api/v1/{log}")).json()["events"][0]
        assert (event["type"], event["reason"]) == ("session.sign_out", "revoked")
        assert (event["target"]["id"], event["ip"]) == (native.session_id, STRANGER)
        assert event["actor"]["name"] == "Ada"
        assert event["device"]["label"] == "Chrome on Windows"
    ended = (await other.get("/api/v1/sessions?ended=true")).json()["sessions"]
    row = next(row for row in ended if row["id"] == native.session_id)
    assert (row["end_reason"], row["ended_by"]["kind"]) == ("revoked", "self")


async def test_cookies_give_nothing_back(served: Served) -> None:
    browser = await served.browser()
    response = await browser.post(REVOKE)
    problem(response, 400, "invalid_request")
    assert faults(response) == [("token", "missing")]
    await give_back(browser, "x")
    assert (await browser.get(SESSION)).status_code == 200
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    response = await browser.post(REVOKE, data={"token": "x"}, headers=elsewhere)
    problem(response, 403, "csrf_failed")


@pytest.mark.parametrize("raw", [b"", b"token=", b"token=x&token=y", b"token_type_hint=x"])
async def test_a_wrong_form_is_refused_with_400(served: Served, raw: bytes) -> None:
    client = served.client({"Content-Type": "application/x-www-form-urlencoded"})
    told = problem(await client.post(REVOKE, content=raw), 400, "invalid_request")
    assert told["error"] == "invalid_request"


async def test_a_token_in_the_address_is_not_looked_at(served: Served) -> None:
    native = await served.native()
    params = {"token": native.refresh}
    problem(await native.client.post(REVOKE, params=params), 400, "invalid_request")
    problem(await native.client.get(REVOKE, params=params), 405, "method_not_allowed")
    await assert_alive(native)


@pytest.mark.parametrize("kind", ["access", "refresh"])
async def test_while_the_store_is_down_the_answer_is_503_and_the_token_lives_on(
    served: Served, serve: Serve, kind: str
) -> None:
    native = await served.native()
    await served.node.store.close()
    for token in (getattr(native, kind), "lcr_x"):
        response = await served.client().post(REVOKE, data={"token": token})
        problem(response, 503, "unavailable")
    again = await serve(served.settings)
    back = Native(again.client(), native.access, native.refresh, native.session_id)
    await assert_alive(back)
    await give_back(again.client(), getattr(native, kind))
    await assert_ended(back)
