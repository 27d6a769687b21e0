"""Whom nobody acts on: those above, those of another account, and oneself."""

import asyncio

import httpx
import pytest

from lastcall.errors import Conflict
from lastcall.identity.administration import Admin
from tests.http.company import Company
from tests.http.conftest import on_each_store
from tests.http.serving import SESSION, USERS, Native, problem

pytestmark = on_each_store


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
