"""What is written down of each thing that is done: once, with who, whom and from where."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.http.office import ELSEWHERE, HERE, Does, Office, signs_in
from tests.http.serving import CHROME, USERS, Native, problem
from tests.support.nodes import PASSWORD

NEW = "another sentence of mine"


@dataclass(frozen=True)
class Told:
    """What the record must say."""

    type: str
    actor: str
    target: str
    reason: str | None = None
    outcome: str = "success"
    session: str | None = "own"
    """From which session: the doer's, none, or the one that began."""
    ip: str | None = ELSEWHERE


def mia_does(method: str, path: str, body: object = None) -> Does:
    return lambda office: _do(office, office.at(office.mia), method, path, body)


def ada_does(method: str, path: str, body: object = None) -> Does:
    return lambda office: _do(office, office.at(office.ada), method, path, body)


async def _do(
    office: Office, native: Native, method: str, path: str, body: object
) -> httpx.Response:
    path = path.format(mia=office.mia_user.id, old=office.old.session_id)
    more: dict[str, Any] = {} if body is None else {"json": body}
    return await native.client.request(method, path, headers=native.auth, **more)


def refreshes(count: int, ip: str) -> Does:
    """Refresh Mia's session with her first token, so often, with a minute between."""

    async def does(office: Office) -> httpx.Response:
        client = office.served.client({"User-Agent": CHROME}, peer=ip)
        response = httpx.Response(500)
        for turn in range(count):
            own = "127.0.0.1" if turn < count - 1 else ip
            client = office.served.client({"User-Agent": CHROME}, peer=own)
            body = {"refresh_token": office.mia.refresh}
            response = await client.post("/api/v1/refresh", json=body)
            office.served.clock.advance(seconds=60)
        return response

    return does


async def expires(office: Office) -> httpx.Response:
    office.served.clock.advance(hours=25)
    client = office.at(office.mia).client
    return await client.post("/api/v1/refresh", json={"refresh_token": office.mia.refresh})


async def signs_out_by_nothing(office: Office) -> httpx.Response:
    return await office.at(office.mia).client.post("/api/v1/sign-out")


async def service_begins(office: Office) -> httpx.Response:
    client = {"ip": HERE, "user_agent": CHROME}
    body = {"user": {"external_id": "9"}, "client": client}
    service = await office.service()
    first = await service.post("/api/v1/sessions", json=body)
    assert first.status_code == 200
    office.served.clock.advance(seconds=1)
    return await service.post("/api/v1/sessions", json=body)


async def service_ends(office: Office) -> httpx.Response:
    return await (await office.service()).delete(f"/api/v1/sessions/{office.old.session_id}")


async def service_logs_out(office: Office) -> httpx.Response:
    return await (await office.service()).post(f"{USERS}/{office.mia_user.id}/logout")


async def ada_resumes(office: Office) -> httpx.Response:
    ada, path = office.at(office.ada), f"{USERS}/{office.mia_user.id}"
    await ada.patch(path, {"status": "suspended"})
    return await ada.patch(path, {"status": "active"})


async def ada_invites_anew(office: Office) -> httpx.Response:
    ada = office.at(office.ada)
    added = (await ada.post(USERS, {"email": "bob@example.com"})).json()
    return await ada.post(f"{USERS}/{added['id']}/invitation")


async def ada_revokes(office: Office) -> httpx.Response:
    ada = office.at(office.ada)
    (key,) = (await ada.get("/api/v1/keys")).json()["keys"]
    return await ada.delete(f"/api/v1/keys/{key['id']}")


