"""How far an ending reaches: everything that a session ever held refuses at once, and the others
go on (ASVS 7.4.1, 7.4.3, 7.1.2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest

from lastcall.server import create_app
from lastcall.sessions.policy import Policy
from lastcall.settings import Settings
from tests.http.conftest import Serve
from tests.http.serving import CHROME, Native, Served, problem
from tests.support.nodes import PASSWORD

API, HOME = "/api/v1", "/settings/sessions"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MIA = "mia@example.com"


@dataclass(frozen=True)
class Scene:
    """Mia with three sessions, one of which is to end, and Ada, who administers."""

    served: Served
    ada: Native
    mia_id: str
    victim: httpx.AsyncClient
    """A browser of Mia's, which has been refreshed once."""
    held: list[dict[str, str]]
    """Every pair of cookies that it was ever given."""
    session_id: str
    other: httpx.AsyncClient
    native: Native

    def holding(self, cookies: dict[str, str], *names: str) -> httpx.AsyncClient:
        """A tab left open, or a thief, with some of these cookies."""
        kept = "; ".join(f"{name}={cookies[name]}" for name in names)
        return self.served.client(
            {"Sec-Fetch-Site": "same-origin", "User-Agent": CHROME, "Cookie": kept}
        )


@pytest.fixture
async def scene(served: Served) -> Scene:
    site = served.at(create_app(served.settings, node=served.node))
    mia = await site.add_user(MIA)
    victim = await site.browser(MIA)
    held = [_tokens(victim)]
    assert (await victim.post(f"{API}/refresh")).status_code == 200
    held.append(_tokens(victim))
    session_id = (await victim.get(f"{API}/session")).json()["id"]
    other, native = await site.browser(MIA), await site.native(MIA)
    return Scene(site, await site.native(), mia.id, victim, held, session_id, other, native)


def _tokens(browser: httpx.AsyncClient) -> dict[str, str]:
    return {name: browser.cookies[name] for name in ("lastcall-access", "lastcall-refresh")}


Way = Callable[[Scene], Awaitable[httpx.Response]]


async def by_page(scene: Scene) -> httpx.Response:
    body = f"session_id={scene.session_id}"
    return await scene.other.post(f"{HOME}/terminate", content=body, headers=FORM)


async def by_report(scene: Scene) -> httpx.Response:
    return await scene.other.post(f"{API}/sessions/{scene.session_id}/report")


async def by_oneself(scene: Scene) -> httpx.Response:
    return await scene.victim.post(f"{API}/sign-out")


async def by_ones_own_page(scene: Scene) -> httpx.Response:
    return await scene.victim.post("/sign-out", content="", headers=FORM)


async def by_all_others(scene: Scene) -> httpx.Response:
    return await scene.other.post(f"{API}/sessions/terminate-others")


async def by_admin(scene: Scene) -> httpx.Response:
    return await scene.ada.delete(f"{API}/users/{scene.mia_id}/sessions/{scene.session_id}")


async def by_admin_for_all(scene: Scene) -> httpx.Response:
    return await scene.ada.post(f"{API}/users/{scene.mia_id}/logout")


async def by_suspension(scene: Scene) -> httpx.Response:
    return await scene.ada.patch(f"{API}/users/{scene.mia_id}", {"status": "suspended"})


async def by_service(scene: Scene) -> httpx.Response:
    service = await scene.served.as_service("sessions")
    return await service.delete(f"{API}/sessions/{scene.session_id}")


async def by_password(scene: Scene) -> httpx.Response:
    body = {"current_password": PASSWORD, "new_password": "a much better sentence"}
    return await scene.other.post(f"{API}/password", json=body)


WAYS: list[tuple[Way, str, set[str]]] = [
    (by_page, "terminated_by_user", {"other", "native"}),
    (by_report, "reported", {"other", "native"}),
    (by_oneself, "signed_out", {"other", "native"}),
    (by_ones_own_page, "signed_out", {"other", "native"}),
    (by_all_others, "terminated_by_user", {"other"}),
    (by_admin, "terminated_by_admin", {"other", "native"}),
    (by_admin_for_all, "terminated_by_admin", set()),
    (by_suspension, "user_suspended", set()),
    (by_service, "terminated_by_service", {"other", "native"}),
    (by_password, "password_changed", {"other"}),
]


