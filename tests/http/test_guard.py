"""Who is calling: bearer tokens, cookies, service keys, and endpoints that must say whom they let
in."""

import pytest
from starlette.responses import Response
from starlette.routing import Mount, Route

from lastcall.http.api import ENDPOINTS
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE, SESSION
from lastcall.server import create_app
from lastcall.settings import Settings
from tests.http.serving import Native, Served, problem

SESSION_PATH = "/api/v1/session"


async def _nothing(_call: Call[None, None, None]) -> Response:
    return Response()


@pytest.mark.parametrize(
    "undeclared",
    [Route("/x", lambda _request: Response()), Mount("/x", routes=[]), _nothing, None],
    ids=["a route", "a mount", "a handler", "nothing"],
)
def test_a_route_that_does_not_say_who_may_call_it_is_refused(undeclared: object) -> None:
    with pytest.raises(TypeError, match="who may call"):
        create_app(Settings(), endpoints=[*ENDPOINTS, undeclared])  # type: ignore[list-item]


def test_an_endpoint_cannot_be_declared_without_a_caller() -> None:
    with pytest.raises(TypeError, match="caller"):
        Endpoint(method="GET", path="/x", handler=_nothing, summary="")  # type: ignore[call-arg]


def test_an_endpoint_declared_twice_is_refused() -> None:
    twice: list[AnyEndpoint] = [
        Endpoint(method="GET", path="/x", caller=ANYONE, handler=_nothing, summary="")
    ] * 2
    with pytest.raises(ValueError, match="twice"):
        create_app(Settings(), endpoints=twice)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (endpoint.method, endpoint.path)
        for endpoint in ENDPOINTS
        if endpoint.caller.schemes and not endpoint.page
    ],
)
async def test_whatever_needs_a_caller_refuses_who_comes_without_and_with_a_wrong_token(
    served: Served, method: str, path: str
) -> None:
    # Not from this machine, to which the metrics are open.
    client, path = served.client(peer="192.0.2.1"), somewhere(path)
    problem(await client.request(method, path), 401, "token_missing")
    for token in ("x", "lck_x", "a.b.c", "lck_k_" + "0" * 26 + "_" + "A" * 43):
        headers = {"Authorization": f"Bearer {token}"}
        problem(await client.request(method, path, headers=headers), 401, "token_invalid")
    headers = {"Cookie": "lastcall-access=a.b.c", "Sec-Fetch-Site": "same-origin"}
    response = await client.request(method, path, headers=headers)
    code = "token_invalid" if endpoint_takes_cookies(method, path) else "token_missing"
    problem(response, 401, code)


def somewhere(path: str) -> str:
    return path.replace("{id}", "s_1").replace("{sid}", "s_2")


def endpoint_takes_cookies(method: str, path: str) -> bool:
    return any(
        endpoint.method == method
        and somewhere(endpoint.path) == path
        and "cookie" in endpoint.caller.schemes
        for endpoint in ENDPOINTS
    )


async def test_a_bad_bearer_token_is_not_saved_by_good_cookies(served: Served) -> None:
    browser = await served.browser()
    response = await browser.get(SESSION_PATH, headers={"Authorization": "Bearer x"})
    problem(response, 401, "token_invalid")
    response = await browser.get(SESSION_PATH, headers={"Authorization": "Basic eDp4"})
    problem(response, 401, "token_missing")
    response = await browser.get(SESSION_PATH, headers={"Authorization": ""})
    problem(response, 401, "token_missing")


async def test_a_good_bearer_token_is_not_spoilt_by_bad_cookies(served: Served) -> None:
    native = await served.native()
    headers = {**native.auth, "Cookie": "lastcall-access=x; lastcall-refresh=y"}
    assert (await native.client.get(SESSION_PATH, headers=headers)).status_code == 200
    # Nor is it held to where cookies may come from.
    headers["Sec-Fetch-Site"] = "cross-site"
    response = await native.client.post("/api/v1/sessions/terminate-others", headers=headers)
    assert response.status_code == 200


async def test_two_authorization_headers_are_an_unreadable_request(served: Served) -> None:
    native = await served.native()
    good = ("Authorization", f"Bearer {native.access}")
    for pair in ([good, good], [good, ("Authorization", "Bearer x")]):
        problem(await native.client.get(SESSION_PATH, headers=pair), 400, "invalid_request")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_read_in_any_case(served: Served, scheme: str) -> None:
    native = await served.native()
    headers = {"Authorization": f"{scheme} {native.access}"}
    assert (await native.client.get(SESSION_PATH, headers=headers)).status_code == 200


async def test_two_access_cookies_of_one_name_are_invalid_in_either_order(served: Served) -> None:
    good = (await served.browser()).cookies["lastcall-access"]
    for pair in (f"{good}; lastcall-access=x", f"x; lastcall-access={good}"):
        headers = {"Cookie": f"lastcall-access={pair}"}
        response = await served.client().get(SESSION_PATH, headers=headers)
        problem(response, 401, "token_invalid")