DONE: dict[str, tuple[Does, tuple[Told, ...]]] = {
    "sign-in": (
        signs_in(PASSWORD),
        (Told("session.sign_in", "mia", "session", session="target"),),
    ),
    "sign-in with a wrong password": (
        signs_in("wrong"),
        (Told("session.sign_in", "system", "mia", "invalid_credentials", "failure", session=None),),
    ),
    "sign-in as nobody": (signs_in("wrong", "nobody@example.com"), ()),
    "refresh": (refreshes(1, "127.0.0.1"), ()),
    "refresh from another address": (
        refreshes(1, ELSEWHERE),
        (Told("session.move", "mia", "session", session="target"),),
    ),
    "reuse of a refresh token": (
        refreshes(2, ELSEWHERE),
        (Told("session.reuse", "system", "session", "refresh_reuse", session=None),),
    ),
    "a refresh that comes too late": (
        expires,
        (Told("session.expire", "system", "session", "expired_inactive", session=None),),
    ),
    "re-authentication": (
        mia_does("POST", "/api/v1/reauthenticate", {"password": PASSWORD}),
        (Told("session.reauthenticate", "mia", "mia"),),
    ),
    "re-authentication with a wrong password": (
        mia_does("POST", "/api/v1/reauthenticate", {"password": "wrong"}),
        (Told("session.reauthenticate", "system", "mia", "invalid_credentials", "failure"),),
    ),
    "password change": (
        mia_does("POST", "/api/v1/password", {"current_password": PASSWORD, "new_password": NEW}),
        (Told("user.change_password", "mia", "mia"),),
    ),
    "password change with a wrong password": (
        mia_does("POST", "/api/v1/password", {"current_password": "wrong", "new_password": NEW}),
        (Told("user.change_password", "system", "mia", "invalid_credentials", "failure"),),
    ),
    "sign-out": (
        mia_does("POST", "/api/v1/sign-out"),
        (Told("session.sign_out", "mia", "session", "signed_out", session=None),),
    ),
    "sign-out of nobody": (signs_out_by_nothing, ()),
    "ending another session": (
        mia_does("DELETE", "/api/v1/sessions/{old}"),
        (Told("session.terminate", "mia", "session", "terminated_by_user"),),
    ),
    "reporting a session": (
        mia_does("POST", "/api/v1/sessions/{old}/report"),
        (Told("session.report", "mia", "session", "reported"),),
    ),
    "ending all others": (
        mia_does("POST", "/api/v1/sessions/terminate-others"),
        (Told("session.terminate_others", "mia", "mia", "terminated_by_user"),),
    ),
    "a service begins a session": (
        service_begins,
        (Told("session.sign_in", "shop", "session", session="target", ip=HERE),),
    ),
    "a service ends a session": (
        service_ends,
        (Told("session.terminate", "shop", "session", "terminated_by_service", session=None),),
    ),
    "a service logs out": (
        service_logs_out,
        (Told("user.logout", "shop", "mia", "terminated_by_service", session=None),),
    ),
    "adding": (
        ada_does("POST", USERS, {"email": "bob@example.com"}),
        (Told("user.invite", "Ada", "bob"), Told("user.add", "Ada", "bob")),
    ),
    "inviting anew": (ada_invites_anew, (Told("user.invite", "Ada", "bob"),)),
    "renaming": (
        ada_does("PATCH", USERS + "/{mia}", {"name": "Mia M."}),
        (Told("user.rename", "Ada", "mia"),),
    ),
    "another role": (
        ada_does("PATCH", USERS + "/{mia}", {"role": "admin"}),
        (Told("user.change_role", "Ada", "mia", "admin"),),
    ),
    "suspending": (
        ada_does("PATCH", USERS + "/{mia}", {"status": "suspended"}),
        (Told("user.suspend", "Ada", "mia", "user_suspended"),),
    ),
    "resuming": (ada_resumes, (Told("user.resume", "Ada", "mia"),)),
    "removing": (
        ada_does("DELETE", USERS + "/{mia}"),
        (Told("user.remove", "Ada", "mia", "user_deleted"),),
    ),
    "ending a user's session": (
        ada_does("DELETE", USERS + "/{mia}/sessions/{old}"),
        (Told("session.terminate", "Ada", "session", "terminated_by_admin"),),
    ),
    "logging a user out": (
        ada_does("POST", USERS + "/{mia}/logout"),
        (Told("user.logout", "Ada", "mia", "terminated_by_admin"),),
    ),
    "logging everybody out": (
        ada_does("POST", "/api/v1/logout", {"all_users": True}),
        (Told("account.logout", "Ada", "account", "terminated_by_admin"),),
    ),
    "making a key": (
        ada_does("POST", "/api/v1/keys", {"name": "till", "scopes": ["verify"]}),
        (Told("key.create", "Ada", "key"),),
    ),
    "revoking a key": (ada_revokes, (Told("key.revoke", "Ada", "key"),)),
}
BEFORE = {"resuming": 1, "inviting anew": 2, "a service begins a session": 2}
"""How many records the preparation leaves."""


@pytest.mark.parametrize("name", DONE)
async def test_what_is_done_is_written_down_once_with_who_whom_and_from_where(
    office: Office, name: str
) -> None:
    does, told = DONE[name]
    before = {record.number for record in await office.records()}
    await does(office)
    records = [record for record in await office.records() if record.number not in before]
    assert len(records) == len(told) + BEFORE.get(name, 0), records
    now = office.served.clock.now()
    for record, wanted in zip(records, told, strict=False):
        assert (record.type, record.outcome, record.reason) == (
            wanted.type,
            wanted.outcome,
            wanted.reason,
        )
        assert (now - record.at).total_seconds() <= 120
        assert record.account_id == office.served.account.id
        assert (record.actor.name or record.actor.kind).startswith(wanted.actor)
        assert record.target is not None
        named = record.target.name or ""
        assert record.target.kind == wanted.target or named.lower().startswith(wanted.target)
        assert record.origin.ip == wanted.ip
        assert record.origin.place is not None
        own = {office.ada.session_id, office.mia.session_id}
        match wanted.session:
            case "own":
                assert record.origin.session_id in own
                assert record.origin.device is not None
            case "target":
                assert record.origin.session_id == record.target.id
                assert record.origin.device is not None
            case _:
                assert record.origin.session_id is None


async def test_what_is_refused_is_not_written_down(office: Office) -> None:
    before = await office.records()
    ada, mia, served = office.at(office.ada), office.at(office.mia), office.served
    for answer in (
        await mia.post(USERS, {"email": "x@example.com"}),
        await mia.delete(f"{USERS}/{office.ada_user.id}"),
        await mia.delete(f"/api/v1/sessions/{office.ada.session_id}"),
        await mia.post(f"/api/v1/sessions/{office.ada.session_id}/report"),
        await ada.post(USERS, {"email": "mia@example.com"}),
        await ada.patch(f"{USERS}/{office.mia_user.id}", {"name": "x" * 300}),
        await ada.patch(f"{USERS}/{office.ada_user.id}", {"role": "member"}),
        await ada.delete(f"{USERS}/{office.ada_user.id}"),
        await ada.post(f"{USERS}/{office.mia_user.id}/invitation"),
        await ada.delete("/api/v1/keys/k_none"),
        await ada.post("/api/v1/keys", {"name": "", "scopes": ["verify"]}),
        await ada.post("/api/v1/logout", {}),
    ):
        assert answer.status_code in (403, 404, 409, 422), answer.text
    served.clock.advance(seconds=601)
    problem(await ada.delete(f"{USERS}/{office.mia_user.id}"), 401, "reauthentication_required")
    assert await office.records() == before
