"""What every integration promises, in every framework (python-api.md)."""

import pytest

from lastcall.errors import Unavailable
from lastcall.events import SYSTEM
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from tests.integrations.conftest import NAVIGATION, ORIGIN, Site, cookies, problem
from tests.support.nodes import add_user, calls


async def end(site: Site, tokens: Tokens) -> None:
    """End a session, until that is confirmed."""
    ended = await site.node.sessions.endings.terminate(
        tokens.session.id, "terminated_by_admin", SYSTEM, lambda _: True
    )
    assert (await site.node.confirmations.follow(ended, 5)).confirmation.state == "confirmed"


# Who asks


async def test_a_bearer_token_says_who_asks(site: Site) -> None:
    tokens = await site.sign_in()
    response = await site.ask("/me", bearer=tokens.access_token)
    assert response.json() == {"user": tokens.session.user_id, "session": tokens.session.id}


async def test_the_server_s_cookie_says_who_asks(site: Site) -> None:
    tokens = await site.sign_in()
    response = await site.ask("/me", cookies=cookies(tokens))
    assert response.json()["session"] == tokens.session.id


async def test_next_to_an_authorization_header_cookies_count_for_nothing(site: Site) -> None:
    good = cookies(await site.sign_in())
    problem(await site.ask("/me", bearer="x", cookies=good), 401, "token_invalid")
    other = await site.ask("/me", cookies=good, headers={"authorization": "Basic x"})
    problem(other, 401, "token_missing")


async def test_a_cookie_that_is_there_twice_is_refused(site: Site) -> None:
    """Somebody else has planted one of them."""
    tokens = await site.sign_in()
    twice = cookies(tokens, "lastcall-access=x")
    problem(await site.ask("/me", cookies=twice), 401, "token_invalid")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://localhost:8000"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({}, 403),
    ],
    ids=lambda value: ",".join(value.values()) if isinstance(value, dict) else str(value),
)
async def test_cookies_change_something_for_the_application_s_own_pages_alone(
    site: Site, headers: dict[str, str], status: int
) -> None:
    tokens = await site.sign_in()
    response = await site.ask("/me", method="POST", cookies=cookies(tokens), headers=headers)
    assert response.status_code == status
    if status == 403:
        problem(response, 403, "csrf_failed")
    assert (await site.ask("/me", method="POST", bearer=tokens.access_token)).status_code == 200


async def test_a_websocket_that_comes_as_a_get_is_from_the_own_pages(site: Site) -> None:
    """As under WSGI: what is said over it may change anything."""
    tokens = await site.sign_in()
    for origin, status in (("https://evil.example", 403), (ORIGIN, 200)):
        handshake = {"sec-websocket-version": "13", "origin": origin}
        response = await site.ask("/me", cookies=cookies(tokens), headers=handshake)
        assert response.status_code == status


# Who may not go on


async def test_without_a_token_it_is_said_what_is_missing(site: Site) -> None:
    response = await site.ask("/me")
    problem(response, 401, "token_missing")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_that_is_not_good_is_refused(site: Site) -> None:
    response = await site.ask("/me", bearer="eyJ.x.y")
    problem(response, 401, "token_invalid")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_two_authorization_headers_are_one_too_many(site: Site) -> None:
    """What is in front may have looked at the other one. A server on WSGI joins them, which makes
    a token that is not good."""
    token = (await site.sign_in()).access_token
    response = await site.ask("/me", bearer=token, more=[("authorization", f"Bearer {token}")])
    if response.status_code == 401:
        problem(response, 401, "token_invalid")
    else:
        problem(response, 400, "invalid_request")


async def test_once_its_end_is_confirmed_a_session_is_refused_with_the_reason(site: Site) -> None:
    tokens = await site.sign_in()
    assert (await site.ask("/me", bearer=tokens.access_token)).status_code == 200
    await end(site, tokens)
    told = problem(await site.ask("/me", bearer=tokens.access_token), 401, "session_ended")
    assert told["reason"] == "terminated_by_admin"


async def test_a_run_out_token_needs_a_refresh(site: Site) -> None:
    tokens = await site.sign_in()
    site.clock.advance(hours=1)
    problem(await site.ask("/me", bearer=tokens.access_token), 401, "token_expired")


async def test_a_role_is_asked_for(site: Site, node: Node) -> None:
    assert (await site.ask("/admin", bearer=site.owner.access_token)).status_code == 200
    owner = (await calls(node, site.owner)).user
    await add_user(node, owner, "grace@example.com")
    member = await site.sign_in("grace@example.com")
    problem(await site.ask("/admin", bearer=member.access_token), 403, "forbidden")


async def test_a_window_that_has_not_the_role_is_told_so_and_sent_nowhere(
    site: Site, node: Node
) -> None:
    """At the sign-in page it would be let in, and sent back here."""
    await add_user(node, (await calls(node, site.owner)).user, "grace@example.com")
    member = await site.sign_in("grace@example.com")
    problem(await site.navigate("/admin", cookies(member)), 403, "forbidden")


