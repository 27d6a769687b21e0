"""Activity and the audit log: what is written of each thing that is done, and who may read what."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from lastcall.audit import Record
from lastcall.digests import encode
from lastcall.identity.model import User
from lastcall.stores.base import RecordQuery
from tests.http.serving import CHROME, Native, Served, faults, problem
from tests.support.nodes import PASSWORD

ACTIVITY = "/api/v1/activity"
AUDIT = "/api/v1/audit"
USERS = "/api/v1/users"
HERE = "81.2.69.142"
ELSEWHERE = "192.0.2.77"
NEW = "another sentence of mine"


@dataclass
class Scene:
    """An owner, Ada; a member, Mia, with two sessions; and a service."""

    served: Served
    ada: Native
    mia: Native
    old: Native
    """Mia's other session."""
    ada_user: User
    mia_user: User
    key: str

    def at(self, native: Native, ip: str = ELSEWHERE) -> Native:
        """Give the client as it calls from another address."""
        client = self.served.client({"User-Agent": CHROME}, peer=ip)
        return replace(native, client=client)

    async def service(self) -> httpx.AsyncClient:
        return self.served.client({"Authorization": f"Bearer {self.key}"}, peer=ELSEWHERE)

    async def records(self) -> tuple[Record, ...]:
        return await self.served.node.store.list_records(RecordQuery(limit=200))


@pytest.fixture
async def scene(served: Served) -> Scene:
    mia = await served.add_user("mia@example.com")
    key = await served.key("sessions")
    return Scene(
        served,
        await served.native(),
        await served.native("mia@example.com"),
        await served.native("mia@example.com"),
        served.ada,
        mia,
        key,
    )


Does = Callable[[Scene], Awaitable[httpx.Response]]


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
    return lambda scene: _do(scene, scene.at(scene.mia), method, path, body)


def ada_does(method: str, path: str, body: object = None) -> Does:
    return lambda scene: _do(scene, scene.at(scene.ada), method, path, body)


async def _do(scene: Scene, native: Native, method: str, path: str, body: object) -> httpx.Response:
    path = path.format(mia=scene.mia_user.id, old=scene.old.session_id)
    more: dict[str, Any] = {} if body is None else {"json": body}
    return await native.client.request(method, path, headers=native.auth, **more)


def signs_in(password: str, email: str = "mia@example.com") -> Does:
    async def does(scene: Scene) -> httpx.Response:
        client = scene.at(scene.mia).client
        return await client.post("/api/v1/sign-in", json={"email": email, "password": password})

    return does


def refreshes(count: int, ip: str) -> Does:
    """Refresh Mia's session with her first token, so often, with a minute between."""

    async def does(scene: Scene) -> httpx.Response:
        client = scene.served.client({"User-Agent": CHROME}, peer=ip)
        response = httpx.Response(500)
        for turn in range(count):
            own = "127.0.0.1" if turn < count - 1 else ip
            client = scene.served.client({"User-Agent": CHROME}, peer=own)
            body = {"refresh_token": scene.mia.refresh}
            response = await client.post("/api/v1/refresh", json=body)
            scene.served.clock.advance(seconds=60)
        return response

    return does


async def expires(scene: Scene) -> httpx.Response:
    scene.served.clock.advance(hours=25)
    client = scene.at(scene.mia).client
    return await client.post("/api/v1/refresh", json={"refresh_token": scene.mia.refresh})


async def signs_out_by_nothing(scene: Scene) -> httpx.Response:
    return await scene.at(scene.mia).client.post("/api/v1/sign-out")


async def service_begins(scene: Scene) -> httpx.Response:
    client = {"ip": HERE, "user_agent": CHROME}
    body = {"user": {"external_id": "9"}, "client": client}
    service = await scene.service()
    first = await service.post("/api/v1/sessions", json=body)
    assert first.status_code == 200
    scene.served.clock.advance(seconds=1)
    return await service.post("/api/v1/sessions", json=body)


async def service_ends(scene: Scene) -> httpx.Response:
    return await (await scene.service()).delete(f"/api/v1/sessions/{scene.old.session_id}")


async def service_logs_out(scene: Scene) -> httpx.Response:
    return await (await scene.service()).post(f"{USERS}/{scene.mia_user.id}/logout")


async def ada_resumes(scene: Scene) -> httpx.Response:
    ada, path = scene.at(scene.ada), f"{USERS}/{scene.mia_user.id}"
    await ada.patch(path, {"status": "suspended"})
    return await ada.patch(path, {"status": "active"})


async def ada_invites_anew(scene: Scene) -> httpx.Response:
    ada = scene.at(scene.ada)
    added = (await ada.post(USERS, {"email": "bob@example.com"})).json()
    return await ada.post(f"{USERS}/{added['id']}/invitation")


