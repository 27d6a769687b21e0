"""Accounts, users and what proves them, on a real store."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from lastcall.errors import (
    Conflict,
    Error,
    Forbidden,
    InvalidCredentials,
    InvalidRequest,
    InvalidToken,
    NotFound,
    SessionEnded,
    TokenMissing,
)
from lastcall.events import Actor
from lastcall.identity.model import Role, ServiceKey
from lastcall.identity.names import NAME_LENGTH, check_name
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.ids import SessionId, UserId
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.sessions.model import Client
from lastcall.stores import base
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import (
    BROWSER,
    DATABASE,
    EMAIL,
    NATIVE,
    PASSWORD,
    SEEN,
    add_user,
    calls,
    open_node,
    set_up,
    sign_in,
)
from tests.support.values import everybody

NEW = "a much better one"
ADMIN = Actor("admin", "u_admin", "Grace")


class PausedPasswords(Passwords):
    """Passwords that, once armed, have done their work and stop before they tell."""

    def __init__(self) -> None:
        super().__init__(CHEAP, threads=2)
        self.armed = False
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def verify(self, stored: str | None, password: str) -> str | None:
        result = await super().verify(stored, password)
        await self._pause()
        return result

    async def hash(self, password: str) -> str:
        result = await super().hash(password)
        await self._pause()
        return result

    async def _pause(self) -> None:
        if self.armed:
            self.armed = False
            self.reached.set()
            await self.go.wait()


@pytest.fixture
def paused() -> PausedPasswords:
    return PausedPasswords()


@pytest.fixture
async def slow(
    node: Node, tmp_path: Path, clock: FakeClock, paused: PausedPasswords
) -> AsyncIterator[Node]:
    """Another process of the same server, whose hashing can be paused."""
    opened = await open_node(tmp_path, clock, FakeEntropy("slow"), passwords=paused)
    yield opened
    await opened.close()


async def during(
    paused: PausedPasswords, work: Awaitable[object], meanwhile: Callable[[], Awaitable[object]]
) -> object:
    """Do something while some work stands between its hashing and its commit; give what the work
    gave or raised."""
    paused.armed = True
    task = asyncio.ensure_future(work)
    await asyncio.wait_for(paused.reached.wait(), 10)
    await meanwhile()
    paused.go.set()
    return (await asyncio.gather(task, return_exceptions=True))[0]


# Setting up


async def test_the_first_start_offers_a_link_that_makes_the_owner(node: Node) -> None:
    tokens = await set_up(node)
    caller = await calls(node, tokens)
    assert (caller.role, caller.user.email) == ("owner", EMAIL)
    assert [one.name for one in await node.store.list_accounts()] == ["Acme"]
    assert await node.links.offer_setup() is None


async def test_a_set_up_link_works_once(node: Node) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None

    def use(number: int) -> Awaitable[Tokens]:
        return node.links.set_up(
            offered[0], f"Acme {number}", None, f"a{number}@example.com", PASSWORD, BROWSER, SEEN
        )

    given = await asyncio.gather(*(use(number) for number in range(16)), return_exceptions=True)
    assert len([one for one in given if isinstance(one, Tokens)]) == 1
    assert len([one for one in given if isinstance(one, NotFound)]) == 15
    accounts = await node.store.list_accounts()
    assert len(accounts) == 1
    assert len(await node.store.list_users(everybody(accounts[0].id))) == 1


async def test_a_newer_set_up_link_stops_the_older(node: Node) -> None:
    older = await node.links.offer_setup()
    newer = await node.links.offer_setup()
    assert older is not None
    assert newer is not None
    with pytest.raises(NotFound):
        await node.links.require_setup(older[0], None)
    await node.links.require_setup(newer[0], None)


async def test_a_set_up_link_runs_out(node: Node, clock: FakeClock) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None
    clock.advance(seconds=offered[1].total_seconds() - 1)
    await node.links.require_setup(offered[0], None)
    clock.advance(seconds=1)
    with pytest.raises(NotFound):
        await node.links.require_setup(offered[0], None)


async def test_looking_at_a_set_up_link_does_not_use_it_up(node: Node) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None
    for _ in range(3):
        await node.links.require_setup(offered[0], None)


async def test_a_set_up_link_makes_no_second_organisation(
    node: Node, slow: Node, paused: PausedPasswords
) -> None:
    """The command line has made the first while the password was hashed."""
    offered = await slow.links.offer_setup()
    assert offered is not None

    async def command_line() -> None:
        account = await node.identity.add_account("Made first")
        await node.identity.add_user(account.id, "first@example.com", password=PASSWORD)

    work = slow.links.set_up(offered[0], "Acme", None, EMAIL, PASSWORD, BROWSER, SEEN)
    assert isinstance(await during(paused, work, command_line), NotFound)
    assert len(await node.store.list_accounts()) == 1


@pytest.mark.parametrize("secret", ["", "x", "\ud800", "a" * 10_000])
async def test_a_made_up_link_is_not_found(node: Node, secret: str) -> None:
    with pytest.raises(NotFound):
        await node.links.require_setup(secret, None)
    with pytest.raises(NotFound):
        await node.links.welcome(secret, None)
    with pytest.raises(NotFound):
        await node.links.accept(secret, PASSWORD, BROWSER, SEEN)


async def test_a_set_up_that_is_refused_leaves_the_link_good(node: Node) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None
    for name, email, password in [
        (" ", EMAIL, PASSWORD),
        ("Acme", "nobody", PASSWORD),
        ("Acme", EMAIL, "short"),
        ("Acme", EMAIL, EMAIL),
    ]:
        with pytest.raises(InvalidRequest):
            await node.links.set_up(offered[0], name, None, email, password, BROWSER, SEEN)
    assert await node.store.list_accounts() == ()
    await node.links.set_up(offered[0], "Acme", None, EMAIL, PASSWORD, BROWSER, SEEN)


# Signing in


@pytest.mark.parametrize("email", [EMAIL, "ADA@Example.com", "\uff41da@example.com"])
async def test_every_spelling_of_the_address_signs_in(node: Node, ada: Tokens, email: str) -> None:
    tokens = await sign_in(node, email)
    assert tokens.user.id == ada.user.id
    assert tokens.session.amr == ("pwd",)


async def test_wrong_unknown_suspended_and_without_a_password_are_one_answer_and_one_work(
    tmp_path: Path, clock: FakeClock
) -> None:
    class Counting(PasswordHasher):
        done = 0

        def verify(self, *arguments: object) -> bool:  # type: ignore[override]
            type(self).done += 1
            return super().verify(*arguments)  # type: ignore[arg-type]

    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    node = await open_node(tmp_path, clock, FakeEntropy(), passwords=Passwords(hasher, 1))
    ada = await set_up(node)
    bob = await add_user(node, ada.user, "bob@example.com")
    await node.identity.suspend(bob, ADMIN)
    await node.identity.add_user(ada.user.account_id, "eve@example.com")
    answers = set()
    for email, password in [
        (EMAIL, "wrong"),
        (EMAIL, ""),
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        ("bob@example.com", PASSWORD),
        ("bob@example.com", "wrong"),
        ("eve@example.com", PASSWORD),
        ("eve@example.com", "nobody's"),
    ]:
        Counting.done = 0
        with pytest.raises(InvalidCredentials) as caught:
            await sign_in(node, email, password)
        answers.add((str(caught.value), Counting.done))
    assert answers == {(InvalidCredentials.text, 1)}
    await node.close()


async def test_a_sign_in_as_nobody_is_the_same_work_as_a_wrong_password_and_leaves_no_row(
    node: Node, ada: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same commits of one write each (ASVS 6.3.8), so that neither time nor growth tells who is
    there; nor is kept what was typed, which may be a password in the wrong field."""
    commit = node.store.commit
    commits: list[tuple[base.Write, ...]] = []

    async def note(*writes: base.Write, actor: SessionId | None = None) -> base.Committed:
        commits.append(writes)
        return await commit(*writes, actor=actor)

    def rows() -> dict[str, int]:
        with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
            found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return {
                name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
                for (name,) in found
            }

    monkeypatch.setattr(node.store, "commit", note)
    before, work = rows(), []
    for email in ("nobody@example.com", "my secret in the wrong field", "", EMAIL):
        commits.clear()
        with pytest.raises(InvalidCredentials):
            await sign_in(node, email, "wrong")
        work.append([len(writes) for writes in commits])
        grown = {name for name, number in rows().items() if number != before[name]}
        # Attempts are counted for whatever was typed, in slots of a fixed number.
        assert grown - {"throttle"} == ({"audit"} if email == EMAIL else set())
    assert work == [[1, 1]] * 4
    assert await node.store.count_unknown_sign_ins() == 3
    (record, *_) = await node.store.list_records(base.RecordQuery())
    assert (record.type, record.outcome, record.reason, record.user_id) == (
        "session.sign_in",
        "failure",
        "invalid_credentials",
        ada.user.id,
    )


