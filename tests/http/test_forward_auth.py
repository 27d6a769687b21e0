"""GET /forward-auth: what a proxy is told of who asks a service that can't ask by itself."""

import httpx
import pytest

from lastcall.errors import Unavailable
from tests.http.serving import Native, Served, problem

WINDOW = {
    "Sec-Fetch-Mode": "navigate",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Uri": "/shop?a=b",
}
"""What a proxy shows of a browser's window."""


async def ask(
    client: httpx.AsyncClient, headers: dict[str, str] | None = None, **query: str
) -> httpx.Response:
    return await client.get("/forward-auth", params=query, headers=headers)


async def test_the_service_is_told_who_asks(served: Served) -> None:
    ada = await served.native()
    response = await ask(ada.client, ada.auth)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["x-lastcall-user"] == served.ada.id
    assert response.headers["x-lastcall-session"] == ada.session_id
    assert response.headers["x-lastcall-account"] == served.account.id
    assert response.headers["x-lastcall-roles"] == "owner"
    assert response.headers["cache-control"] == "no-store"


async def test_of_an_applications_own_user_the_service_is_told_the_applications_id(
    served: Served,
) -> None:
    ada, service = await served.native(), await served.as_service("sessions")
    assert (await ask(ada.client, ada.auth)).headers["x-lastcall-external-id"] == ""
    for external_id, told in (
        ("42", "42"),
        ("a@b.c, d", "a@b.c,%20d"),
        ("50%\u00e9", "50%25%C3%A9"),
    ):
        user, client = {"external_id": external_id}, {"ip": None, "user_agent": None}
        begun = await service.post("/api/v1/sessions", json={"user": user, "client": client})
        auth = {"Authorization": f"Bearer {begun.json()['access_token']}"}
        assert (await ask(served.client(), auth)).headers["x-lastcall-external-id"] == told


async def test_what_the_request_says_of_itself_names_nobody(served: Served) -> None:
    """A header that the client has sent is not the answer's."""
    claims = {"X-Lastcall-User": "u_1", "X-Remote-User": "ada@example.com"}
    response = await ask(served.client(), claims)
    problem(response, 401, "token_missing")
    assert "x-lastcall-user" not in response.headers


async def test_once_its_end_is_confirmed_a_session_passes_no_more(served: Served) -> None:
    ada, other = await served.native(), await served.native()
    assert (await ask(other.client, other.auth)).status_code == 200
    done = (await ada.delete(f"/api/v1/sessions/{other.session_id}?wait=30")).json()
    assert done["state"] == "confirmed"
    told = problem(await ask(other.client, other.auth), 401, "session_ended")
    assert told["reason"] == "terminated_by_user"


async def test_without_a_lease_nobody_passes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await served.native()
    assert (await ask(ada.client, ada.auth)).status_code == 200

    async def refuse() -> None:
        raise Unavailable("planted", 7)

    monkeypatch.setattr(served.node.leases, "require", refuse)
    served.node.leases.side.view.leased_until = float("-inf")
    for query in ({}, {"required": "false"}):
        response = await ask(ada.client, ada.auth, **query)
        problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"role": "owner"}, 200),
        ({"role": "admin,owner"}, 200),
        ({"role": "admin"}, 403),
        ({"max_age": "600"}, 200),
        ({"max_age": "59"}, 401),
        ({"account": "a_other"}, 401),
        ({"max_age": "x"}, 422),
    ],
    ids=str,
)
async def test_the_proxy_says_who_may_pass(
    served: Served, query: dict[str, str], status: int
) -> None:
    ada = await served.native()
    served.clock.advance(seconds=60)
    assert (await ask(ada.client, ada.auth, **query)).status_code == status


async def test_where_no_session_is_needed_nobody_passes_as_nobody(served: Served) -> None:
    ada = await served.native()
    known = await ask(ada.client, ada.auth, required="false")
    assert known.headers["x-lastcall-session"] == ada.session_id
    for headers in ({}, {"Authorization": "Bearer x"}):
        response = await ask(served.client(), headers, required="false")
        assert response.status_code == 200
        told = {name: value for name, value in response.headers.items() if "x-lastcall" in name}
        assert told == dict.fromkeys(told, "")
        assert len(told) == 5


# Browsers


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ({"X-Forwarded-Method": "GET"}, 200),
        ({"X-Original-Method": "HEAD"}, 200),
        ({"X-Forwarded-Method": "POST"}, 403),
        ({"X-Forwarded-Method": "POST", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"X-Forwarded-Method": "GET", "X-Original-Method": "POST"}, 422),
        ({"X-Forwarded-Method": "GET", "Sec-WebSocket-Version": "13"}, 403),
        ({}, 403),
    ],
    ids=str,
)
async def test_other_sites_change_nothing_with_a_user_s_cookies(
    served: Served, shown: dict[str, str], status: int
) -> None:
    """What may change something has to come from the own pages; so has what the proxy doesn't name
    the method of."""
    browser = await served.browser()
    headers = {"Sec-Fetch-Site": "cross-site", **shown}
    assert (await ask(browser, headers)).status_code == status


async def test_a_window_is_sent_to_sign_in_and_back(served: Served) -> None:
    response = await ask(served.client(), WINDOW)
    assert response.status_code == 303
    assert response.headers["location"] == "/sign-in?next=%2Fshop%3Fa%3Db"


async def test_a_window_s_run_out_token_is_renewed(served: Served) -> None:
    browser = await served.browser()
    served.clock.advance(hours=1)
    response = await ask(browser, WINDOW)
    renewal = "/renew?next=%2Fshop%3Fa%3Db&required=false"
    assert (response.status_code, response.headers["location"]) == (303, renewal)
    back = await browser.get(renewal, headers={"Sec-Fetch-Mode": "navigate"})
    assert back.headers["location"] == "/shop?a=b"
    assert (await ask(browser, WINDOW)).status_code == 200


async def test_where_no_session_is_needed_a_run_out_token_is_renewed_too(served: Served) -> None:
    browser = await served.browser()
    served.clock.advance(hours=1)
    response = await ask(browser, WINDOW, required="false")
    assert response.headers["location"].startswith("/renew?")


async def test_a_proxy_that_passes_no_redirect_on_is_told_where_to(served: Served) -> None:
    """Nginx takes 200, 401 and 403 for answers, and nothing else."""
    response = await ask(served.client(), WINDOW, redirect="false")
    assert response.status_code == 401
    assert "location" not in response.headers
    assert response.headers["x-lastcall-location"] == "/sign-in?next=%2Fshop%3Fa%3Db"
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_session_of_a_user_of_the_application_passes(served: Served) -> None:
    grace: Native = await served.start_external()
    response = await ask(grace.client, grace.auth)
    assert response.headers["x-lastcall-roles"] == "member"