async def ada_revokes(scene: Scene) -> httpx.Response:
    ada = scene.at(scene.ada)
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
    scene: Scene, name: str
) -> None:
    does, told = DONE[name]
    before = {record.number for record in await scene.records()}
    await does(scene)
    records = [record for record in await scene.records() if record.number not in before]
    assert len(records) == len(told) + BEFORE.get(name, 0), records
    now = scene.served.clock.now()
    for record, wanted in zip(records, told, strict=False):
        assert (record.type, record.outcome, record.reason) == (
            wanted.type,
            wanted.outcome,
            wanted.reason,
        )
        assert (now - record.at).total_seconds() <= 120
        assert record.account_id == scene.served.account.id
        assert (record.actor.name or record.actor.kind).startswith(wanted.actor)
        assert record.target is not None
        named = record.target.name or ""
        assert record.target.kind == wanted.target or named.lower().startswith(wanted.target)
        assert record.origin.ip == wanted.ip
        assert record.origin.place is not None
        own = {scene.ada.session_id, scene.mia.session_id}
        match wanted.session:
            case "own":
                assert record.origin.session_id in own
                assert record.origin.device is not None
            case "target":
                assert record.origin.session_id == record.target.id
                assert record.origin.device is not None
            case _:
                assert record.origin.session_id is None


async def test_what_is_refused_is_not_written_down(scene: Scene) -> None:
    before = await scene.records()
    ada, mia, served = scene.at(scene.ada), scene.at(scene.mia), scene.served
    for answer in (
        await mia.post(USERS, {"email": "x@example.com"}),
        await mia.delete(f"{USERS}/{scene.ada_user.id}"),
        await mia.delete(f"/api/v1/sessions/{scene.ada.session_id}"),
        await mia.post(f"/api/v1/sessions/{scene.ada.session_id}/report"),
        await ada.post(USERS, {"email": "mia@example.com"}),
        await ada.patch(f"{USERS}/{scene.mia_user.id}", {"name": "x" * 300}),
        await ada.patch(f"{USERS}/{scene.ada_user.id}", {"role": "member"}),
        await ada.delete(f"{USERS}/{scene.ada_user.id}"),
        await ada.post(f"{USERS}/{scene.mia_user.id}/invitation"),
        await ada.delete("/api/v1/keys/k_none"),
        await ada.post("/api/v1/keys", {"name": "", "scopes": ["verify"]}),
        await ada.post("/api/v1/logout", {}),
    ):
        assert answer.status_code in (403, 404, 409, 422), answer.text
    served.clock.advance(seconds=601)
    problem(await ada.delete(f"{USERS}/{scene.mia_user.id}"), 401, "reauthentication_required")
    assert await scene.records() == before


# Who may read what.


async def test_an_event_has_all_that_the_contract_names(scene: Scene) -> None:
    session = (await signs_in(PASSWORD)(scene)).json()["session"]
    (seen, *_) = (await scene.ada.get(AUDIT)).json()["events"]
    assert seen == {
        "id": seen["id"],
        "at": "2026-03-01T12:00:00Z",
        "type": "session.sign_in",
        "outcome": "success",
        "actor": {"kind": "user", "id": scene.mia_user.id, "name": "mia@example.com"},
        "target": {"kind": "session", "id": session["id"], "name": "Chrome on Windows"},
        "session_id": session["id"],
        "device": session["device"],
        "location": session["location"],
        "ip": ELSEWHERE,
        "reason": None,
    }
    mine = (await scene.mia.get(ACTIVITY)).json()["events"]
    assert mine[0] == seen


async def test_somebody_s_activity_is_what_concerns_them_and_nobody_else(scene: Scene) -> None:
    await scene.ada.patch(f"{USERS}/{scene.mia_user.id}", {"name": "Mia"})
    mine = (await scene.mia.get(ACTIVITY)).json()["events"]
    assert [one["type"] for one in mine] == [
        "user.rename",
        "session.sign_in",
        "session.sign_in",
        "user.add",
    ]
    theirs = (await scene.ada.get(ACTIVITY)).json()["events"]
    assert scene.mia_user.id not in str(theirs)


