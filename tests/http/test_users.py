"""An account's users, for its admins: who may do what to whom, and what it does to them."""

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lastcall.errors import Conflict, NotFound
from lastcall.identity.administration import Admin
from lastcall.identity.model import User
from lastcall.settings import Settings
from tests.http.conftest import Serve, on_each_store
from tests.http.serving import Native, Served, faults, problem
from tests.support.nodes import NATIVE, PASSWORD, SEEN

pytestmark = on_each_store

USERS = "/api/v1/users"
SESSION = "/api/v1/session"


@dataclass(frozen=True)
class Company:
    """Ada, its owner, signed in; an admin, Grace, signed in; and Mia, a member."""

    served: Served
    ada: Native
    grace: Native
    grace_id: str
    mia: User

    async def records(self) -> list[dict[str, object]]:
        """Give the audit log, newest first."""
        events: list[dict[str, object]] = (await self.ada.get("/api/v1/audit")).json()["events"]
        return events


@pytest.fixture
async def company(served: Served) -> Company:
    grace = await served.add_user("grace@example.com", role="admin")
    mia = await served.add_user("mia@example.com")
    signed_in = await served.native(), await served.native("grace@example.com")
    return Company(served, *signed_in, grace.id, mia)


async def refreshed(native: Native) -> Native:
    response = await native.client.post("/api/v1/refresh", json={"refresh_token": native.refresh})
    assert response.status_code == 200, response.text
    return native.holding(response)


# Adding and inviting.


async def test_somebody_added_is_a_member_with_a_link_to_choose_their_password(
    company: Company,
) -> None:
    response = await company.grace.post(USERS, {"email": "Bob@Example.com", "name": "Bob"})
    assert response.status_code == 201
    user = response.json()
    invitation = user.pop("invitation")
    assert user == {
        "id": user["id"],
        "email": "Bob@example.com",
        "name": "Bob",
        "role": "member",
        "status": "active",
        "mfa": False,
        "external_id": None,
        "active_sessions": 0,
        "last_seen_at": None,
        "created_at": "2026-03-01T12:00:00Z",
    }
    assert invitation["expires_in"] == 7 * 24 * 3600
    assert invitation["url"].startswith("http://localhost:8000/invitation?token=")
    # It is in no other answer.
    assert (await company.grace.get(f"{USERS}/{user['id']}")).json() == user
    assert user in (await company.grace.get(USERS)).json()["users"]


async def test_a_link_leads_to_where_people_reach_the_server(
    serve: Serve, database_url: str
) -> None:
    url = "https://example.com/auth"
    served = await serve(Settings(database_url=database_url, public_url=url))
    ada = await served.native()
    response = await ada.post(USERS, {"email": "bob@example.com"})
    assert response.json()["invitation"]["url"].startswith(f"{url}/invitation?token=")


async def test_an_invitation_works_once_and_a_newer_one_ends_the_older(company: Company) -> None:
    links = company.served.node.links
    added = (await company.ada.post(USERS, {"email": "bob@example.com"})).json()
    older = secret_of(added["invitation"])
    again = await company.ada.post(f"{USERS}/{added['id']}/invitation")
    assert again.status_code == 201
    newer = secret_of(again.json())
    with pytest.raises(NotFound):
        await links.accept(older, PASSWORD, NATIVE, SEEN)
    await links.accept(newer, PASSWORD, NATIVE, SEEN)
    with pytest.raises(NotFound):
        await links.accept(newer, "another sentence of mine", NATIVE, SEEN)
    await company.served.native("bob@example.com")
    # Who has a password isn't invited again.
    problem(await company.ada.post(f"{USERS}/{added['id']}/invitation"), 409, "conflict")


def secret_of(invitation: dict[str, str]) -> str:
    return parse_qs(urlsplit(invitation["url"]).query)["token"][0]


