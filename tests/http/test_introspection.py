"""POST /oauth/introspect: whether an access token is good, for services that ask (RFC 7662)."""

import json
from collections.abc import Mapping

import httpx
import msgspec
import pytest

from lastcall.digests import decode
from lastcall.events import SYSTEM, Timeline
from lastcall.identity.model import Scope
from lastcall.tokens import mint_access
from tests.http.serving import Native, Served, faults, problem

INTROSPECT = "/oauth/introspect"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
INACTIVE = {"active": False}


@pytest.fixture
async def service(served: Served) -> httpx.AsyncClient:
    """A service that may verify tokens."""
    return await served.as_service("verify")


async def asked(service: httpx.AsyncClient, token: str) -> dict[str, object]:
    """Ask about a token."""
    response = await service.post(INTROSPECT, data={"token": token})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert "set-cookie" not in response.headers
    value: dict[str, object] = response.json()
    return value


async def test_a_good_token_is_active_with_all_that_it_carries(
    served: Served, service: httpx.AsyncClient
) -> None:
    native = await served.native()
    claims = json.loads(decode(native.access.split(".")[1]))
    assert set(claims) == {
        *("iss", "sub", "client_id", "sid", "aud", "iat", "exp", "jti", "auth_time", "amr"),
        *("account", "roles", "pos"),
    }
    assert await asked(service, native.access) == {
        "active": True,
        "token_type": "Bearer",
        **claims,
    }


async def test_a_hint_right_or_wrong_and_other_parameters_change_nothing(
    served: Served, service: httpx.AsyncClient
) -> None:
    native = await served.native()
    for hint in ("access_token", "refresh_token", "made_up", ""):
        form = {"token": native.access, "token_type_hint": hint, "client_id": "x", "resource": "y"}
        assert (await service.post(INTROSPECT, data=form)).json()["active"] is True


async def test_a_token_is_inactive_as_soon_as_its_session_has_ended_and_says_why(
    served: Served, service: httpx.AsyncClient
) -> None:
    native = await served.native()
    assert (await asked(service, native.access))["active"] is True
    await native.post("/api/v1/sign-out")
    ended = {"active": False, "code": "session_ended", "reason": "signed_out"}
    assert await asked(service, native.access) == ended
    served.clock.advance(hours=2)  # the ending is said before that the token has run out
    assert await asked(service, native.access) == ended


async def test_a_session_that_ended_with_all_of_its_users_says_so(
    served: Served, service: httpx.AsyncClient
) -> None:
    mia = await served.add_user("mia@example.com")
    native = await served.native("mia@example.com")
    await served.node.identity.suspend(mia, SYSTEM)
    told = await asked(service, native.access)
    assert told == {"active": False, "code": "session_ended", "reason": "user_suspended"}


async def test_a_token_past_its_time_is_expired(served: Served, service: httpx.AsyncClient) -> None:
    native = await served.native()
    served.clock.advance(seconds=3599)
    assert (await asked(service, native.access))["active"] is True
    served.clock.advance(seconds=1)
    assert await asked(service, native.access) == {"active": False, "code": "token_expired"}


async def test_a_token_that_needs_a_refresh_is_expired(
    served: Served, service: httpx.AsyncClient
) -> None:
    """A fresh proof has replaced it."""
    native = await served.native()
    body = {"password": "correct horse battery"}
    newer = native.holding(await native.post("/api/v1/reauthenticate", body))
    assert await asked(service, native.access) == {"active": False, "code": "token_expired"}
    assert (await asked(service, newer.access))["active"] is True


@pytest.mark.parametrize("foreign", ["ahead", "another timeline", "another epoch"])
async def test_a_position_that_the_log_does_not_have_needs_a_refresh(
    served: Served, service: httpx.AsyncClient, foreign: str
) -> None:
    """A restored database, or a log that has forked, does not know it (instant-logout, rule 5)."""
    native = await served.native()
    access = (await served.node.sessions.authenticate(native.access)).access
    position = access.position
    moved = {
        "ahead": position._replace(seq=position.seq + 1),
        "another timeline": position._replace(timeline=Timeline(1, "twin")),
        "another epoch": position._replace(epoch="AAAAAAAAAAAA"),
    }[foreign]
    signer = await served.node.signing.signer()
    token = mint_access(msgspec.structs.replace(access, position=moved), signer)
    assert await asked(service, token) == {"active": False, "code": "token_expired"}


async def test_of_another_account_s_token_nothing_is_said_whatever_has_become_of_it(
    served: Served,
) -> None:
    elsewhere = await served.node.identity.add_account("Elsewhere")
    stranger = await served.as_service("verify", account=elsewhere)
    native = await served.native()
    assert await asked(stranger, native.access) == INACTIVE
    served.clock.advance(hours=2)
    assert await asked(stranger, native.access) == INACTIVE  # run out
    await native.post("/api/v1/sign-out")
    assert await asked(stranger, native.access) == INACTIVE  # ended


