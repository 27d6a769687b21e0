"""Signing in with a password: who gets in, what a refusal tells, and what happens meanwhile."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from lastcall.errors import Conflict, InvalidCredentials
from lastcall.identity.passwords import Passwords
from lastcall.ids import SessionId
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from lastcall.stores import base
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import (
    DATABASE,
    EMAIL,
    NEW,
    PASSWORD,
    add_user,
    calls,
    open_node,
    set_up,
    sign_in,
)
from tests.support.rivals import PausedPasswords, during
from tests.support.values import ADMIN


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