async def test_an_address_that_somebody_has_is_a_conflict_in_whatever_case(
    company: Company,
) -> None:
    problem(await company.ada.post(USERS, {"email": "MIA@example.com"}), 409, "conflict")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "email", "missing"),
        ({"email": "no address"}, "email", "email"),
        ({"email": "b@example.com", "name": "x" * 201}, "name", "too_long"),
        ({"email": "b@example.com", "role": "king"}, "role", "not_allowed"),
        ({"email": "b@example.com", "password": "p"}, "password", "unknown"),
        ({"email": "b@example.com", "account_id": "a_1"}, "account_id", "unknown"),
    ],
)
async def test_a_new_user_that_is_wrong_is_refused_by_the_field(
    company: Company, body: object, field: str, code: str
) -> None:
    """An admin sets no password, and nobody names an account."""
    response = await company.ada.post(USERS, body)
    problem(response, 422, "invalid_request")
    assert faults(response) == [(field, code)]


# Finding.


async def test_users_are_found_by_address_name_and_external_id(company: Company) -> None:
    await company.ada.post(USERS, {"email": "zoe@example.org", "name": "Zoë Straße"})
    await company.served.start_external("shop-7")
    for query, found in (
        ("q=ZOE@example.org", ["zoe@example.org"]),
        ("q=strasse", ["zoe@example.org"]),
        ("q=shop-7", [None]),
        ("q=%25", []),
        ("q=A@example.com", ["ada@example.com", "mia@example.com"]),
        ("external_id=shop-7", [None]),
        ("external_id=shop", []),
        ("external_id=", []),
    ):
        users = (await company.grace.get(f"{USERS}?{query}")).json()["users"]
        assert sorted((user["email"] for user in users), key=str) == found, query


async def test_a_list_tells_active_sessions_and_when_somebody_was_last_seen(
    company: Company,
) -> None:
    await company.served.native("mia@example.com")
    company.served.clock.advance(seconds=60)
    await company.served.native("mia@example.com")
    mia = (await company.grace.get(f"{USERS}/{company.mia.id}")).json()
    assert (mia["active_sessions"], mia["last_seen_at"]) == (2, "2026-03-01T12:01:00Z")


# Changing.


async def test_name_role_and_status_change_in_one_piece(company: Company) -> None:
    path = f"{USERS}/{company.mia.id}"
    both = {"name": " Mia ", "role": "admin", "status": "suspended"}
    changed = (await company.ada.patch(path, both)).json()
    assert (changed["name"], changed["role"], changed["status"]) == ("Mia", "admin", "suspended")
    types = [event["type"] for event in await company.records()]
    assert types[:3] == ["user.suspend", "user.change_role", "user.rename"]
    # One part that is refused refuses all.
    problem(await company.grace.patch(path, {"name": "M", "role": "member"}), 403, "forbidden")
    assert (await company.ada.get(path)).json() == changed
    for nothing in ({}, {"name": "Mia"}, {"role": "admin"}, {"status": "suspended"}):
        assert (await company.ada.patch(path, nothing)).json() == changed
    assert [event["type"] for event in await company.records()] == types
    assert (await company.ada.patch(path, {"name": None})).json()["name"] is None


@pytest.mark.parametrize(
    "body", [{"role": None}, {"status": "removed"}, {"status": None}, {"email": "x@example.com"}]
)
async def test_a_change_that_is_wrong_is_refused(company: Company, body: object) -> None:
    response = await company.ada.patch(f"{USERS}/{company.mia.id}", body)
    problem(response, 422, "invalid_request")


async def test_another_role_holds_at_the_very_next_request(company: Company) -> None:
    """Attack 53: an access token from before needs a refresh, which gives the new role."""
    assert (await company.grace.get(USERS)).status_code == 200
    path = f"{USERS}/{company.grace_id}"
    assert (await company.ada.patch(path, {"role": "member"})).status_code == 200
    problem(await company.grace.get(USERS), 401, "token_expired")
    problem(await company.grace.get(SESSION), 401, "token_expired")
    demoted = await refreshed(company.grace)
    problem(await demoted.get(USERS), 403, "forbidden")
    assert (await demoted.get(SESSION)).json()["user"]["role"] == "member"
    await company.ada.patch(path, {"role": "admin"})
    assert (await (await refreshed(demoted)).get(USERS)).status_code == 200