@pytest.mark.parametrize(
    "name", ["Lastcall-Access", "__Host-lastcall-access", "$lastcall-access", "access"]
)
async def test_a_cookie_of_another_name_is_not_looked_at(served: Served, name: str) -> None:
    good = (await served.browser()).cookies["lastcall-access"]
    response = await served.client().get(SESSION_PATH, headers={"Cookie": f"{name}={good}"})
    problem(response, 401, "token_missing")


async def test_a_refresh_token_is_no_access_token(served: Served) -> None:
    native = await served.native()
    headers = {"Authorization": f"Bearer {native.refresh}"}
    problem(await native.client.get(SESSION_PATH, headers=headers), 401, "token_invalid")


async def test_a_run_out_access_token_says_expired(served: Served) -> None:
    native = await served.native()
    served.clock.advance(seconds=3599)
    assert (await native.get(SESSION_PATH)).status_code == 200
    served.clock.advance(seconds=1)
    problem(await native.get(SESSION_PATH), 401, "token_expired")


async def test_that_the_session_has_ended_is_said_before_that_the_token_has_run_out(
    served: Served,
) -> None:
    native = await served.native()
    await native.post("/api/v1/sign-out")
    value = problem(await native.get(SESSION_PATH), 401, "session_ended")
    assert (value["reason"], value["ended_at"]) == ("signed_out", "2026-03-01T12:00:00Z")
    served.clock.advance(hours=2)
    problem(await native.get(SESSION_PATH), 401, "session_ended")


async def test_a_session_that_ran_out_says_why_at_the_next_call(served: Served) -> None:
    native = await served.native()
    served.clock.advance(hours=25)
    value = problem(await native.get(SESSION_PATH), 401, "session_ended")
    assert (value["reason"], value["ended_at"]) == ("expired_inactive", "2026-03-02T12:00:00Z")
    assert value["ended_by"] == {"kind": "system", "name": None}


async def test_a_token_that_is_not_genuine_is_told_nothing_of_the_session(served: Served) -> None:
    native = await served.native()
    await native.post("/api/v1/sign-out")
    head, payload, signature = native.access.split(".")
    forged = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    headers = {"Authorization": f"Bearer {head}.{payload}.{forged}"}
    value = problem(await native.client.get(SESSION_PATH, headers=headers), 401, "token_invalid")
    assert "reason" not in value


@pytest.mark.parametrize(
    ("error", "challenge"),
    [
        ("missing", 'Bearer realm="lastcall"'),
        ("invalid", 'Bearer realm="lastcall", error="invalid_token", error_description='),
        ("ended", 'Bearer realm="lastcall", error="invalid_token", error_description='),
        ("stale proof", 'Bearer realm="lastcall", error="insufficient_user_authentication"'),
    ],
)
async def test_each_401_carries_its_challenge(served: Served, error: str, challenge: str) -> None:
    native = await served.native()
    auth = native.auth
    match error:
        case "missing":
            auth = {}
        case "invalid":
            auth = {"Authorization": "Bearer x"}
        case "ended":
            await native.post("/api/v1/sign-out")
        case _:
            served.clock.advance(seconds=660)
    path = "/api/v1/sessions/terminate-others"
    response = await native.client.post(path, headers=auth)
    assert response.status_code == 401
    given = response.headers["www-authenticate"]
    assert given.startswith(challenge)
    assert given.endswith(', max_age="600"') == (error == "stale proof")


async def test_a_service_key_without_the_scope_is_forbidden(served: Served) -> None:
    service = await served.as_service("verify")
    body = {"user": {"external_id": "7"}, "client": {"ip": None, "user_agent": None}}
    problem(await service.post("/api/v1/sessions", json=body), 403, "forbidden")


async def test_a_revoked_service_key_is_invalid(served: Served) -> None:
    service = await served.as_service("sessions")
    (key,) = await served.node.store.list_service_keys(served.account.id)
    await served.node.services.revoke(served.account.id, key.id)
    problem(await service.delete("/api/v1/sessions/s_1"), 401, "token_invalid")


async def test_a_service_key_is_no_session(served: Served) -> None:
    service = await served.as_service("sessions", "verify", "metrics")
    problem(await service.get(SESSION_PATH), 401, "token_invalid")
    problem(await service.post("/api/v1/password", json={}), 401, "token_invalid")


async def test_a_handler_that_asks_for_no_session_is_given_none(
    served: Served,
) -> None:
    seen: list[object] = []

    async def look(call: Call[None, None, None]) -> Response:
        seen.append(call.caller)
        return Response()

    async def need(call: Call[object, None, None]) -> Response:
        seen.append(call.caller)
        return Response()

    endpoints: list[AnyEndpoint] = [
        Endpoint(method="GET", path="/look", caller=ANYONE, handler=look, summary=""),
        Endpoint(method="GET", path="/need", caller=SESSION, handler=need, summary=""),
    ]
    app = create_app(served.settings, node=served.node, endpoints=endpoints)
    native = await served.native()
    client = served.at(app).client(native.auth)
    await client.get("/look")
    await client.get("/need")
    assert seen[0] is None
    assert getattr(seen[1], "session", None) is not None


async def test_another_servers_token_is_invalid(served: Served, native_elsewhere: Native) -> None:
    headers = native_elsewhere.auth
    problem(await served.client().get(SESSION_PATH, headers=headers), 401, "token_invalid")