async def test_a_user_learns_who_acted_on_them_and_not_from_where(scene: Scene) -> None:
    """The audit log says both; the address of an admin is not a member's to know."""
    ada, service = scene.at(scene.ada), await scene.service()
    await ada.delete(f"{USERS}/{scene.mia_user.id}/sessions/{scene.old.session_id}")
    await service.post(f"{USERS}/{scene.mia_user.id}/logout")
    mia = await scene.served.native("mia@example.com")
    answer = await mia.get(ACTIVITY)
    assert ELSEWHERE not in answer.text
    assert scene.ada.session_id not in answer.text
    by_service, by_ada = answer.json()["events"][1:3]
    assert by_ada["actor"] == {"kind": "admin", "id": scene.ada_user.id, "name": "Ada"}
    assert by_service["actor"]["name"] == "shop"
    for one in (by_ada, by_service):
        hidden = (one["session_id"], one["device"], one["location"], one["ip"])
        assert hidden == (None, None, None, None)
    logged = (await scene.ada.get(AUDIT)).json()["events"]
    assert [one["ip"] for one in logged[1:3]] == [ELSEWHERE, ELSEWHERE]
    assert logged[2]["session_id"] == scene.ada.session_id


async def test_a_user_sees_where_their_own_doings_and_attempts_at_them_came_from(
    scene: Scene,
) -> None:
    await signs_in("wrong")(scene)
    started = await scene.served.start_external("9")
    mine = (await scene.mia.get(ACTIVITY)).json()["events"][0]
    assert (mine["outcome"], mine["reason"], mine["ip"]) == (
        "failure",
        "invalid_credentials",
        ELSEWHERE,
    )
    assert mine["device"]["label"] == "Chrome on Windows"
    begun = (await started.get(ACTIVITY)).json()["events"][0]
    assert (begun["actor"]["kind"], begun["ip"]) == ("service", HERE)
    # An admin's own session, ended as an admin, was ended from where they know they are.
    own = f"{USERS}/{scene.ada_user.id}/logout"
    await scene.at(scene.ada).post(own)
    ada = await scene.served.native()
    assert (await ada.get(ACTIVITY)).json()["events"][1]["ip"] == ELSEWHERE


# Reporting.


async def test_a_session_that_is_reported_ends_and_the_admins_see_it(scene: Scene) -> None:
    path = f"/api/v1/sessions/{scene.old.session_id}/report"
    assert (await scene.mia.post(path)).json()["ended"] == 1
    refused = problem(await scene.old.get("/api/v1/session"), 401, "session_ended")
    assert refused["reason"] == "reported"
    (seen,) = (await scene.ada.get(f"{AUDIT}?type=session.report")).json()["events"]
    assert seen["target"]["id"] == scene.old.session_id
    assert seen["session_id"] == scene.mia.session_id
    # A second time there is nothing left to say.
    assert (await scene.mia.post(path)).json()["ended"] == 0
    assert len((await scene.ada.get(f"{AUDIT}?type=session.report")).json()["events"]) == 1


async def test_a_session_that_had_ended_keeps_its_ending_and_is_reported_all_the_same(
    scene: Scene,
) -> None:
    """A thief may have signed out already."""
    await scene.old.post("/api/v1/sign-out")
    path = f"/api/v1/sessions/{scene.old.session_id}/report"
    assert (await scene.mia.post(path)).json()["ended"] == 0
    refused = problem(await scene.old.get("/api/v1/session"), 401, "session_ended")
    assert refused["reason"] == "signed_out"
    (seen,) = (await scene.ada.get(f"{AUDIT}?type=session.report")).json()["events"]
    assert (seen["reason"], seen["actor"]["id"]) == ("reported", scene.mia_user.id)


async def test_one_s_own_session_may_be_reported_too(scene: Scene) -> None:
    assert (await scene.mia.post(f"/api/v1/sessions/{scene.mia.session_id}/report")).is_success
    refused = problem(await scene.mia.get("/api/v1/session"), 401, "session_ended")
    assert (refused["reason"], refused["ended_by"]) == ("reported", {"kind": "self", "name": None})


async def test_reporting_needs_a_fresh_proof(scene: Scene) -> None:
    scene.served.clock.advance(seconds=601)
    path = f"/api/v1/sessions/{scene.old.session_id}/report"
    problem(await scene.mia.post(path), 401, "reauthentication_required")
    assert (await scene.old.get("/api/v1/session")).status_code == 200


# Filters and pages.


