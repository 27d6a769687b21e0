"""Seeing and ending sessions, and following an ending."""

from dataclasses import replace
from datetime import timedelta

from lastcall.digests import encode
from lastcall.events import Actor
from lastcall.settings import Settings
from tests.http.conftest import Serve
from tests.http.serving import Native, Served, faults, problem, set_cookies

SESSIONS = "/api/v1/sessions"
OTHERS = "/api/v1/sessions/terminate-others"


async def ids(native: Native, query: str = "") -> list[str]:
    response = await native.get(SESSIONS + query)
    assert response.status_code == 200, response.text
    return [session["id"] for session in response.json()["sessions"]]


# Seeing.


async def test_ones_own_session_comes_with_its_user(served: Served) -> None:
    native = await served.native()
    session = (await native.get("/api/v1/session")).json()
    assert (session["id"], session["current"]) == (native.session_id, True)
    assert session["user"] == {
        "id": served.ada.id,
        "email": "ada@example.com",
        "name": "Ada",
        "role": "owner",
        "status": "active",
        "mfa": False,
        "external_id": None,
        "active_sessions": 1,
        "last_seen_at": "2026-03-01T12:00:00Z",
        "created_at": "2026-03-01T12:00:00Z",
    }


async def test_the_current_session_is_listed_first_then_by_last_activity(served: Served) -> None:
    first = await served.native()
    served.clock.advance(seconds=60)
    second = await served.native()
    served.clock.advance(seconds=60)
    third = await served.native()
    assert await ids(second) == [second.session_id, third.session_id, first.session_id]
    shown = (await second.get(SESSIONS)).json()["sessions"]
    assert [session["current"] for session in shown] == [True, False, False]
    assert "user" not in shown[0]


async def test_nobody_elses_sessions_are_listed(served: Served) -> None:
    await served.add_user("bob@example.com")
    bob, ada = await served.native("bob@example.com"), await served.native()
    assert await ids(ada) == [ada.session_id]
    assert await ids(bob) == [bob.session_id]


async def test_a_list_goes_on_from_its_cursor_and_shows_each_session_once(served: Served) -> None:
    natives = []
    for _ in range(5):
        natives.append(await served.native())
        served.clock.advance(seconds=1)
    seen: list[str] = []
    cursor = ""
    for expected in (2, 2, 1):
        page = (await natives[2].get(f"{SESSIONS}?limit=2{cursor}")).json()
        assert len(page["sessions"]) == expected
        seen += [session["id"] for session in page["sessions"]]
        cursor = f"&before={page['next']}"
    assert cursor == "&before=None"
    assert seen == [natives[i].session_id for i in (2, 4, 3, 1, 0)]


async def test_pages_of_one_show_each_session_once_as_well(served: Served) -> None:
    natives = [await served.native() for _ in range(3)]
    seen: list[str] = []
    cursor = ""
    for _ in natives:
        page = (await natives[0].get(f"{SESSIONS}?limit=1{cursor}")).json()
        seen += [session["id"] for session in page["sessions"]]
        cursor = f"&before={page['next']}"
    assert cursor == "&before=None"
    assert seen[0] == natives[0].session_id
    assert set(seen) == {native.session_id for native in natives}


async def test_ended_sessions_go_on_from_their_cursor_too(served: Served) -> None:
    ended = []
    for _ in range(3):
        native = await served.native()
        ended.append(native.session_id)
        await native.post("/api/v1/sign-out")
        served.clock.advance(seconds=1)
    native = await served.native()
    first = (await native.get(f"{SESSIONS}?ended=true&limit=2")).json()
    rest = (await native.get(f"{SESSIONS}?ended=true&before={first['next']}")).json()
    shown = [session["id"] for session in first["sessions"] + rest["sessions"]]
    assert (shown, rest["next"]) == (ended[::-1], None)