async def test_somebody_suspended_is_out_at_once_and_stays_out(company: Company) -> None:
    path = f"{USERS}/{company.grace_id}"
    assert (await company.ada.patch(path, {"status": "suspended"})).status_code == 200
    refused = problem(await company.grace.get(USERS), 401, "session_ended")
    assert refused["reason"] == "user_suspended"
    sign_in = {"email": "grace@example.com", "password": PASSWORD}
    problem(
        await company.grace.client.post("/api/v1/sign-in", json=sign_in), 401, "invalid_credentials"
    )
    assert (await company.ada.patch(path, {"status": "active"})).json()["status"] == "active"
    problem(await company.grace.get(USERS), 401, "session_ended")
    await company.served.native("grace@example.com")


async def test_who_comes_after_somebody_removed_inherits_nothing(company: Company) -> None:
    """Attack 54: the same address is somebody else."""
    path = f"{USERS}/{company.grace_id}"
    ended = (await company.ada.delete(path)).json()
    assert (ended["ended"], ended["state"]) == (1, "confirmed")
    refused = problem(await company.grace.get(SESSION), 401, "session_ended")
    assert refused["reason"] == "user_deleted"
    for answer in (
        await company.ada.get(path),
        await company.ada.delete(path),
        await company.ada.patch(path, {"name": "G"}),
        await company.ada.post(f"{path}/logout"),
        await company.ada.get(f"{path}/sessions"),
    ):
        problem(answer, 404, "not_found")
    again = (await company.ada.post(USERS, {"email": "grace@example.com"})).json()
    assert again["id"] != company.grace_id
    assert (again["role"], again["name"], again["active_sessions"]) == ("member", None, 0)
    sign_in = {"email": "grace@example.com", "password": PASSWORD}
    problem(
        await company.ada.client.post("/api/v1/sign-in", json=sign_in), 401, "invalid_credentials"
    )
    await company.served.node.links.accept(secret_of(again["invitation"]), PASSWORD, NATIVE, SEEN)
    newcomer = await company.served.native("grace@example.com")
    problem(await newcomer.get(USERS), 403, "forbidden")
    activity = (await newcomer.get("/api/v1/activity")).json()["events"]
    assert {event["type"] for event in activity} == {
        "user.add",
        "user.invite",
        "user.accept_invitation",
        "session.sign_in",
    }
    problem(await company.grace.get(SESSION), 401, "session_ended")


# Upwards, sideways and oneself.


async def test_an_admin_acts_on_no_owner(company: Company) -> None:
    owner, session = company.served.ada.id, company.ada.session_id
    path = f"{USERS}/{owner}"
    for answer in (
        await company.grace.patch(path, {"name": "A"}),
        await company.grace.patch(path, {"status": "suspended"}),
        await company.grace.patch(path, {"role": "member"}),
        await company.grace.delete(path),
        await company.grace.post(f"{path}/logout"),
        await company.grace.get(f"{path}/logout"),
        await company.grace.delete(f"{path}/sessions/{session}"),
        await company.grace.post(f"{path}/invitation"),
    ):
        problem(answer, 403, "forbidden")
    # To see them is no acting.
    assert (await company.grace.get(path)).status_code == 200
    assert (await company.ada.get(SESSION)).status_code == 200


async def test_an_admin_gives_nobody_a_role(company: Company) -> None:
    """Attack 49."""
    for role in ("owner", "admin"):
        problem(
            await company.grace.post(USERS, {"email": "b@example.com", "role": role}),
            403,
            "forbidden",
        )
        for who in (company.mia.id, company.grace_id):
            path = f"{USERS}/{who}"
            problem(await company.grace.patch(path, {"role": role}), 403, "forbidden")
    body = {"email": "b@example.com", "role": "admin"}
    assert (await company.ada.post(USERS, body)).json()["role"] == "admin"