async def test_a_cookie_whose_name_ends_alike_is_another_one(site: Site) -> None:
    problem(await site.ask("/me", cookies="not-lastcall-access=x"), 401, "token_missing")


async def test_a_fresh_proof_is_asked_for(site: Site) -> None:
    """With the challenge of RFC 9470."""
    tokens = await site.sign_in()
    assert (await site.ask("/fresh", bearer=tokens.access_token)).status_code == 200
    site.clock.advance(seconds=601)
    response = await site.ask("/fresh", bearer=tokens.access_token)
    assert problem(response, 401, "reauthentication_required")["max_age"] == 600
    challenge = response.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'max_age="600"' in challenge


async def test_where_nobody_can_tell_nobody_gets_in(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as somebody nor as nobody; what asks for no session goes on."""
    tokens = await site.sign_in()

    async def refuse() -> None:
        raise Unavailable("planted", 7)

    monkeypatch.setattr(site.node.leases, "require", refuse)
    site.node.leases.side.view.leased_until = float("-inf")
    for path in ("/me", "/"):
        response = await site.ask(path, bearer=tokens.access_token)
        problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "7"
    assert (await site.ask("/public", bearer=tokens.access_token)).status_code == 200
    problem(await site.ask("/me"), 401, "token_missing")


# Who may come without


async def test_where_a_session_is_optional_it_is_told_or_none(site: Site) -> None:
    tokens = await site.sign_in()
    assert (await site.ask("/")).json() == {"user": None}
    found = await site.ask("/", cookies=cookies(tokens))
    assert found.json() == {"user": tokens.session.user_id}
    await end(site, tokens)
    assert (await site.ask("/", cookies=cookies(tokens))).json() == {"user": None}
    assert (await site.ask("/", bearer="x")).json() == {"user": None}


async def test_caches_keep_apart_what_depends_on_who_asks(site: Site) -> None:
    """And nothing else."""
    names = {"cookie", "authorization"}
    asked = (await site.ask("/")).headers.get("vary", "").lower()
    assert names <= {name.strip() for name in asked.split(",")}
    public = (await site.ask("/public")).headers.get("vary", "").lower()
    assert not names & {name.strip() for name in public.split(",")}


# Browsers


async def test_who_is_signed_out_is_sent_to_sign_in_and_back(site: Site) -> None:
    response = await site.navigate("/me?a=b&c=%2F")
    assert response.status_code == 303
    assert response.headers["location"] == "/sign-in?next=%2Fme%3Fa%3Db%26c%3D%252F"
    assert response.headers["cache-control"] == "no-store"


async def test_who_was_signed_out_is_sent_to_where_that_is_explained(site: Site) -> None:
    tokens = await site.sign_in()
    await end(site, tokens)
    response = await site.navigate("/me", cookies(tokens))
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=%2Fme")
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("path", ["/", "/me"])
async def test_a_window_s_run_out_token_is_renewed_once(site: Site, path: str) -> None:
    """Where that is of no use, who must be somebody signs in, and others go on as nobody."""
    tokens = await site.sign_in()
    site.clock.advance(hours=1)
    response = await site.navigate(path, cookies(tokens))
    assert response.status_code == 303
    renewal = f"/renew?next=%2F{path[1:]}&required=false"
    assert response.headers["location"] == renewal
    tried = cookies(tokens, "lastcall-renewed=x.1")
    again = await site.navigate(path, tried)
    if path == "/":
        assert again.json() == {"user": None}
    else:
        assert (again.status_code, again.headers["location"]) == (303, "/sign-in?next=%2Fme")
    only = f"lastcall-refresh={tokens.refresh_token}"
    assert (await site.navigate(path, only)).headers["location"] == renewal


async def test_only_a_window_is_sent_to_renew(site: Site) -> None:
    tokens = await site.sign_in()
    site.clock.advance(hours=1)
    held = cookies(tokens)
    problem(
        await site.ask("/me", cookies=held, headers={"sec-fetch-mode": "cors"}),
        401,
        "token_expired",
    )
    purpose = {**NAVIGATION, "sec-purpose": "prefetch;prerender"}
    ahead = await site.ask("/me", cookies=held, headers=purpose)
    problem(ahead, 401, "token_expired")
    old = await site.ask("/me", cookies=held, headers={"accept": "text/html"})
    assert old.headers["location"] == "/sign-in?next=%2Fme"


async def test_a_token_that_is_good_elsewhere_alone_is_forgotten(site: Site) -> None:
    """Or the sign-in page, for which it is good, would send it back here for ever."""
    response = await site.navigate("/me", "lastcall-access=eyJ.x.y; lastcall-refresh=z")
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=%2Fme")
    forgotten = response.headers["set-cookie"]
    assert forgotten == "lastcall-access=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"


async def test_a_window_is_sent_to_prove_who_is_there_and_back(site: Site) -> None:
    tokens = await site.sign_in()
    site.clock.advance(seconds=601)
    response = await site.navigate("/fresh", cookies(tokens))
    assert (response.status_code, response.headers["location"]) == (
        303,
        "/reauthenticate?next=%2Ffresh",
    )