async def test_a_list_parameter_that_is_wrong_is_named(served: Served) -> None:
    native = await served.native()
    for query, field in (
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("before=x", "before"),
        ("before=", "before"),
        ("before=" + "A" * 5000, "before"),
        ("before=bm90YS5jdXJzb3I", "before"),
        (f"before={encode(b'sessions:999999999999999999.x')}", "before"),  # beyond all times
        ("ended=maybe", "ended"),
    ):
        response = await native.get(f"{SESSIONS}?{query}")
        problem(response, 422, "invalid_request")
        assert [at for at, _ in faults(response)] == [field]


async def test_ended_sessions_say_how_they_ended_and_not_when_they_would_have(
    served: Served,
) -> None:
    ended, native = await served.native(), await served.native()
    await native.delete(f"{SESSIONS}/{ended.session_id}")
    (session,) = (await native.get(SESSIONS + "?ended=true")).json()["sessions"]
    assert session["id"] == ended.session_id
    assert session["current"] is False
    assert session["ended_at"] == "2026-03-01T12:00:00Z"
    assert session["end_reason"] == "terminated_by_user"
    assert session["ended_by"] == {"kind": "user", "name": "python-httpx"}
    assert [session[f"expires_{how}"] for how in ("at", "in", "by")] == [None, None, None]


async def test_a_session_that_ran_out_is_among_the_ended_ones(served: Served) -> None:
    old = await served.native()
    served.clock.advance(hours=25)
    native = await served.native()
    (session,) = (await native.get(SESSIONS + "?ended=true")).json()["sessions"]
    assert (session["id"], session["end_reason"]) == (old.session_id, "expired_inactive")
    assert session["ended_by"] == {"kind": "system", "name": None}


async def test_ended_sessions_are_listed_for_90_days(served: Served) -> None:
    await (await served.native()).post("/api/v1/sign-out")
    served.clock.advance(hours=24 * 89)
    assert len(await ids(await served.native(), "?ended=true")) == 1
    served.clock.advance(hours=25)
    native = await served.native()
    assert len(await ids(native, "?ended=true")) == 1  # the one from a day ago


# Ending one.


async def test_ending_another_session_of_ones_own_is_answered_with_the_termination(
    served: Served,
) -> None:
    other, native = await served.native(), await served.native()
    response = await native.delete(f"{SESSIONS}/{other.session_id}")
    termination = response.json()
    assert response.status_code == 200
    assert termination.pop("id").startswith("t_")
    assert termination == {
        "ended": 1,
        "state": "confirmed",
        "certain_by": None,
        "certain_in": None,
        "verifiers": 0,
        "acknowledged": 0,
        "waited_ms": 0,
    }
    value = problem(await other.get("/api/v1/session"), 401, "session_ended")
    assert value["reason"] == "terminated_by_user"
    assert value["ended_by"] == {"kind": "user", "name": "python-httpx"}


async def test_ending_one_that_has_ended_ends_nothing_and_shows_its_first_ending(
    served: Served,
) -> None:
    other, native = await served.native(), await served.native()
    first = (await native.delete(f"{SESSIONS}/{other.session_id}")).json()
    served.clock.advance(seconds=60)
    again = (await native.delete(f"{SESSIONS}/{other.session_id}")).json()
    assert (first["ended"], again["ended"]) == (1, 0)
    assert again["id"] == first["id"]


async def test_somebody_elses_session_and_an_unknown_one_are_the_same_404(served: Served) -> None:
    await served.add_user("bob@example.com")
    bob, native = await served.native("bob@example.com"), await served.native()
    theirs = await native.delete(f"{SESSIONS}/{bob.session_id}")
    unknown = await native.delete(f"{SESSIONS}/s_c1_{'0' * 26}")
    odd = await native.delete(f"{SESSIONS}/{'x' * 5000}")
    problem(theirs, 404, "not_found")
    assert theirs.content == unknown.content == odd.content
    assert theirs.headers == unknown.headers
    assert (await bob.get("/api/v1/session")).status_code == 200