async def test_nobody_suspends_removes_or_promotes_themselves(company: Company) -> None:
    for native, who in ((company.ada, company.served.ada.id), (company.grace, company.grace_id)):
        path = f"{USERS}/{who}"
        problem(await native.patch(path, {"role": "member"}), 403, "forbidden")
        problem(await native.patch(path, {"status": "suspended"}), 403, "forbidden")
        problem(await native.delete(path), 403, "forbidden")
        assert (await native.patch(path, {"name": "Me"})).json()["name"] == "Me"


@pytest.mark.parametrize("way", ["demoted", "suspended", "removed"])
async def test_of_two_owners_who_turn_on_each_other_at_once_exactly_one_stays(
    company: Company, way: str
) -> None:
    olga = await company.served.add_user("olga@example.com", role="owner")
    rival = await company.served.native("olga@example.com")

    async def strike(native: Native, user_id: str) -> httpx.Response:
        path = f"{USERS}/{user_id}"
        if way == "removed":
            return await native.delete(path)
        change = {"role": "member"} if way == "demoted" else {"status": "suspended"}
        return await native.patch(path, change)

    answers = await asyncio.gather(
        strike(company.ada, olga.id), strike(rival, company.served.ada.id)
    )
    assert min(answer.status_code for answer in answers) == 200
    lost = max(answers, key=lambda answer: answer.status_code)
    # Who comes a moment later meets a token that the other's change has put out of use.
    overtaken = "token_expired" if way == "demoted" else "session_ended"
    assert lost.json()["code"] in ("conflict", overtaken)
    store = company.served.node.store
    assert await store.count_users(company.served.account.id, "owner", "active") == 1


async def test_the_last_owner_stays_whoever_asks(company: Company) -> None:
    """An owner who is suspended is none to fall back on."""
    olga = await company.served.add_user("olga@example.com", role="owner")
    await company.ada.patch(f"{USERS}/{olga.id}", {"status": "suspended"})
    administration = company.served.node.administration
    operator, ada = Admin.operator(company.served.account), company.served.ada.id
    for change in (
        administration.change(operator, ada, role="admin"),
        administration.change(operator, ada, suspended=True),
        administration.remove(operator, ada),
    ):
        with pytest.raises(Conflict, match="last owner"):
            await change
    assert (await company.ada.get(USERS)).status_code == 200


async def test_of_another_account_nothing_is_found_by_whatever_name(company: Company) -> None:
    """Attack 48."""
    served = company.served
    other = await served.node.identity.add_account("Other")
    await served.add_user("olga@example.org", other)  # its first user owns it
    bob = await served.add_user("bob@example.org", other)
    rival, theirs = await served.native("olga@example.org"), await served.native("bob@example.org")
    page = (await company.ada.get(f"{USERS}?limit=1")).json()
    for native, hidden in ((rival, "example.com"), (company.ada, "example.org")):
        for query in ("", f"?before={page['next']}", f"?q={hidden}", "?external_id=7"):
            assert hidden not in (await native.get(USERS + query)).text
    await served.start_external("7")
    assert (await rival.get(f"{USERS}?external_id=7")).json()["users"] == []
    path = f"{USERS}/{bob.id}"
    mia = f"{USERS}/{company.mia.id}"
    for answer in (
        await company.ada.get(path),
        await company.ada.delete(f"{path}/sessions/{theirs.session_id}"),
        await company.ada.delete(f"{mia}/sessions/{theirs.session_id}"),
        await company.ada.delete(f"/api/v1/sessions/{theirs.session_id}"),
    ):
        value = problem(answer, 404, "not_found")
        assert value["detail"] in ("there is no such user", "there is no such thing")
    nobody = await company.ada.get(f"{USERS}/u_nobody")
    assert nobody.json() == (await company.ada.get(path)).json()
    assert bob.id not in (await company.ada.get("/api/v1/audit?limit=200")).text
    found = (await company.ada.get(f"/api/v1/audit?person={bob.id}")).json()
    assert found == {"events": [], "next": None}
    assert (await theirs.get(SESSION)).status_code == 200