async def test_a_hash_of_older_parameters_is_replaced_at_the_next_sign_in(
    node: Node, ada: Tokens, tmp_path: Path, clock: FakeClock
) -> None:
    before = await node.store.password_hash(ada.user.id)
    newer = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1)
    other = await open_node(tmp_path, clock, FakeEntropy("o"), passwords=Passwords(newer, 1))
    await sign_in(other)
    after = await node.store.password_hash(ada.user.id)
    assert before is not None
    assert after is not None
    assert after.password_hash != before.password_hash
    assert "m=16" in (after.password_hash or "")
    assert after.user.password_changed_at == before.user.password_changed_at
    await calls(node, ada)
    await sign_in(other)
    await other.close()


async def test_a_sign_in_under_way_gains_nothing_from_a_password_that_was_changed_meanwhile(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens, clock: FakeClock
) -> None:
    caller = await calls(node, ada)
    clock.advance(seconds=1)

    async def change() -> None:
        await node.identity.change_password(caller, PASSWORD, NEW, terminate_others=False)

    assert isinstance(await during(paused, sign_in(slow), change), Conflict)
    assert await node.sessions.count(ada.user.id) == 1


@pytest.mark.parametrize("what", ["changed", "logged out", "suspended", "suspended and resumed"])
async def test_a_sign_in_under_way_when_the_user_s_sessions_end_gains_nothing(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens, what: str, clock: FakeClock
) -> None:
    user = ada.user
    caller = await calls(node, ada)
    clock.advance(seconds=1)

    async def meanwhile() -> None:
        match what:
            case "changed":
                await node.identity.change_password(caller, PASSWORD, NEW)
            case "logged out":
                await node.sessions.endings.terminate_all(
                    user.id, user.account_id, "terminated_by_admin", ADMIN
                )
            case _:
                await node.identity.suspend(user, ADMIN)
                if what == "suspended and resumed":
                    await node.identity.resume(user)

    assert isinstance(await during(paused, sign_in(slow), meanwhile), Conflict)
    assert await node.sessions.count(user.id) == (1 if what == "changed" else 0)