async def test_ending_the_current_one_is_a_sign_out_and_needs_no_fresh_proof(
    served: Served,
) -> None:
    browser = await served.browser()
    served.clock.advance(seconds=1800)
    session = (await browser.get("/api/v1/session")).json()
    access = browser.cookies["lastcall-access"]
    response = await browser.delete(f"{SESSIONS}/{session['id']}")
    assert (response.status_code, response.json()["ended"]) == (200, 1)
    assert set(set_cookies(response)) == {"lastcall-access", "lastcall-refresh"}
    assert response.headers["clear-site-data"] == '"storage"'
    response = await served.client({"Authorization": f"Bearer {access}"}).get("/api/v1/session")
    value = problem(response, 401, "session_ended")
    assert value["reason"] == "signed_out"
    assert value["ended_by"] == {"kind": "self", "name": None}


async def test_a_native_client_that_ends_its_own_session_is_sent_no_cookie(served: Served) -> None:
    native = await served.native()
    response = await native.delete(f"{SESSIONS}/{native.session_id}")
    assert response.status_code == 200
    assert not {"set-cookie", "clear-site-data"} & set(response.headers)


# A fresh proof.


async def test_ending_others_needs_a_proof_of_the_last_ten_minutes(served: Served) -> None:
    other, native = await served.native(), await served.native()
    served.clock.advance(seconds=601)
    for response in (
        await native.delete(f"{SESSIONS}/{other.session_id}"),
        await native.delete(f"{SESSIONS}/s_unknown"),
        await native.post(OTHERS),
    ):
        assert problem(response, 401, "reauthentication_required")["max_age"] == 600
    assert (await other.get("/api/v1/session")).status_code == 200
    proof = {"password": "correct horse battery"}
    native = native.holding(await native.post("/api/v1/reauthenticate", proof))
    assert (await native.delete(f"{SESSIONS}/{other.session_id}")).json()["ended"] == 1


async def test_a_proof_of_exactly_ten_minutes_is_fresh(served: Served) -> None:
    native = await served.native()
    served.clock.advance(seconds=600)
    assert (await native.post(OTHERS)).status_code == 200


async def test_the_step_up_setting_is_what_is_asked_for(serve: Serve, database_url: str) -> None:
    policy = replace(Settings().policy, step_up=timedelta(seconds=60))
    served = await serve(Settings(database_url=database_url, policy=policy))
    native = await served.native()
    served.clock.advance(seconds=61)
    response = await native.post(OTHERS)
    assert problem(response, 401, "reauthentication_required")["max_age"] == 60
    assert 'max_age="60"' in response.headers["www-authenticate"]


async def test_a_user_without_a_factor_here_needs_no_fresh_proof_for_their_own(
    served: Served,
) -> None:
    other, native = await served.start_external(), await served.start_external()
    served.clock.advance(seconds=1800)
    assert (await native.delete(f"{SESSIONS}/{other.session_id}")).json()["ended"] == 1
    assert (await native.post(OTHERS)).json()["ended"] == 0


# Reauthenticating.


async def test_a_fresh_proof_gives_new_tokens_for_the_same_session_and_stops_the_older_ones(
    served: Served,
) -> None:
    native = await served.native()
    served.clock.advance(seconds=660)
    proof = {"password": "correct horse battery"}
    response = await native.post("/api/v1/reauthenticate", proof)
    session = response.json()["session"]
    assert (session["id"], session["auth_time"]) == (native.session_id, "2026-03-01T12:11:00Z")
    fresh = native.holding(response)
    problem(await native.get("/api/v1/session"), 401, "token_expired")
    refused = await native.client.post("/api/v1/refresh", json={"refresh_token": native.refresh})
    problem(refused, 401, "token_invalid")
    assert (await fresh.get("/api/v1/session")).status_code == 200


async def test_a_browser_that_proves_itself_is_answered_in_cookies(served: Served) -> None:
    browser = await served.browser()
    response = await browser.post(
        "/api/v1/reauthenticate", json={"password": "correct horse battery"}
    )
    assert set(set_cookies(response)) == {"lastcall-access", "lastcall-refresh"}
    assert "access_token" not in response.json()
    assert (await browser.get("/api/v1/session")).status_code == 200


async def test_a_wrong_proof_changes_nothing(served: Served) -> None:
    native = await served.native()
    response = await native.post("/api/v1/reauthenticate", {"password": "wrong"})
    problem(response, 401, "invalid_credentials")
    assert (await native.get("/api/v1/session")).status_code == 200


