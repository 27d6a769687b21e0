"""Who administers whom: the rules, and that a change is whole or not there at all."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from lastcall.audit import NOWHERE, Origin
from lastcall.errors import Conflict, Error, Forbidden, InvalidRequest, NotFound, SessionEnded
from lastcall.events import Actor
from lastcall.identity import roles
from lastcall.identity.administration import OPERATOR, Admin
from lastcall.identity.model import Profile, Role, ServiceKey, User
from lastcall.ids import AccountId, KeyId, SessionId, UserId
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from tests.support.fakes import START
from tests.support.nodes import BROWSER, SEEN, add_user, calls, sign_in
from tests.support.values import a_user

ROLES: tuple[Role, ...] = ("owner", "admin", "member")
EVERYTHING = base.RecordQuery(limit=1000)

# The rules


@pytest.mark.parametrize(
    ("role", "admins", "owns"),
    [
        ("owner", True, True),
        ("admin", True, False),
        ("member", False, False),
        ("", False, False),
        ("OWNER", False, False),
        ("root", False, False),
    ],
)
def test_an_owner_may_all_an_admin_some_and_everybody_else_nothing(
    role: str, admins: bool, owns: bool
) -> None:
    for rule, holds in ((roles.require_admin, admins), (roles.require_owner, owns)):
        if holds:
            rule(role)
        else:
            with pytest.raises(Forbidden):
                rule(role)


@pytest.mark.parametrize("target", ROLES)
@pytest.mark.parametrize("role", [*ROLES, "", "root"])
def test_on_an_owner_acts_an_owner_only_and_on_others_an_admin_too(role: str, target: Role) -> None:
    if role == "owner" or (role == "admin" and target != "owner"):
        roles.require_over(role, a_user(role=target))
    else:
        with pytest.raises(Forbidden):
            roles.require_over(role, a_user(role=target))


def test_nobody_does_to_themselves_what_only_others_may() -> None:
    ada = a_user()
    with pytest.raises(Forbidden, match="themselves"):
        roles.require_other(ada.id, ada)
    roles.require_other(UserId("u_else"), ada)
    roles.require_other(None, ada)


# Who is an admin


@pytest.fixture
async def owner(node: Node, ada: Tokens) -> Admin:
    """The owner as an admin."""
    return await admin_of(node, ada)


@pytest.fixture
async def people(node: Node, ada: Tokens) -> dict[str, User]:
    """A member, an admin and another owner."""
    chosen: dict[str, Role] = {"mia": "member", "grace": "admin", "olga": "owner"}
    return {
        name: await add_user(node, ada.user, f"{name}@example.com", role)
        for name, role in chosen.items()
    }


async def admin_of(node: Node, tokens: Tokens) -> Admin:
    caller = await calls(node, tokens)
    return Admin.of(caller, node.sessions.origin(caller, SEEN.ip))


async def state(node: Node, admin: Admin) -> object:
    """All that administration may touch."""
    listed = await node.administration.users(admin, limit=1000)
    return (
        listed,
        await node.store.list_records(EVERYTHING),
        await node.store.log_end(),
        [
            (one.user.id, (await node.sessions.list(one.user.id, "active")).sessions)
            for one in listed.profiles
        ],
    )


async def refused(
    node: Node, watcher: Admin, error: type[Error], work: Callable[[], Awaitable[object]]
) -> None:
    """It is refused, and nothing has changed."""
    before = await state(node, watcher)
    with pytest.raises(error):
        await work()
    assert await state(node, watcher) == before


async def test_a_member_is_no_admin(node: Node, people: dict[str, User]) -> None:
    caller = await calls(node, await sign_in(node, "mia@example.com"))
    with pytest.raises(Forbidden):
        Admin.of(caller, NOWHERE)


async def test_an_admin_is_known_by_name_and_place(node: Node, owner: Admin, ada: Tokens) -> None:
    assert owner.by == Actor("admin", ada.user.id, "Ada")
    assert (owner.account_id, owner.role, owner.user_id) == (
        ada.user.account_id,
        "owner",
        ada.user.id,
    )
    assert (owner.origin.session_id, owner.origin.ip) == (ada.session.id, SEEN.ip)


def test_a_service_and_the_command_line_are_owners_who_are_nobody() -> None:
    key = ServiceKey(KeyId("k_1"), AccountId("a_1"), "shop", ("sessions",), b"", START)
    service = Admin.service(key, Origin(ip="192.0.2.1"))
    assert (service.role, service.user_id) == ("owner", None)
    assert service.by == Actor("service", "k_1", "shop")


# Whose business it is


async def test_of_another_account_nobody_is_found(
    node: Node, owner: Admin, people: dict[str, User]
) -> None:
    account = await node.identity.add_account("Other")
    elsewhere = Admin.operator(account)
    work = node.administration
    mia = people["mia"].id
    one = (await sign_in(node, "mia@example.com")).session.id
    for attempt in (
        lambda: work.find(elsewhere, mia),
        lambda: work.invite(elsewhere, mia),
        lambda: work.change(elsewhere, mia, name="x", role="admin", suspended=True),
        lambda: work.remove(elsewhere, mia),
        lambda: work.sessions(elsewhere, mia, "active"),
        lambda: work.terminate(elsewhere, mia, one),
        lambda: work.preview(elsewhere, mia),
        lambda: work.log_out(elsewhere, mia),
        lambda: work.find(owner, UserId("u_nobody")),
        lambda: work.terminate(owner, people["grace"].id, one),
        lambda: work.terminate(owner, mia, SessionId("s_c1_none")),
    ):
        await refused(node, owner, NotFound, attempt)
    assert (await work.users(elsewhere)).profiles == ()
    found = await work.records(elsewhere, base.RecordQuery(account_id=owner.account_id))
    assert [record.type for record in found.records] == ["account.add"]


async def test_an_admin_touches_no_owner_and_no_role(
    node: Node, owner: Admin, people: dict[str, User]
) -> None:
    grace = await admin_of(node, await sign_in(node, "grace@example.com"))
    one = (await sign_in(node, "olga@example.com")).session.id
    olga, mia, work = people["olga"].id, people["mia"].id, node.administration
    for attempt in (
        lambda: work.invite(grace, olga),
        lambda: work.change(grace, olga, name="x"),
        lambda: work.change(grace, olga, suspended=True),
        lambda: work.remove(grace, olga),
        lambda: work.terminate(grace, olga, one),
        lambda: work.preview(grace, olga),
        lambda: work.log_out(grace, olga),
        lambda: work.change(grace, mia, role="admin"),
        lambda: work.change(grace, mia, role="member"),
        lambda: work.change(grace, mia, name="x", role="owner", suspended=True),
        lambda: work.add(grace, "new@example.com", None, "admin"),
        lambda: work.add(grace, "new@example.com", None, "owner"),
        lambda: work.log_out_all(grace, except_self=True),
    ):
        await refused(node, owner, Forbidden, attempt)
    added, _ = await work.add(grace, "new@example.com", "New", "member")
    assert (await work.change(grace, mia, suspended=True)).user.status == "suspended"
    await work.remove(grace, added.id)


async def test_nobody_suspends_removes_or_promotes_themselves(
    node: Node, owner: Admin, ada: Tokens, people: dict[str, User]
) -> None:
    me, work = ada.user.id, node.administration
    for attempt in (
        lambda: work.change(owner, me, suspended=True),
        lambda: work.change(owner, me, role="member"),
        lambda: work.change(owner, me, role="owner"),
        lambda: work.change(owner, me, name="x", role="member"),
        lambda: work.remove(owner, me),
    ):
        await refused(node, owner, Forbidden, attempt)
    assert (await work.change(owner, me, name="Ada L.")).user.name == "Ada L."


async def test_the_last_owner_stays_also_for_the_command_line_that_acts_as_an_admin(
    node: Node, owner: Admin, ada: Tokens
) -> None:
    (account,) = await node.store.list_accounts()
    work, operator = node.administration, Admin.operator(account)
    assert operator.by == OPERATOR
    for attempt in (
        lambda: work.change(operator, ada.user.id, role="member"),
        lambda: work.change(operator, ada.user.id, suspended=True),
        lambda: work.change(operator, ada.user.id, name="x", role="admin"),
        lambda: work.remove(operator, ada.user.id),
    ):
        await refused(node, owner, Conflict, attempt)


async def test_a_service_lists_nobody_and_finds_whom_it_can_name(node: Node, ada: Tokens) -> None:
    key, _ = await node.services.create(ada.user.account_id, "shop", ("sessions",))
    begun = await node.services.begin_session(key, "42", None, None, (), BROWSER, SEEN)
    service = Admin.service(key, NOWHERE)
    for text in ("", "a"):
        with pytest.raises(Forbidden):
            await node.administration.users(service, text)
    (one,) = (await node.administration.users(service, external_id="42")).profiles
    assert one.user.id == begun.user.id
    ended = await node.administration.log_out(service, begun.user.id)
    assert (ended.ended, ended.event.reason) == (1, "terminated_by_service")


# All or nothing


async def test_name_role_and_status_change_in_one_commit(
    node: Node, owner: Admin, people: dict[str, User]
) -> None:
    session = await sign_in(node, "mia@example.com")
    before = await node.store.list_records(EVERYTHING)
    changed = await node.administration.change(
        owner, people["mia"].id, name="Mia M.", role="admin", suspended=True
    )
    assert (changed.user.name, changed.user.role, changed.user.status) == (
        "Mia M.",
        "admin",
        "suspended",
    )
    records = await node.store.list_records(EVERYTHING)
    new = records[: len(records) - len(before)]
    assert [(one.type, one.reason) for one in reversed(new)] == [
        ("user.rename", None),
        ("user.change_role", "admin"),
        ("user.suspend", "user_suspended"),
    ]
    assert {(one.actor, one.origin.session_id) for one in new} == {
        (owner.by, owner.origin.session_id)
    }
    with pytest.raises(SessionEnded):
        await calls(node, session)
    again = await node.administration.change(
        owner, people["mia"].id, name="", role="member", suspended=False
    )
    assert (again.user.name, again.user.role, again.user.status) == (None, "member", "active")


async def test_what_is_as_it_was_is_no_change_and_leaves_no_record(
    node: Node, owner: Admin, people: dict[str, User]
) -> None:
    mia = people["mia"].id
    await node.administration.change(owner, mia, name="Mia")
    before = await state(node, owner)
    sames: tuple[dict[str, Any], ...] = (
        {},
        {"name": "Mia", "role": "member", "suspended": False},
        {"name": " Mia "},
    )
    for same in sames:
        await node.administration.change(owner, mia, **same)
    assert await state(node, owner) == before


@pytest.mark.parametrize("name", ["x" * 201, "\u202e", "a\nb", " "])
async def test_one_wrong_field_changes_none(
    node: Node, owner: Admin, people: dict[str, User], name: str
) -> None:
    await refused(
        node,
        owner,
        InvalidRequest,
        lambda: node.administration.change(
            owner, people["mia"].id, name=name, role="admin", suspended=True
        ),
    )


async def test_a_user_is_added_with_their_invitation_or_not_at_all(
    node: Node, owner: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = counted(node, monkeypatch)
    user, invitation = await node.administration.add(owner, "new@example.com", "New", "admin")
    assert [type(write).__name__ for write in commits[0]] == [
        "AddUser",
        "AddRecord",
        "AddSingleUse",
        "AddRecord",
    ]
    assert len(commits) == 1
    assert (user.role, user.password_changed_at) == ("admin", None)
    assert (await node.links.welcome(invitation.secret, None)).user == user
    await refused(
        node,
        owner,
        Conflict,
        lambda: node.administration.add(owner, "NEW@example.com", None, "member"),
    )
    assert (await node.links.welcome(invitation.secret, None)).user == user
    for email, name in (("no address", None), ("x@example.com", "\x00")):
        with pytest.raises(InvalidRequest):
            await node.administration.add(owner, email, name, "member")


# Races


def meanwhile(node: Node, monkeypatch: pytest.MonkeyPatch, *writes: base.Write) -> None:
    """Let something else be committed just before the next commit."""
    commit = node.store.commit
    waiting = list(writes)

    async def late(*own: base.Write, actor: SessionId | None = None) -> base.Committed:
        while waiting:
            await commit(waiting.pop(0))
        return await commit(*own, actor=actor)

    monkeypatch.setattr(node.store, "commit", late)


def counted(node: Node, monkeypatch: pytest.MonkeyPatch) -> list[tuple[base.Write, ...]]:
    """Note what is committed from now on."""
    commit = node.store.commit
    seen: list[tuple[base.Write, ...]] = []

    async def note(*own: base.Write, actor: SessionId | None = None) -> base.Committed:
        seen.append(own)
        return await commit(*own, actor=actor)

    monkeypatch.setattr(node.store, "commit", note)
    return seen


CHANGES: list[dict[str, Any]] = [
    {"name": "Else"},
    {"role": "admin"},
    {"suspended": True},
    {"name": "Else", "role": "admin", "suspended": True},
]


@pytest.mark.parametrize("change", CHANGES, ids="+".join)
async def test_somebody_removed_meanwhile_is_a_conflict_and_comes_back_as_nothing(
    node: Node,
    owner: Admin,
    people: dict[str, User],
    change: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mia = people["mia"]
    meanwhile(node, monkeypatch, base.RemoveUser(mia.id))
    before = await node.store.list_records(EVERYTHING)
    with pytest.raises(Conflict):
        await node.administration.change(owner, mia.id, **change)
    assert await node.store.list_records(EVERYTHING) == before
    with pytest.raises(NotFound):
        await node.administration.change(owner, mia.id, **change)


async def test_a_role_that_changed_meanwhile_is_a_conflict(
    node: Node, owner: Admin, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    mia = people["mia"]
    other = base.SetRole(mia.id, mia.account_id, "owner", "member", OPERATOR, node.clock.now())
    meanwhile(node, monkeypatch, other)
    with pytest.raises(Conflict):
        await node.administration.change(owner, mia.id, name="Else", role="admin")
    found = await node.store.find_user(mia.id)
    assert found is not None
    assert (found.role, found.name) == ("owner", mia.name)


async def test_whose_own_session_ended_meanwhile_changes_nothing(
    node: Node, owner: Admin, ada: Tokens, people: dict[str, User]
) -> None:
    """Rule 2: whoever acts must still be signed in, in the transaction of the act."""
    mia = people["mia"].id
    one = (await sign_in(node, "mia@example.com")).session.id
    invited, _ = await node.administration.add(owner, "new@example.com", None, "member")
    await node.sessions.endings.sign_out(ada.session.id)
    (account,) = await node.store.list_accounts()
    watcher, work = Admin.operator(account), node.administration
    for attempt in (
        lambda: work.add(owner, "late@example.com", None, "member"),
        lambda: work.invite(owner, invited.id),
        lambda: work.change(owner, mia, name="Else"),
        lambda: work.change(owner, mia, role="admin"),
        lambda: work.change(owner, mia, suspended=True),
        lambda: work.change(owner, mia, name="Else", suspended=True),
        lambda: work.remove(owner, mia),
        lambda: work.terminate(owner, mia, one),
        lambda: work.log_out(owner, mia),
        lambda: work.log_out_all(owner, except_self=True),
        lambda: work.log_out_all(owner, except_self=False),
        lambda: work.record_export(owner),
    ):
        before = await state(node, watcher)
        with pytest.raises((Conflict, SessionEnded)):
            await attempt()
        assert await state(node, watcher) == before
    await work.change(watcher, mia, suspended=True)
    before = await state(node, watcher)
    with pytest.raises(Conflict):
        await work.change(owner, mia, suspended=False)
    assert await state(node, watcher) == before


async def test_everybody_is_out_but_who_asks_and_only_if_they_say_so(
    node: Node, owner: Admin, ada: Tokens, people: dict[str, User]
) -> None:
    mias, gone = await sign_in(node, "mia@example.com"), await sign_in(node)
    first = await node.administration.log_out_all(owner, except_self=True)
    assert first.ended == 2
    await calls(node, ada)
    for tokens in (mias, gone):
        with pytest.raises(SessionEnded):
            await calls(node, tokens)
    second = await node.administration.log_out_all(owner, except_self=False)
    assert second.ended == 1
    with pytest.raises(SessionEnded):
        await calls(node, ada)
    (record, *_) = await node.store.list_records(base.RecordQuery(types=("account.logout",)))
    assert (record.actor, record.target and record.target.name) == (owner.by, "Acme")


# Lists


async def test_lists_tell_where_they_go_on(
    node: Node, owner: Admin, people: dict[str, User]
) -> None:
    whole = (await node.administration.users(owner)).profiles
    paged: list[Profile] = []
    before = None
    while True:
        page = await node.administration.users(owner, before=before, limit=2)
        paged += page.profiles
        if page.next is None:
            break
        before = page.next
    assert tuple(paged) == whole
    assert len(whole) == 4
    assert (await node.administration.users(owner, " GRACE@ ")).profiles == (
        await node.administration.find(owner, people["grace"].id),
    )
    query = base.RecordQuery(limit=3)
    numbers: list[int] = []
    while True:
        part = await node.administration.records(owner, query)
        numbers += [record.number for record in part.records]
        if part.next is None:
            break
        query = replace(query, before=part.next)
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == await node.administration.count_records(owner, query)


async def test_who_is_suspended_is_not_suspended_again(
    node: Node, owner: Admin, people: dict[str, User]
) -> None:
    name = next(name for name, user in people.items() if user.role == "member")
    ended = await node.administration.suspend(owner, people[name].id)
    assert ended.event.reason == "user_suspended"
    with pytest.raises(Conflict):
        await node.administration.suspend(owner, people[name].id)
