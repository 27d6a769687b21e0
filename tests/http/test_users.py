"""An account's users, for its admins: added, invited, found, changed, suspended and removed."""

from urllib.parse import parse_qs, urlsplit

import pytest

from lastcall.errors import NotFound
from lastcall.settings import Settings
from tests.http.company import Company
from tests.http.conftest import Serve, on_each_store
from tests.http.serving import SESSION, USERS, Native, faults, problem
from tests.support.nodes import NATIVE, PASSWORD, SEEN

pytestmark = on_each_store


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