async def test_of_what_is_not_genuine_nothing_is_said(
    served: Served, service: httpx.AsyncClient, native_elsewhere: Native
) -> None:
    native = await served.native()
    await native.post("/api/v1/sign-out")
    head, payload, signature = native.access.split(".")
    forged = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    for token in (
        *("x", "a.b.c", "é", "\0", " ", "lck_x", "lcr_x", "x" * 60_000),
        f"{head}.{payload}.{forged}",
        f"{head}.{payload}.",
        native_elsewhere.access,
    ):
        assert await asked(service, token) == INACTIVE


async def test_a_refresh_token_is_never_active(served: Served, service: httpx.AsyncClient) -> None:
    """Nobody but this server may accept one."""
    native = await served.native()
    assert await asked(service, native.refresh) == INACTIVE
    await native.post("/api/v1/sign-out")
    assert await asked(service, native.refresh) == INACTIVE


async def test_a_service_that_asks_about_much_that_is_nothing_is_not_limited(
    served: Served, service: httpx.AsyncClient
) -> None:
    """It is who is asked; who made the tokens up is another."""
    for number in range(110):
        assert await asked(service, f"made.up.{number}") == INACTIVE
    native = await served.native()
    refreshed = await native.client.post("/api/v1/refresh", json={"refresh_token": native.refresh})
    assert refreshed.status_code == 200


async def test_only_a_service_with_the_scope_may_ask(served: Served) -> None:
    native = await served.native()
    form = {"token": native.access}
    told = problem(await served.client().post(INTROSPECT, data=form), 401, "token_missing")
    assert told["error"] == "invalid_client"
    own = await native.client.post(INTROSPECT, data=form, headers=native.auth)
    assert problem(own, 401, "token_invalid")["error"] == "invalid_client"
    assert 'error="invalid_token"' in own.headers["www-authenticate"]
    others: tuple[Scope, ...] = ("sessions", "metrics")
    for scope in others:
        other = await served.as_service(scope)
        told = problem(await other.post(INTROSPECT, data=form), 403, "forbidden")
        assert told["error"] == "unauthorized_client"
    browser = await served.browser()
    problem(await browser.post(INTROSPECT, data=form), 401, "token_missing")
    basic = served.client({"Authorization": "Basic eDp5"})
    problem(await basic.post(INTROSPECT, data=form), 401, "token_missing")


@pytest.mark.parametrize(
    ("raw", "field", "code"),
    [
        (b"", "token", "missing"),
        (b"tokens=x", "token", "missing"),
        (b"token=", "token", "too_short"),
        (b"token=x&token=x", "token", "repeated"),
        (b"token=x&token_type_hint=a&token_type_hint=b", "token_type_hint", "repeated"),
        (b"token=%ff", "", "unreadable"),
        (b"token=\xff", "", "unreadable"),
        (b"a=b&" * 60 + b"token=x", "", "unreadable"),
    ],
)
async def test_a_wrong_form_is_refused_with_400_in_oauths_words_and_ours(
    service: httpx.AsyncClient, raw: bytes, field: str, code: str
) -> None:
    response = await service.post(INTROSPECT, content=raw, headers=FORM)
    told = problem(response, 400, "invalid_request")
    assert told["error"] == "invalid_request"
    assert faults(response) == [(field, code)]


@pytest.mark.parametrize(
    ("raw", "headers", "status", "code"),
    [
        (b'{"token":"x"}', {"Content-Type": "application/json"}, 415, "unsupported_media_type"),
        (b"token=x", {}, 415, "unsupported_media_type"),
        (b"token=" + b"x" * 66_000, FORM, 413, "too_large"),
    ],
    ids=["json", "no type", "large"],
)
async def test_what_is_no_form_is_refused(
    service: httpx.AsyncClient, raw: bytes, headers: Mapping[str, str], status: int, code: str
) -> None:
    told = problem(await service.post(INTROSPECT, content=raw, headers=headers), status, code)
    assert told["error"] == "invalid_request"


async def test_other_calls_say_nothing_in_oauths_words(served: Served) -> None:
    refused = await served.client().post("/api/v1/sign-in", json={})
    assert "error" not in problem(refused, 422, "invalid_request")


async def test_a_token_in_the_address_is_not_looked_at(
    served: Served, service: httpx.AsyncClient
) -> None:
    """It would stand in logs."""
    native = await served.native()
    response = await service.post(INTROSPECT, params={"token": native.access})
    problem(response, 400, "invalid_request")
    response = await service.get(INTROSPECT, params={"token": native.access})
    problem(response, 405, "method_not_allowed")


async def test_without_its_store_the_server_says_nothing_of_any_token(
    served: Served, service: httpx.AsyncClient
) -> None:
    native = await served.native()
    await served.node.store.close()
    response = await service.post(INTROSPECT, data={"token": native.access})
    assert "active" not in problem(response, 503, "unavailable")