async def test_the_audit_log_is_filtered_by_type_outcome_person_and_time(scene: Scene) -> None:
    await signs_in("wrong")(scene)
    scene.served.clock.advance(seconds=60)
    await scene.ada.patch(f"{USERS}/{scene.mia_user.id}", {"name": "Mia"})
    everything = (await scene.ada.get(f"{AUDIT}?limit=200")).json()["events"]

    async def found(query: str) -> list[dict[str, Any]]:
        answer = await scene.ada.get(f"{AUDIT}?{query}")
        assert answer.status_code == 200, answer.text
        events: list[dict[str, Any]] = answer.json()["events"]
        return events

    ins = [one for one in everything if one["type"] == "session.sign_in"]
    both = [one for one in everything if one["type"] in ("session.sign_in", "user.rename")]
    assert await found("type=session.sign_in") == ins
    assert await found("type=session.sign_in,user.rename") == both
    assert await found("type=user.rename&type=session.sign_in") == both
    assert await found("type=") == everything
    assert [one["outcome"] for one in await found("outcome=failure")] == ["failure"]
    assert await found("outcome=failure&type=user.rename") == []
    mine = [
        one
        for one in everything
        if scene.mia_user.id in (one["actor"]["id"], (one["target"] or {}).get("id"))
    ]
    assert [one for one in await found(f"person={scene.mia_user.id}") if one in mine] == mine
    (renamed,) = await found("since=2026-03-01T12:01:00Z")
    assert renamed["type"] == "user.rename"
    assert await found("since=2026-03-01T13:01:00%2B01:00") == [renamed]
    assert await found("until=2026-03-01T12:01:00Z") == everything[1:]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=session.nothing", "type[0]"),
        ("outcome=maybe", "outcome"),
        ("since=yesterday", "since"),
        ("since=2026-03-01T12:00:00", "since"),
        ("until=2026-13-01T12:00:00Z", "until"),
        ("since=0.5", "since"),
        ("until=253402300800", "until"),  # a second after the last one that Python knows
        ("outcome=success&outcome=failure", "outcome"),
        ("person=" + "u" * 81, "person"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("before=x", "before"),
    ],
)
async def test_a_filter_that_is_wrong_is_named(scene: Scene, query: str, field: str) -> None:
    response = await scene.ada.get(f"{AUDIT}?{query}")
    problem(response, 422, "invalid_request")
    assert [at for at, _ in faults(response)] == [field]


LISTS = {
    "users": USERS,
    "events": AUDIT,
    "keys": "/api/v1/keys",
    "sessions": "/api/v1/users/{mia}/sessions",
}


async def more(scene: Scene, noun: str, count: int) -> None:
    """Add so many rows to a list."""
    for number in range(count):
        scene.served.clock.advance(seconds=0.001)
        match noun:
            case "users":
                name = f"{scene.served.clock.now().timestamp()}-{number}@example.com"
                await scene.served.add_user(name)
            case "keys":
                await scene.served.key("verify")
            case _:
                await scene.served.native("mia@example.com")


@pytest.mark.parametrize("noun", LISTS)
async def test_walking_a_list_shows_each_row_once_also_while_some_are_added(
    scene: Scene, noun: str
) -> None:
    await more(scene, noun, 7)
    path = LISTS[noun].format(mia=scene.mia_user.id)
    whole = (await scene.ada.get(f"{path}?limit=200")).json()
    assert whole["next"] is None
    rows = [row["id"] for row in whole[noun]]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await scene.ada.get(f"{path}?limit=2{cursor}")).json()
        assert 1 <= len(page[noun]) <= 2
        seen += [row["id"] for row in page[noun]]
        cursor = f"&before={page['next']}" if page["next"] else None
        if len(seen) == 4:
            await more(scene, noun, 1)
    assert len(set(seen)) == len(seen)
    assert seen[: len(rows)] == rows
    assert len(seen) - len(rows) == (1 if noun == "keys" else 0)  # oldest first


async def test_a_cursor_of_one_list_is_of_no_use_to_another(scene: Scene) -> None:
    paths = {noun: path.format(mia=scene.mia_user.id) for noun, path in LISTS.items()}
    for noun in paths:
        await more(scene, noun, 2)
    cursors = {
        noun: (await scene.ada.get(f"{path}?limit=1")).json()["next"]
        for noun, path in paths.items()
    }
    for noun, cursor in cursors.items():
        for other, path in (*paths.items(), ("activity", ACTIVITY), ("none", "/api/v1/services")):
            answer = await scene.ada.get(f"{path}?before={cursor}")
            if noun == other or (noun, other) == ("events", "activity"):
                assert answer.status_code == 200
            else:
                problem(answer, 422, "invalid_request")
                assert faults(answer) == [("before", "invalid")]


@pytest.mark.parametrize(
    "place", [b"records:x", b"records:1.5", b"records:", b"records:" + b"9" * 19]
)
async def test_a_cursor_that_nobody_gave_is_refused(scene: Scene, place: bytes) -> None:
    problem(await scene.ada.get(f"{AUDIT}?before={encode(place)}"), 422, "invalid_request")


@pytest.mark.parametrize("noun", [*LISTS, "activity"])
async def test_a_longer_list_takes_no_more_statements(
    scene: Scene, noun: str, statements: list[str]
) -> None:
    path = {**LISTS, "activity": ACTIVITY}[noun].format(mia=scene.mia_user.id)
    counts = []
    for _ in range(2):
        statements.clear()
        assert (await scene.ada.get(path)).status_code == 200
        counts.append(len(statements))
        await more(scene, noun, 5)
    assert counts[0] == counts[1] <= 3