async def test_a_session_is_ended_under_its_own_user_only(company: Company) -> None:
    mia = await company.served.native("mia@example.com")
    wrong = f"{USERS}/{company.grace_id}/sessions/{mia.session_id}"
    problem(await company.ada.delete(wrong), 404, "not_found")
    assert (await mia.get(SESSION)).status_code == 200
    right = f"{USERS}/{company.mia.id}/sessions/{mia.session_id}"
    assert (await company.grace.delete(right)).json()["ended"] == 1
    refused = problem(await mia.get(SESSION), 401, "session_ended")
    assert refused["reason"] == "terminated_by_admin"
    assert refused["ended_by"] == {"kind": "admin", "name": "grace@example.com"}
    assert (await company.grace.delete(right)).json()["ended"] == 0


# Services and logging out.


async def test_a_service_finds_a_user_by_external_id_and_no_list(company: Company) -> None:
    started = await company.served.start_external("42")
    service = await company.served.as_service("sessions")
    for query in ("", "?q=mia", "?limit=1"):
        problem(await service.get(USERS + query), 403, "forbidden")
    (user,) = (await service.get(f"{USERS}?external_id=42")).json()["users"]
    assert user["active_sessions"] == 1
    sessions = (await service.get(f"{USERS}/{user['id']}/sessions")).json()["sessions"]
    assert [(one["id"], one["current"]) for one in sessions] == [(started.session_id, False)]
    ended = (await service.post(f"{USERS}/{user['id']}/logout?wait=0")).json()
    assert ended["ended"] == 1
    assert (await service.get(f"/api/v1/terminations/{ended['id']}")).json()["ended"] == 1
    refused = problem(await started.get(SESSION), 401, "session_ended")
    assert refused["reason"] == "terminated_by_service"
    assert refused["ended_by"] == {"kind": "service", "name": "shop"}


async def test_a_preview_tells_what_a_logout_then_does(company: Company) -> None:
    first = await company.served.native("mia@example.com")
    company.served.clock.advance(seconds=300)
    await company.served.browser("mia@example.com")
    path = f"{USERS}/{company.mia.id}/logout"
    preview = (await company.grace.get(path)).json()
    assert preview == {
        "sessions": 2,
        "devices": 2,
        "access_tokens": 2,
        "longest_expires_in": 3610,  # within the grace, the last refresh is answered once more
    }
    ended = (await company.grace.post(f"{path}?wait=30")).json()
    assert (ended["ended"], ended["state"], ended["certain_by"]) == (2, "confirmed", None)
    problem(await first.get(SESSION), 401, "session_ended")
    assert (await company.grace.get(path)).json() == {
        "sessions": 0,
        "devices": 0,
        "access_tokens": 0,
        "longest_expires_in": None,
    }
    assert (await company.grace.get(f"/api/v1/terminations/{ended['id']}")).status_code == 200
    problem(await company.grace.post(f"{path}?wait=31"), 422, "invalid_request")
    listed = (await company.grace.get(f"{USERS}/{company.mia.id}/sessions?ended=true")).json()
    assert {one["end_reason"] for one in listed["sessions"]} == {"terminated_by_admin"}


async def test_everybody_is_logged_out_but_who_asks_if_they_say_so(company: Company) -> None:
    for body in ({}, {"all_users": False}, {"except_self": True}):
        response = await company.ada.post("/api/v1/logout", body)
        problem(response, 422, "invalid_request")
        assert faults(response) == [("all_users", "not_allowed")]
    assert (await company.grace.get(SESSION)).status_code == 200
    ended = (await company.ada.post("/api/v1/logout", {"all_users": True})).json()
    assert ended["ended"] == 1
    problem(await company.grace.get(SESSION), 401, "session_ended")
    assert (await company.ada.get(SESSION)).status_code == 200
    both = {"all_users": True, "except_self": False}
    assert (await company.ada.post("/api/v1/logout", both)).json()["ended"] == 1
    problem(await company.ada.get(SESSION), 401, "session_ended")


