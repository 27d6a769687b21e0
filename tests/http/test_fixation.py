"""Fixation: what somebody planted in a browser, and what a fresh proof has replaced, is good for
nothing in the session of its victim (ASVS 7.2.4)."""

import httpx
import pytest

from lastcall.server import create_app
from tests.http.serving import Native, Served, problem, set_cookies
from tests.support.nodes import EMAIL, PASSWORD

SESSION, REFRESH = "/api/v1/session", "/api/v1/refresh"
ADA = {"email": EMAIL, "password": PASSWORD, "client": "browser"}
SITE = {"Sec-Fetch-Site": "same-origin"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def with_cookie(served: Served, cookie: str) -> httpx.AsyncClient:
    """A browser that sends these cookies, in this order, and keeps none."""
    return served.client({**SITE, "Cookie": cookie})


PLANTED = [
    "{access}=x; {refresh}=y",
    "{access}={theirs}; {refresh}={their_refresh}",
    "{access}={theirs}",
    "{refresh}={their_refresh}",
    "{access}={theirs}; {access}=x; {refresh}={their_refresh}; {refresh}=y",
    "{access}=x; {access}={theirs}; {refresh}=y; {refresh}={their_refresh}",
    "{upper}access={theirs}; {upper}refresh={their_refresh}",
    "__HOST-lastcall-access={theirs}; __Host-LASTCALL-access={theirs}",
    "lastcall-access={theirs}; __Secure-lastcall-access={theirs}; __Host-lastcall-refresh=y",
    '$Version=1; {access}="{theirs}"; $Path=/; $Domain=.example.com',
    '$Version="1"; {access}={theirs}; {refresh}={their_refresh}; $Port="80"',
    "=; ;; {access}; {access}=; {refresh}==;,",
]


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_who_signs_in_with_planted_cookies_gets_a_session_that_these_never_open(
    served: Served, secured: Served, secure: bool
) -> None:
    """Neither what was planted nor both together lead to the victim's session or to the planter's;
    beside the victim's own cookies, a second one of a name is a refusal."""
    site = secured if secure else served
    await site.add_user("mallory@example.com")
    for planted in PLANTED:
        await plant(site, planted, "__Host-lastcall-" if secure else "lastcall-")


async def plant(site: Served, planted: str, prefix: str) -> None:
    mallory = await site.browser("mallory@example.com")
    theirs, their_refresh = mallory.cookies[f"{prefix}access"], mallory.cookies[f"{prefix}refresh"]
    their_session = (await mallory.get(SESSION)).json()["id"]
    cookie = planted.format(
        access=f"{prefix}access",
        refresh=f"{prefix}refresh",
        upper=prefix.upper(),
        theirs=theirs,
        their_refresh=their_refresh,
    )
    answer = await with_cookie(site, cookie).post("/api/v1/sign-in", json=ADA)
    assert answer.status_code == 200
    victims = answer.json()["session"]["id"]
    given = {name: value for name, (value, _) in set_cookies(answer).items()}
    assert victims != their_session
    assert not {theirs, their_refresh} & set(given.values())

    after = await with_cookie(site, cookie).get(SESSION)
    assert after.status_code == 401 or after.json()["id"] == their_session
    own = f"{prefix}access={given[f'{prefix}access']}"
    names = [pair.partition("=")[0].strip() for pair in cookie.split(";") if "=" in pair]
    for both in (f"{own}; {cookie}", f"{cookie}; {own}"):
        answer = await with_cookie(site, both).get(SESSION)
        if f"{prefix}access" in names:
            problem(answer, 401, "token_invalid")
        else:
            assert answer.json()["id"] == victims
    assert (await with_cookie(site, own).get(SESSION)).json()["id"] == victims
    answer = await site.client().post(REFRESH, json={"refresh_token": their_refresh})
    assert answer.status_code == 401 or answer.json()["session"]["id"] == their_session


@pytest.mark.parametrize("planted", PLANTED[:6])
async def test_the_sign_in_page_replaces_what_was_planted_too(served: Served, planted: str) -> None:
    site = served.at(create_app(served.settings, node=served.node))
    await site.add_user("mallory@example.com")
    mallory = await site.browser("mallory@example.com")
    theirs, their_refresh = mallory.cookies["lastcall-access"], mallory.cookies["lastcall-refresh"]
    cookie = planted.format(
        access="lastcall-access",
        refresh="lastcall-refresh",
        theirs=theirs,
        their_refresh=their_refresh,
    )
    form = f"email=ada%40example.com&password={PASSWORD.replace(' ', '+')}"
    browser = with_cookie(site, cookie)
    answer = await browser.post("/sign-in", content=form, headers=FORM)
    assert answer.status_code == 303
    given = set_cookies(answer)
    assert {given["lastcall-access"][0], given["lastcall-refresh"][0]}.isdisjoint(
        {theirs, their_refresh}
    )
    own = with_cookie(site, f"lastcall-access={given['lastcall-access'][0]}")
    assert (await own.get(SESSION)).json()["user"]["email"] == EMAIL
    after = await with_cookie(site, cookie).get(SESSION)
    assert after.status_code == 401 or after.json()["user"]["email"] == "mallory@example.com"


# What a fresh proof replaces.


@pytest.mark.parametrize("proof", ["reauthenticate", "password"])
@pytest.mark.parametrize("late", [False, True], ids=["inside the grace", "outside"])
async def test_a_fresh_proof_keeps_the_session_and_every_older_token_refuses(
    served: Served, proof: str, late: bool
) -> None:
    """Inside the grace an older refresh token is merely refused, as a tab may still hold it;
    outside it is a theft, as any that was used up."""
    native = await served.native()
    rotated = await refreshed(native)
    body = {"password": PASSWORD}
    if proof == "password":
        body = {"current_password": PASSWORD, "new_password": "a much better sentence"}
    answer = await rotated.post(f"/api/v1/{proof}", body)
    proved = rotated.holding(answer)
    assert answer.json()["session"]["id"] == native.session_id
    assert not {proved.access, proved.refresh} & {
        native.access,
        native.refresh,
        rotated.access,
        rotated.refresh,
    }
    served.clock.advance(seconds=11 if late else 10)
    for older in (native, rotated):
        problem(await older.get(SESSION), 401, "token_expired")
        problem(await older.post("/api/v1/sessions/terminate-others"), 401, "token_expired")
    assert (await proved.get(SESSION)).json()["id"] == native.session_id
    shown = await native.client.post(REFRESH, json={"refresh_token": rotated.refresh})
    if late:
        assert problem(shown, 401, "session_ended")["reason"] == "refresh_reuse"
        problem(await proved.get(SESSION), 401, "session_ended")
    else:
        problem(shown, 401, "token_invalid")
        assert (await proved.get(SESSION)).status_code == 200
        assert (await refreshed(proved)).session_id == native.session_id


async def test_a_browser_s_older_cookies_refuse_after_a_fresh_proof(served: Served) -> None:
    browser = await served.browser()
    older = dict(browser.cookies)
    own = (await browser.get(SESSION)).json()["id"]
    answer = await browser.post("/api/v1/reauthenticate", json={"password": PASSWORD})
    assert answer.status_code == 200
    access = with_cookie(served, f"lastcall-access={older['lastcall-access']}")
    problem(await access.get(SESSION), 401, "token_expired")
    refresh = with_cookie(served, f"lastcall-refresh={older['lastcall-refresh']}")
    problem(await refresh.post(REFRESH), 401, "token_invalid")
    assert (await browser.get(SESSION)).json()["id"] == own


async def refreshed(native: Native) -> Native:
    response = await native.client.post(REFRESH, json={"refresh_token": native.refresh})
    assert response.status_code == 200, response.text
    return native.holding(response)