@pytest.mark.parametrize(("way", "reason", "live"), WAYS, ids=[way[0].__name__ for way in WAYS])
async def test_an_ended_session_is_good_for_nothing_and_the_others_go_on(
    scene: Scene, way: Way, reason: str, live: set[str]
) -> None:
    """Access and refresh token, of every generation, cookie and header, stream, step-up and old
    forms refuse with the reason; nothing writes a cookie back; who was not meant goes on."""
    assert (await way(scene)).status_code < 400
    before = await _counts(scene)
    for cookies in scene.held:
        await _good_for_nothing(scene, cookies, reason)
    assert await _counts(scene) == before
    for name in ("other", "native"):
        client = scene.other if name == "other" else scene.native.client
        headers = {} if name == "other" else scene.native.auth
        answer = await client.get(f"{API}/session", headers=headers)
        assert (answer.status_code == 200) == (name in live), name
    if "native" in live:
        body = {"refresh_token": scene.native.refresh}
        assert (await scene.native.client.post(f"{API}/refresh", json=body)).status_code == 200
    if "other" in live:
        assert (await scene.other.post(f"{API}/refresh")).status_code == 200
    assert (await scene.ada.get(f"{API}/session")).status_code == 200


async def _counts(scene: Scene) -> object:
    profile = (await scene.ada.get(f"{API}/users/{scene.mia_id}")).json()
    records = (await scene.ada.get(f"{API}/audit?limit=200")).json()["events"]
    return profile["active_sessions"], len(records)


async def _good_for_nothing(scene: Scene, cookies: dict[str, str], reason: str) -> None:
    access, refresh = "lastcall-access", "lastcall-refresh"
    tab = scene.holding(cookies, access, refresh)
    bearer = scene.served.client({"Authorization": f"Bearer {cookies[access]}"})
    proof = {"password": PASSWORD}
    change = {"current_password": PASSWORD, "new_password": "one more sentence of hers"}
    shown = {"refresh_token": cookies[refresh]}
    refusals = [
        await tab.get(f"{API}/session"),
        await bearer.get(f"{API}/session"),
        await tab.get(f"{API}/sessions"),
        await tab.get(f"{API}/activity"),
        await tab.post(f"{API}/refresh"),
        await scene.served.client().post(f"{API}/refresh", json=shown),
        await tab.post(f"{API}/reauthenticate", json=proof),
        await bearer.post(f"{API}/reauthenticate", json=proof),
        await tab.post(f"{API}/password", json=change),
        await tab.post(f"{API}/sessions/terminate-others"),
        await tab.delete(f"{API}/sessions/{scene.session_id}"),
        await bearer.delete(f"{API}/sessions/{scene.native.session_id}"),
    ]
    for answer in refusals:
        assert problem(answer, 401, "session_ended")["reason"] == reason, answer.request.url
    for opener in (tab, bearer, scene.holding(cookies, access), scene.holding(cookies, refresh)):
        assert (await opener.head("/live")).status_code == 401
    for path, body in (
        (f"{HOME}/terminate-others", ""),
        (f"{HOME}/terminate", f"session_id={scene.native.session_id}"),
        (f"{HOME}/report", f"session_id={scene.native.session_id}"),
        ("/settings/security", "current_password=x&new_password=y"),
        ("/reauthenticate", f"password={quote(PASSWORD)}"),
    ):
        answer = await tab.post(path, content=body, headers=FORM)
        assert answer.status_code == 303, (path, answer.text)
        assert answer.headers["location"].startswith("/sign-in"), path
        assert "set-cookie" not in answer.headers, path
    for path in (HOME, f"/renew?next={HOME}", "/settings/activity"):
        answer = await tab.get(path, headers={"Sec-Fetch-Mode": "navigate"})
        while answer.headers.get("location", "/sign-in").startswith("/renew"):
            answer = await tab.get(
                answer.headers["location"], headers={"Sec-Fetch-Mode": "navigate"}
            )
        assert answer.headers["location"].startswith("/sign-in"), path
        assert "set-cookie" not in answer.headers, path
    signed_out = await tab.post(f"{API}/sign-out")
    assert signed_out.status_code == 204