# Keys.


async def test_a_key_is_shown_once_works_and_stops(company: Company) -> None:
    response = await company.ada.post(
        "/api/v1/keys", {"name": " Shop ", "scopes": ["verify", "sessions", "verify"]}
    )
    assert response.status_code == 201
    key = response.json()
    text = key.pop("key")
    assert key == {
        "id": key["id"],
        "name": "Shop",
        "scopes": ["sessions", "verify"],
        "created_at": "2026-03-01T12:00:00Z",
    }
    assert text.startswith(f"lck_{key['id']}_")
    listed = await company.ada.get("/api/v1/keys")
    assert listed.json() == {"keys": [key], "next": None}
    service = company.served.client({"Authorization": f"Bearer {text}"})
    assert (await service.get(f"{USERS}?external_id=1")).status_code == 200
    ended = await company.ada.delete(f"/api/v1/keys/{key['id']}")
    assert (ended.status_code, ended.content) == (204, b"")
    problem(await service.get(f"{USERS}?external_id=1"), 401, "token_invalid")
    problem(await company.ada.delete(f"/api/v1/keys/{key['id']}"), 404, "not_found")
    assert (await company.ada.get("/api/v1/keys")).json() == {"keys": [], "next": None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes[0]"),
        ({"name": " ", "scopes": ["verify"]}, "name"),
        ({"name": "x", "scopes": ["verify"], "key": "mine"}, "key"),
    ],
)
async def test_a_key_that_is_wrong_is_refused(company: Company, body: object, field: str) -> None:
    response = await company.ada.post("/api/v1/keys", body)
    problem(response, 422, "invalid_request")
    assert [at for at, _ in faults(response)] == [field]


async def test_no_service_is_connected_yet(company: Company) -> None:
    listed = (await company.grace.get("/api/v1/services")).json()
    assert [one for one in listed["services"] if one["kind"] == "verifier"] == []
    assert listed["next"] is None


# Whatever somebody sends.


@pytest.mark.parametrize(
    "name",
    ["%00", "%ff", "%ed%a0%80", "..%2f..", "x" * 10_000, "%F0%9F%90%8D", "'%20OR%201=1--", "%"],
)
async def test_an_id_that_nobody_could_have_is_not_found(company: Company, name: str) -> None:
    ada = company.ada
    for answer in (
        await ada.get(f"{USERS}/{name}"),
        await ada.patch(f"{USERS}/{name}", {"name": "x"}),
        await ada.delete(f"{USERS}/{name}"),
        await ada.post(f"{USERS}/{name}/invitation"),
        await ada.get(f"{USERS}/{name}/sessions"),
        await ada.get(f"{USERS}/{name}/logout"),
        await ada.post(f"{USERS}/{name}/logout"),
        await ada.delete(f"{USERS}/{company.mia.id}/sessions/{name}"),
        await ada.delete(f"/api/v1/keys/{name}"),
        await ada.post(f"/api/v1/sessions/{name}/report"),
    ):
        problem(answer, 404, "not_found")
    for query in (f"q={name}", f"external_id={name}"):
        answer = await ada.get(f"{USERS}?{query}")
        if len(name) > 200:
            problem(answer, 422, "invalid_request")
        else:
            assert answer.json() == {"users": [], "next": None}
    found = await ada.get(f"/api/v1/audit?person={name}")
    assert found.status_code == (422 if len(name) > 80 else 200)


@pytest.mark.parametrize("name", ["\x00", "a\nb", "\u202e", "\x1b[31m", " \t "])
async def test_a_name_is_text_that_can_be_seen(company: Company, name: str) -> None:
    for answer in (
        await company.ada.patch(f"{USERS}/{company.mia.id}", {"name": name}),
        await company.ada.post(USERS, {"email": "b@example.com", "name": name}),
        await company.ada.post("/api/v1/keys", {"name": name, "scopes": ["verify"]}),
    ):
        problem(answer, 422, "invalid_request")
        assert [at for at, _ in faults(answer)] == ["name"]
