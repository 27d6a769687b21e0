"""Too many attempts, over HTTP: what is answered, to whom, and that it tells nobody apart."""

import asyncio
import re

import httpx
import pytest

from lastcall.events import SYSTEM
from lastcall.server import create_app
from tests.http.serving import Served, problem
from tests.http.test_metrics import labels, read
from tests.support.nodes import EMAIL, PASSWORD

SIGN_IN = "/api/v1/sign-in"
NEW = "a sentence that is new here"
STRANGER = "203.0.113.9"


@pytest.fixture
def pages(served: Served) -> Served:
    """The whole server, pages and all."""
    return served.at(create_app(served.settings, node=served.node))


async def guess(served: Served, email: str, peer: str = STRANGER) -> httpx.Response:
    async with served.client(peer=peer) as client:
        return await client.post(SIGN_IN, json={"email": email, "password": "a guess"})


async def test_nothing_tells_known_unknown_suspended_and_passwordless_users_apart(
    served: Served,
) -> None:
    """Neither while guesses are looked at nor when there are too many: status, headers and body are
    the same, byte for byte, and no cookie is set."""
    sue = await served.add_user("sue@example.com")
    await served.node.identity.suspend(sue, SYSTEM)
    await served.node.identity.add_user(served.account.id, "carol@example.com")
    told = []
    for number, name in enumerate(("ada", "nobody", "sue", "carol")):
        peer = f"198.51.100.{number}"
        answers = [await guess(served, f"{name}@example.com", peer) for _ in range(12)]
        told.append([(one.status_code, dict(one.headers), one.content) for one in answers])
        problem(answers[-1], 429, "rate_limited")
    assert [status for status, _, _ in told[0]] == [401] * 10 + [429] * 2
    assert told == [told[0]] * 4


async def test_a_refusal_says_when_to_come_again_and_then_lets_in(served: Served) -> None:
    for _ in range(10):
        problem(await guess(served, EMAIL), 401, "invalid_credentials")
    refused = await guess(served, EMAIL)
    assert problem(refused, 429, "rate_limited")["retry_after"] == 90
    assert refused.headers["retry-after"] == "90"
    served.clock.advance(seconds=90)
    assert (await served.native()).access


async def test_the_browser_of_a_user_is_let_in_while_a_stranger_hammers(served: Served) -> None:
    """Its device cookie is what tells it; made-up ones and other users' don't."""
    browser = await served.browser()
    await served.add_user("eve@example.com")
    eve = await served.browser("eve@example.com")
    await asyncio.gather(*(guess(served, EMAIL) for _ in range(30)))
    body = {"email": EMAIL, "password": PASSWORD, "client": "browser"}
    problem(await eve.post(SIGN_IN, json=body), 429, "rate_limited")
    made_up = {"Cookie": "lastcall-device=" + "A" * 64, "Sec-Fetch-Site": "same-origin"}
    stranger = served.client(made_up)
    problem(await stranger.post(SIGN_IN, json=body), 429, "rate_limited")
    await browser.post("/api/v1/sign-out")
    assert (await browser.post(SIGN_IN, json=body)).status_code == 200


async def test_claims_of_other_addresses_give_no_more_attempts(served: Served) -> None:
    async def claim(number: int) -> httpx.Response:
        ip = f"192.0.2.{number}"
        headers = {"X-Forwarded-For": ip, "X-Real-IP": ip, "Forwarded": f"for={ip}"}
        async with served.client(headers, STRANGER) as client:
            body = {"email": f"user{number}@example.com", "password": "a guess"}
            return await client.post(SIGN_IN, json=body)

    statuses = [(await claim(number)).status_code for number in range(110)]
    assert statuses == [401] * 100 + [429] * 10


async def test_refreshing_with_unknown_tokens_is_refused_and_with_genuine_ones_not(
    served: Served,
) -> None:
    ada = await served.native()
    async with served.client() as client:  # the same address as Ada's
        for number in range(100):
            body = {"refresh_token": f"lcr_{number}"}
            problem(await client.post("/api/v1/refresh", json=body), 401, "token_invalid")
        body = {"refresh_token": "lcr_again"}
        problem(await client.post("/api/v1/refresh", json=body), 429, "rate_limited")
        genuine = await client.post("/api/v1/refresh", json={"refresh_token": ada.refresh})
    assert genuine.status_code == 200


async def test_a_password_is_asked_for_ten_times_within_a_session(served: Served) -> None:
    ada = await served.native()
    for _ in range(5):
        wrong = await ada.post("/api/v1/reauthenticate", {"password": "wrong"})
        problem(wrong, 401, "invalid_credentials")
        body = {"current_password": "wrong", "new_password": NEW}
        problem(await ada.post("/api/v1/password", body), 401, "invalid_credentials")
    body = {"current_password": PASSWORD, "new_password": NEW}
    for path, value in (("reauthenticate", {"password": PASSWORD}), ("password", body)):
        problem(await ada.post(f"/api/v1/{path}", value), 429, "rate_limited")
    assert (await ada.get("/api/v1/session")).status_code == 200


async def test_pages_say_when_to_come_again_and_keep_what_was_typed(pages: Served) -> None:
    browser = await pages.browser()
    stranger = pages.client({"Sec-Fetch-Site": "same-origin"}, STRANGER)
    sign_in = {"email": EMAIL, "password": "wrong", "next": "/settings/security"}
    for path, client, form, said in (
        ("/sign-in", stranger, sign_in, "Try again in 2 minutes, or use a browser in which"),
        ("/reauthenticate", browser, {"password": "wrong"}, "Try again in 2 minutes."),
        (
            "/settings/security",
            browser,
            {"current_password": PASSWORD, "new_password": NEW},
            "Try again in 2 minutes.",
        ),
    ):
        answer = await client.post(path, data=form)
        for _ in range(10):
            if answer.status_code == 429:
                break
            answer = await client.post(path, data=form)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "90")
        assert said in answer.text
        assert "set-cookie" not in answer.headers
        assert "wrong" not in re.sub(r"<style.*?</style>", "", answer.text)
        if path == "/sign-in":
            assert f'value="{EMAIL}"' in answer.text
            assert 'value="/settings/security"' in answer.text


async def test_guessing_links_is_refused_and_a_genuine_one_opens(pages: Served) -> None:
    bob = await pages.node.identity.add_user(pages.account.id, "bob@example.com")
    secret, _ = await pages.node.links.invite(bob)
    async with pages.client() as client:
        for number in range(30):
            page = await client.get("/invitation", params={"token": f"guess {number}"})
            assert page.status_code == 404
        refused = await client.get("/invitation", params={"token": "guess"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        assert "text/html" in refused.headers["content-type"]
        assert (await client.get("/invitation", params={"token": secret})).status_code == 200


async def test_refusals_are_counted_by_the_limit(served: Served) -> None:
    for _ in range(13):
        await guess(served, EMAIL)
    for number in range(95):
        await guess(served, f"user{number}@example.com")
    seen = await read(served)
    refused = "lastcall_attempts_refused_total"
    assert seen[refused, labels(limit="sign_in_user")] == 3
    assert seen[refused, labels(limit="sign_in_address")] == 5