async def test_a_change_of_one_s_own_session_disturbs_no_other_sign_in(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens
) -> None:
    tokens = await during(
        paused, sign_in(slow), lambda: node.sessions.endings.sign_out(ada.session.id)
    )
    assert isinstance(tokens, Tokens)
    await calls(node, tokens)


# A fresh proof, and changing the password


async def test_the_password_is_a_fresh_proof(node: Node, ada: Tokens, clock: FakeClock) -> None:
    clock.advance(seconds=900)
    tokens = await node.identity.reauthenticate(await calls(node, ada), PASSWORD)
    node.sessions.require_fresh(await calls(node, tokens))
    assert tokens.session.id == ada.session.id


async def test_a_wrong_password_is_no_proof_and_changes_nothing(node: Node, ada: Tokens) -> None:
    caller = await calls(node, ada)
    with pytest.raises(InvalidCredentials):
        await node.identity.reauthenticate(caller, "wrong")
    with pytest.raises(InvalidCredentials):
        await node.identity.change_password(caller, "wrong", NEW)
    assert (await calls(node, ada)).session == ada.session
    await sign_in(node)


async def test_an_old_password_under_way_is_no_proof_once_it_was_changed(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens, clock: FakeClock
) -> None:
    """Whoever took over a session must not confirm it with a password that no longer holds."""
    taken = await sign_in(node)
    caller, thief = await calls(node, ada), await calls(slow, taken)
    clock.advance(seconds=1)

    async def change() -> None:
        await node.identity.change_password(caller, PASSWORD, NEW, terminate_others=False)

    got = await during(paused, slow.identity.reauthenticate(thief, PASSWORD), change)
    assert isinstance(got, Conflict | InvalidCredentials)