# A password that somebody else may know.


async def test_a_change_of_the_password_on_one_of_three_devices_ends_the_others_and_a_thief_s(
    served: Served,
) -> None:
    """The thief holds a copy of one of them, and newer tokens than its owner."""
    laptop, phone, tablet = [await served.native() for _ in range(3)]
    answer = await phone.client.post(f"{API}/refresh", json={"refresh_token": phone.refresh})
    thief = phone.holding(answer)
    body = {"current_password": PASSWORD, "new_password": "a much better sentence"}
    answer = await laptop.post(f"{API}/password", body)
    assert answer.json()["termination"]["ended"] == 2
    current = laptop.holding(answer)
    for one in (phone, tablet, thief):
        refused = await one.client.post(f"{API}/refresh", json={"refresh_token": one.refresh})
        for told in (await one.get(f"{API}/session"), refused):
            assert problem(told, 401, "session_ended")["reason"] == "password_changed"
        problem(
            await one.post(f"{API}/reauthenticate", {"password": PASSWORD}), 401, "session_ended"
        )
    problem(await laptop.get(f"{API}/session"), 401, "token_expired")
    refused = await laptop.client.post(f"{API}/refresh", json={"refresh_token": laptop.refresh})
    problem(refused, 401, "token_invalid")
    assert (await current.get(f"{API}/session")).json()["id"] == laptop.session_id
    answer = await current.client.post(f"{API}/refresh", json={"refresh_token": current.refresh})
    assert answer.status_code == 200


# A policy that becomes stricter.

MINUTES = timedelta(minutes=1)
IDLE = Policy(access_lifetime=15 * MINUTES, refresh_lifetime=40 * MINUTES)
ABSOLUTE = replace(IDLE, absolute_lifetime=40 * MINUTES)


@pytest.mark.parametrize(
    ("policy", "reason", "after"),
    [(IDLE, "expired_inactive", 40), (ABSOLUTE, "expired_absolute", 40)],
)
async def test_sessions_under_way_obey_a_stricter_policy_from_the_server_s_next_start(
    serve: Serve, database_url: str, policy: Policy, reason: str, after: int
) -> None:
    """By access token, by refresh token and in lists, though both tokens would still be good."""
    before = await serve(Settings(database_url=database_url))
    old = await before.native()
    before.clock.advance(seconds=20 * 60)
    young = await before.native()
    if policy is ABSOLUTE:  # activity doesn't help
        old = await refreshed(old)
    await before.node.close()

    now = await serve(Settings(database_url=database_url, policy=policy))
    now.clock.advance(seconds=(after * 60) - 1)
    young = replace(young, client=now.client())
    old = replace(old, client=now.client())
    assert (await old.get(f"{API}/session")).json()["expires_in"] == 1
    now.clock.advance(seconds=1)
    listed = (await young.get(f"{API}/sessions")).json()["sessions"]
    assert [row["id"] for row in listed] == [young.session_id]
    assert listed[0]["expires_in"] == 20 * 60
    ended = (await young.get(f"{API}/sessions?ended=true")).json()["sessions"]
    assert [(row["id"], row["end_reason"]) for row in ended] == [(old.session_id, reason)]
    assert ended[0]["ended_at"] == "2026-03-01T12:40:00Z"
    assert problem(await old.get(f"{API}/session"), 401, "session_ended")["reason"] == reason
    refused = await old.client.post(f"{API}/refresh", json={"refresh_token": old.refresh})
    assert problem(refused, 401, "session_ended")["reason"] == reason
    young = await refreshed(young)
    own = (await young.get(f"{API}/session")).json()
    assert own["expires_in"] == (20 if policy is ABSOLUTE else 40) * 60


async def refreshed(native: Native) -> Native:
    response = await native.client.post(f"{API}/refresh", json={"refresh_token": native.refresh})
    assert response.status_code == 200, response.text
    return native.holding(response)