async def test_who_has_no_password_here_has_none_to_prove(served: Served) -> None:
    external = await served.start_external()
    response = await external.post("/api/v1/reauthenticate", {"password": ""})
    problem(response, 401, "invalid_credentials")


# Ending the others, and following.


async def test_ending_the_others_spares_only_the_caller(served: Served) -> None:
    await served.add_user("bob@example.com")
    others = [await served.native(), await served.native()]
    bob, browser = await served.native("bob@example.com"), await served.browser()
    response = await browser.post(OTHERS)
    assert (response.status_code, response.json()["ended"]) == (200, 2)
    assert (await browser.get("/api/v1/session")).status_code == 200
    assert (await bob.get("/api/v1/session")).status_code == 200
    for other in others:
        value = problem(await other.get("/api/v1/session"), 401, "session_ended")
        assert value["reason"] == "terminated_by_user"
        assert value["ended_by"] == {"kind": "user", "name": "Chrome on Windows"}


async def test_an_ended_session_ends_nothing_anymore(served: Served) -> None:
    other, native = await served.native(), await served.native()
    await native.post("/api/v1/sign-out")
    problem(await native.post(OTHERS), 401, "session_ended")
    problem(await native.delete(f"{SESSIONS}/{other.session_id}"), 401, "session_ended")
    assert (await other.get("/api/v1/session")).status_code == 200


async def test_a_termination_can_be_followed_by_who_did_it(served: Served) -> None:
    other, native = await served.native(), await served.native()
    ended = (await native.delete(f"{SESSIONS}/{other.session_id}")).json()
    followed = (await native.get(f"/api/v1/terminations/{ended['id']}?wait=0")).json()
    assert followed == ended


async def test_a_termination_is_not_there_for_others_of_the_account_but_its_admins(
    served: Served,
) -> None:
    await served.add_user("bob@example.com")
    await served.add_user("eve@example.com")
    other, bob = await served.native("bob@example.com"), await served.native("bob@example.com")
    ended = (await bob.delete(f"{SESSIONS}/{other.session_id}")).json()
    path = f"/api/v1/terminations/{ended['id']}"
    eve, ada = await served.native("eve@example.com"), await served.native()
    problem(await eve.get(path), 404, "not_found")
    assert (await ada.get(path)).json() == ended
    elsewhere = await served.node.identity.add_account("Elsewhere")
    await served.add_user("oz@example.com", elsewhere)
    problem(await (await served.native("oz@example.com")).get(path), 404, "not_found")


async def test_what_an_admin_or_a_service_ended_is_not_its_users_to_follow(served: Served) -> None:
    bob = await served.add_user("bob@example.com")
    native = await served.native("bob@example.com")
    by = Actor("admin", served.ada.id, "Ada")
    done = await served.node.sessions.endings.terminate_all(
        bob.id, bob.account_id, "terminated_by_admin", by
    )
    problem(await native.get(f"/api/v1/terminations/{done.id}"), 401, "session_ended")
    native = await served.native("bob@example.com")
    problem(await native.get(f"/api/v1/terminations/{done.id}"), 404, "not_found")


async def test_what_is_no_termination_is_not_there(served: Served) -> None:
    native = await served.native()
    for name in ("x", "t_x_1", "t_" + "A" * 12 + "_1", "t_" + "A" * 12 + "_999999999999999999"):
        problem(await native.get(f"/api/v1/terminations/{name}"), 404, "not_found")


async def test_the_wait_is_from_0_to_30_seconds(served: Served) -> None:
    native = await served.native()
    for wait in ("31", "-1", "x", "", "1.5", "nan"):
        problem(await native.post(f"{OTHERS}?wait={wait}"), 422, "invalid_request")
        response = await native.delete(f"{SESSIONS}/{native.session_id}?wait={wait}")
        problem(response, 422, "invalid_request")
    for wait in ("0", "30"):
        assert (await native.post(f"{OTHERS}?wait={wait}")).status_code == 200