async def test_changing_the_password_ends_the_others_and_renews_one_s_own(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    other = await sign_in(node)
    clock.advance(seconds=1)
    tokens, done = await node.identity.change_password(await calls(node, ada), PASSWORD, NEW)
    assert done is not None
    assert (done.ended, done.event.reason) == (1, "password_changed")
    assert tokens.session.id == ada.session.id
    await calls(node, tokens)
    with pytest.raises(SessionEnded) as caught:
        await calls(node, other)
    assert caught.value.reason == "password_changed"
    for old in (ada.access_token,):
        with pytest.raises(InvalidToken):
            await node.sessions.authenticate(old)
    with pytest.raises(InvalidToken):
        await node.sessions.refresh(ada.refresh_token, None)
    with pytest.raises(InvalidCredentials):
        await sign_in(node)
    await sign_in(node, password=NEW)


async def test_changing_the_password_may_leave_the_others(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    other = await sign_in(node)
    clock.advance(seconds=1)
    tokens, done = await node.identity.change_password(
        await calls(node, ada), PASSWORD, NEW, terminate_others=False
    )
    assert done is None
    await calls(node, other)
    await calls(node, tokens)


async def test_a_new_password_must_be_a_good_one(node: Node, ada: Tokens) -> None:
    caller = await calls(node, ada)
    for new in ("short", EMAIL, "password123", "x" * 1025):
        with pytest.raises(InvalidRequest):
            await node.identity.change_password(caller, PASSWORD, new)
    await sign_in(node)


async def test_of_two_changes_at_once_one_holds(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens, clock: FakeClock
) -> None:
    other = await sign_in(node)
    mine, theirs = await calls(node, ada), await calls(slow, other)
    clock.advance(seconds=1)

    async def first() -> None:
        await node.identity.change_password(mine, PASSWORD, NEW, terminate_others=False)

    work = slow.identity.change_password(theirs, PASSWORD, "the second one", terminate_others=False)
    assert isinstance(await during(paused, work, first), Conflict)
    await sign_in(node, password=NEW)


async def test_a_change_by_a_session_that_ended_meanwhile_changes_nothing(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens
) -> None:
    work = slow.identity.change_password(await calls(slow, ada), PASSWORD, NEW)
    got = await during(paused, work, lambda: node.sessions.endings.sign_out(ada.session.id))
    assert isinstance(got, SessionEnded)
    await sign_in(node)


# Users


async def test_the_first_user_of_an_account_is_its_owner_whatever_the_role(node: Node) -> None:
    account = await node.identity.add_account("Acme")
    asked: list[tuple[str, Role]] = [
        ("a", "member"),
        ("b", "member"),
        ("c", "admin"),
        ("d", "owner"),
    ]
    roles = [
        (await node.identity.add_user(account.id, f"{name}@example.com", role=role)).role
        for name, role in asked
    ]
    assert roles == ["owner", "member", "admin", "owner"]


async def test_an_account_has_one_first_user(node: Node) -> None:
    account = await node.identity.add_account("Acme")
    made = await asyncio.gather(
        *(node.identity.add_user(account.id, f"u{turn}@example.com") for turn in range(8)),
        return_exceptions=True,
    )
    assert all(not isinstance(one, BaseException) or isinstance(one, Conflict) for one in made)
    users = await node.store.list_users(everybody(account.id))
    assert [profile.user.role for profile in users].count("owner") == 1


@pytest.mark.parametrize("email", [EMAIL, "ADA@example.com", "\uff41da@EXAMPLE.com"])
async def test_an_address_belongs_to_one_user_of_all_accounts(
    node: Node, ada: Tokens, email: str
) -> None:
    other = await node.identity.add_account("Other")
    for account in (ada.user.account_id, other.id):
        with pytest.raises(Conflict):
            await node.identity.add_user(account, email, password=PASSWORD)


async def test_an_account_s_name_is_its_own(node: Node, ada: Tokens) -> None:
    with pytest.raises(Conflict):
        await node.identity.add_account("Acme")


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * (NAME_LENGTH + 1), "a\nb", "a\0b", "\u202eab", "\ud800", "\x1b[31m"]
)
def test_a_name_is_printable_and_not_too_long(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_name(name, "name")


def test_a_name_is_kept_trimmed() -> None:
    assert check_name(" Zoë 王 ", "name") == "Zoë 王"
    assert check_name("x" * NAME_LENGTH, "name")


async def test_suspending_ends_every_session_and_says_how_many(node: Node, ada: Tokens) -> None:
    other = await sign_in(node)
    done = await node.identity.suspend(ada.user, ADMIN)
    assert (done.ended, done.event.reason) == (2, "user_suspended")
    for tokens in (ada, other):
        with pytest.raises(SessionEnded) as caught:
            await calls(node, tokens)
        assert caught.value.reason == "user_suspended"
        with pytest.raises(SessionEnded):
            await node.sessions.refresh(tokens.refresh_token, None)
    with pytest.raises(InvalidCredentials):
        await sign_in(node)


async def test_resuming_revives_nothing(node: Node, ada: Tokens) -> None:
    await node.identity.suspend(ada.user, ADMIN)
    await node.identity.resume(ada.user)
    with pytest.raises(SessionEnded):
        await calls(node, ada)
    with pytest.raises(SessionEnded):
        await node.sessions.refresh(ada.refresh_token, None)
    await calls(node, await sign_in(node))


async def test_suspending_twice_and_resuming_twice_are_conflicts(node: Node, ada: Tokens) -> None:
    with pytest.raises(Conflict):
        await node.identity.resume(ada.user)
    await node.identity.suspend(ada.user, ADMIN)
    with pytest.raises(Conflict):
        await node.identity.suspend(ada.user, ADMIN)
    await node.identity.resume(ada.user)


async def test_a_user_is_found_by_any_spelling(node: Node, ada: Tokens) -> None:
    assert await node.identity.find_by_email("ADA@example.COM") == ada.user
    for email in ("nobody@example.com", "", "no address"):
        with pytest.raises(NotFound):
            await node.identity.find_by_email(email)


# Invitations


async def test_an_invitation_lets_the_person_choose_the_password(node: Node, ada: Tokens) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com", name="Bob")
    with pytest.raises(InvalidCredentials):
        await sign_in(node, "bob@example.com", "")
    secret, _ = await node.links.invite(bob)
    for _ in range(2):
        welcome = await node.links.welcome(secret, None)
        assert (welcome.user.id, welcome.account.name) == (bob.id, "Acme")
    tokens = await node.links.accept(secret, PASSWORD, BROWSER, SEEN)
    assert (await calls(node, tokens)).role == "member"
    await sign_in(node, "bob@example.com", PASSWORD)


async def test_of_16_who_accept_one_invitation_at_once_one_gets_in(node: Node, ada: Tokens) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    secret, _ = await node.links.invite(bob)
    given = await asyncio.gather(
        *(node.links.accept(secret, f"{PASSWORD} {turn}", BROWSER, SEEN) for turn in range(16)),
        return_exceptions=True,
    )
    won = [turn for turn, one in enumerate(given) if isinstance(one, Tokens)]
    assert len(won) == 1
    assert len([one for one in given if isinstance(one, NotFound)]) == 15
    assert await node.sessions.count(bob.id) == 1
    await sign_in(node, "bob@example.com", f"{PASSWORD} {won[0]}")


async def test_an_invitation_is_stopped_by_a_newer_one_by_time_and_by_suspension(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    older, _ = await node.links.invite(bob)
    newer, lifetime = await node.links.invite(bob)
    with pytest.raises(NotFound):
        await node.links.welcome(older, None)
    await node.identity.suspend(bob, ADMIN)
    with pytest.raises(NotFound):
        await node.links.accept(newer, PASSWORD, BROWSER, SEEN)
    await node.identity.resume(bob)
    clock.advance(seconds=lifetime.total_seconds())
    with pytest.raises(NotFound):
        await node.links.accept(newer, PASSWORD, BROWSER, SEEN)


async def test_one_person_s_invitation_leaves_another_s_good(node: Node, ada: Tokens) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    eve = await node.identity.add_user(ada.user.account_id, "eve@example.com")
    bobs, _ = await node.links.invite(bob)
    await node.links.invite(eve)
    assert (await node.links.welcome(bobs, None)).user.id == bob.id


async def test_a_link_of_another_purpose_is_no_invitation(node: Node) -> None:
    offered = await node.links.offer_setup()
    assert offered is not None
    with pytest.raises(NotFound):
        await node.links.welcome(offered[0], None)


async def test_an_invitation_accepted_while_its_user_is_suspended_gives_no_session(
    node: Node, slow: Node, paused: PausedPasswords, ada: Tokens
) -> None:
    bob = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    secret, _ = await node.links.invite(bob)

    async def suspend() -> None:
        await node.identity.suspend(bob, ADMIN)
        await node.identity.resume(bob)

    work = slow.links.accept(secret, PASSWORD, BROWSER, SEEN)
    assert isinstance(await during(paused, work, suspend), Error)
    assert await node.sessions.count(bob.id) == 0


# Service keys, and users of an application


@pytest.fixture
async def key(node: Node, ada: Tokens) -> ServiceKey:
    made, _ = await node.services.create(ada.user.account_id, "app", ("sessions",))
    return made


async def start(node: Node, key: ServiceKey, external_id: str, email: str | None = None) -> Tokens:
    client = Client("browser", service_key=key.id)
    return await node.services.begin_session(key, external_id, email, "Zoe", (), client, SEEN)


async def test_a_service_key_proves_its_service_and_its_scopes_only(
    node: Node, ada: Tokens
) -> None:
    made, text = await node.services.create(
        ada.user.account_id, " app ", ("verify", "sessions", "verify")
    )
    assert (made.name, made.scopes) == ("app", ("sessions", "verify"))
    assert await node.services.authenticate(text, "verify") == made
    with pytest.raises(Forbidden):
        await node.services.authenticate(text, "metrics")
    for wrong in ("", text[:-1], text[:-1] + ("A" if text[-1] != "A" else "B"), ada.access_token):
        with pytest.raises(TokenMissing):
            await node.services.authenticate(wrong, "verify")


async def test_a_revoked_key_proves_nothing(node: Node, ada: Tokens) -> None:
    made, text = await node.services.create(ada.user.account_id, "app", ("verify",))
    other = await node.identity.add_account("Other")
    with pytest.raises(NotFound):
        await node.services.revoke(other.id, made.id)
    await node.services.authenticate(text, "verify")
    await node.services.revoke(made.account_id, made.id)
    with pytest.raises(TokenMissing):
        await node.services.authenticate(text, "verify")
    with pytest.raises(NotFound):
        await node.services.revoke(made.account_id, made.id)


async def test_a_key_needs_a_scope(node: Node, ada: Tokens) -> None:
    with pytest.raises(InvalidRequest):
        await node.services.create(ada.user.account_id, "app", ())


async def test_an_external_id_alone_tells_who_somebody_is(node: Node, key: ServiceKey) -> None:
    first = await start(node, key, "42", "zoe@example.com")
    again = await start(node, key, "42", "other@example.com")
    other = await start(node, key, "43", "zoe@example.com")
    assert first.user.id == again.user.id != other.user.id


async def test_an_application_s_address_never_links_to_an_existing_user(
    node: Node, ada: Tokens, key: ServiceKey
) -> None:
    tokens = await start(node, key, "42", EMAIL)
    assert tokens.user.id != ada.user.id
    assert (await calls(node, tokens)).role == tokens.user.role == "member"
    assert (await node.identity.find_by_email(EMAIL)).id == ada.user.id
    with pytest.raises(InvalidCredentials):
        await sign_in(node, EMAIL, "")


async def test_an_application_s_address_takes_it_from_nobody(node: Node, key: ServiceKey) -> None:
    await start(node, key, "42", "later@example.com")
    made = await node.identity.add_user(key.account_id, "later@example.com", password=PASSWORD)
    assert (await sign_in(node, "later@example.com")).user.id == made.id


async def test_an_external_user_begun_at_once_many_times_is_one_user(
    node: Node, key: ServiceKey
) -> None:
    given = await asyncio.gather(*(start(node, key, "42") for _ in range(16)))
    assert len({tokens.user.id for tokens in given}) == 1
    assert len({tokens.session.id for tokens in given}) == 16


async def test_external_ids_of_two_accounts_are_two_users(
    node: Node, ada: Tokens, key: ServiceKey
) -> None:
    other = await node.identity.add_account("Other")
    theirs, _ = await node.services.create(other.id, "app", ("sessions",))
    assert (await start(node, key, "42")).user.id != (await start(node, theirs, "42")).user.id


async def test_a_suspended_external_user_is_refused(node: Node, key: ServiceKey) -> None:
    tokens = await start(node, key, "42")
    await node.identity.suspend(tokens.user, ADMIN)
    with pytest.raises(Forbidden):
        await start(node, key, "42")


async def test_a_session_that_a_service_vouches_for_is_a_member_s_whoever_forgets_to_say_so(
    node: Node, ada: Tokens, key: ServiceKey, clock: FakeClock
) -> None:
    """The service itself names the key; no caller can leave it out."""
    tokens = await node.services.begin_session(key, "42", None, None, (), NATIVE, SEEN)
    assert tokens.session.client.service_key == key.id
    assert tokens.session.client.id == key.id


async def test_an_external_user_has_no_factor_here_to_show(
    node: Node, key: ServiceKey, clock: FakeClock
) -> None:
    tokens = await start(node, key, "42")
    clock.advance(seconds=1800)
    node.sessions.require_fresh(await calls(node, tokens))
    caller = await calls(node, tokens)
    with pytest.raises(InvalidCredentials):
        await node.identity.reauthenticate(caller, "")


async def test_a_user_who_is_not_there_has_no_password(node: Node, ada: Tokens) -> None:
    assert await node.store.password_hash(UserId("u_nobody")) is None


# Whoever acts must still be signed in (rule 2)


async def test_an_admin_who_was_logged_out_meanwhile_can_log_out_nobody(
    node: Node, ada: Tokens
) -> None:
    await add_user(node, ada.user, "bob@example.com")
    bobs = await sign_in(node, "bob@example.com")
    await node.sessions.endings.sign_out(ada.session.id)
    end = base.EndUser(
        bobs.user.id,
        bobs.user.account_id,
        None,
        "terminated_by_admin",
        ADMIN,
        node.clock.now() + timedelta(0),
        node.sessions.policy,
    )
    with pytest.raises(Error):
        await node.store.commit(end, actor=ada.session.id)
    await calls(node, bobs)


async def test_a_refresh_by_the_service_leaves_the_person_where_they_were(
    node: Node, ada: Tokens, key: ServiceKey
) -> None:
    """The service refreshes from its own address, not from the person's."""
    tokens = await node.services.begin_session(key, "42", None, None, (), NATIVE, SEEN)
    after = await node.sessions.refresh(tokens.refresh_token, "8.8.8.8")
    assert (after.session.ip, after.session.place) == (tokens.session.ip, tokens.session.place)


async def test_who_has_a_password_is_not_invited(node: Node, ada: Tokens) -> None:
    """Otherwise a link would be a way round the password."""
    with pytest.raises(Conflict, match="already"):
        await node.links.invite(ada.user)


async def test_an_invitation_ends_where_its_user_has_got_a_password(
    node: Node, ada: Tokens
) -> None:
    user = await node.identity.add_user(ada.user.account_id, "grace@example.com")
    secret, _ = await node.links.invite(user)
    await node.store.commit(
        base.SetPassword(user.id, "a hash", node.clock.now(), user.password_changed_at)
    )
    with pytest.raises(NotFound):
        await node.links.accept(secret, NEW, BROWSER, SEEN)


async def test_only_the_first_organisation_is_added_with_its_owner(node: Node, ada: Tokens) -> None:
    with pytest.raises(Conflict):
        await node.identity.add_first("Another", "grace@example.com", name=None, password=PASSWORD)
    with pytest.raises(NotFound):
        await node.identity.find_by_email("grace@example.com")


@pytest.mark.parametrize(
    ("email", "whose"),
    [
        *((one, "hers") for one in ("ADA@example.com", "\uff41da@example.com")),
        *((one, "hers") for one in ("ada@EXAMPLE.com", "ada\uff20example.com")),
        *((one, "another's") for one in ("\u00e1da@example.com", "\u0430da@example.com")),
        *((one, "another's") for one in ("ada@ex\u0430mple.com", "ada%00@example.com")),
        *((one, "nobody's") for one in ("ada@example.com.", "ada@example.com ")),
        *((one, "nobody's") for one in ("ada\0@example.com", "ada@example\u3002com\u3002")),
    ],
)
async def test_an_address_that_looks_like_another_s_gets_at_nothing_of_theirs(
    node: Node, ada: Tokens, email: str, whose: str
) -> None:
    """Attack 36: each spelling is the same user's, somebody else's, or no address."""
    password = "another of mine"
    adding = node.identity.add_user(ada.user.account_id, email, password=password)
    if whose == "another's":
        other = await adding
        assert (await sign_in(node, email, password)).user.id == other.id != ada.user.id
        with pytest.raises(InvalidCredentials):
            await sign_in(node, email, PASSWORD)
    else:
        with pytest.raises(Conflict if whose == "hers" else InvalidRequest):
            await adding
    assert (await sign_in(node)).user.id == ada.user.id
    with pytest.raises(InvalidCredentials):
        await sign_in(node, EMAIL, password)
