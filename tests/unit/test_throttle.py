"""Who is throttled, by what, and who is not."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lastcall.errors import InvalidCredentials, InvalidToken, NotFound, RateLimited, Unavailable
from lastcall.identity.model import User
from lastcall.node import Node
from lastcall.sessions.minting import Tokens
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import (
    BROWSER,
    EMAIL,
    NATIVE,
    PASSWORD,
    SEEN,
    add_user,
    calls,
    open_node,
    set_up,
)

STRANGER = replace(SEEN, ip="203.0.113.9")
LAPTOP = replace(SEEN, device_hash=b"Ada's laptop")


async def guess(node: Node, email: str = EMAIL, ip: str | None = STRANGER.ip) -> None:
    """Guess a password wrong, once."""
    with pytest.raises(InvalidCredentials):
        await node.identity.sign_in(email, "a wrong guess", NATIVE, replace(STRANGER, ip=ip))


async def used_up(attempt: Callable[[int], Awaitable[object]], wrong: type[Exception]) -> int:
    """Tell how many attempts are looked at, and found wrong, before one is refused."""
    for number in range(1000):
        try:
            await attempt(number)
        except RateLimited:
            return number
        except wrong:
            continue
    raise AssertionError("there is no limit")


async def guesses(
    node: Node, email: Callable[[int], str] = lambda _: EMAIL, ip: str | None = STRANGER.ip
) -> int:
    """Tell how many guesses a stranger has."""
    seen = replace(STRANGER, ip=ip)
    return await used_up(
        lambda n: node.identity.sign_in(email(n), "a wrong guess", NATIVE, seen), InvalidCredentials
    )


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com", "no address", ""])
async def test_a_stranger_has_ten_guesses_whether_or_not_there_is_such_a_user(
    node: Node, ada: Tokens, email: str
) -> None:
    assert await guesses(node, lambda _: email) == 10


async def test_the_right_password_is_not_looked_at_either_when_the_guesses_are_used_up(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    await guesses(node)
    with pytest.raises(RateLimited) as refused:
        await node.identity.sign_in(EMAIL, PASSWORD, BROWSER, STRANGER)
    clock.advance(seconds=refused.value.retry_after)
    await node.identity.sign_in(EMAIL, PASSWORD, BROWSER, STRANGER)


async def test_each_spelling_of_an_address_counts_as_the_same(node: Node, ada: Tokens) -> None:
    spellings = ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.com", "\uff41da@example.com"]
    assert await guesses(node, lambda number: spellings[number % 4]) == 10


async def test_a_stranger_with_many_addresses_has_no_more_guesses_for_one_user(
    node: Node, ada: Tokens
) -> None:
    for number in range(10):
        await guess(node, ip=f"203.0.113.{number}")
    assert await guesses(node, ip="198.51.100.1") == 0


async def test_over_a_day_a_user_is_guessed_at_no_more_than_two_hundred_times(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    """A hundred at once, and a hundred that are forgotten meanwhile."""
    evaluated = 0
    for _ in range(24 * 4):
        evaluated += await guesses(node, ip=None)
        clock.advance(seconds=900)
    assert 190 <= evaluated <= 200


async def test_one_address_has_a_hundred_guesses_for_all_users_together(
    node: Node, ada: Tokens
) -> None:
    assert await guesses(node, lambda number: f"user{number}@example.com") == 100
    await guess(node, "somebody@example.com", "203.0.113.10")


async def test_who_has_a_64_of_ipv6_has_one_address(node: Node, ada: Tokens) -> None:
    for number in range(100):
        await guess(node, f"user{number}@example.com", f"2001:db8:0:1::{number:x}")
    with pytest.raises(RateLimited):
        await guess(node, "somebody@example.com", "2001:db8:0:1:ffff:ffff:ffff:ffff")
    await guess(node, "somebody@example.com", "2001:db8:0:2::1")


async def test_signing_in_right_costs_nothing_and_gives_no_guesses(node: Node, ada: Tokens) -> None:
    """Nor does success on an account of one's own between the guesses (a counter that is reset)."""
    await add_user(node, ada.user, "eve@example.com")
    for _ in range(30):
        await node.identity.sign_in(EMAIL, PASSWORD, NATIVE, SEEN)
    for _ in range(10):
        await guess(node)
        await node.identity.sign_in("eve@example.com", PASSWORD, NATIVE, STRANGER)
    assert await guesses(node) == 0


async def test_in_a_browser_of_before_a_user_gets_in_while_a_stranger_hammers(
    node: Node, ada: Tokens, tmp_path: Path, clock: FakeClock
) -> None:
    """Also from the stranger's own address, as behind one router."""
    await node.identity.sign_in(EMAIL, PASSWORD, BROWSER, LAPTOP)
    assert await guesses(node) == 10
    assert await guesses(node, lambda number: f"user{number}@example.com") == 90
    for ip in (SEEN.ip, STRANGER.ip):
        seen = replace(LAPTOP, ip=ip)
        await node.identity.sign_in(EMAIL, PASSWORD, BROWSER, seen)
    again = await open_node(tmp_path, clock, FakeEntropy("again"))
    await again.identity.sign_in(EMAIL, PASSWORD, BROWSER, LAPTOP)
    await again.close()


async def test_a_browser_of_before_has_guesses_of_its_own_and_no_more_than_anybody(
    node: Node, ada: Tokens
) -> None:
    await node.identity.sign_in(EMAIL, PASSWORD, BROWSER, LAPTOP)
    in_it = await used_up(
        lambda _: node.identity.sign_in(EMAIL, "wrong", BROWSER, LAPTOP), InvalidCredentials
    )
    assert in_it == 10
    assert await guesses(node) == 10


async def test_two_users_of_one_browser_have_their_own_guesses_in_it(
    node: Node, ada: Tokens
) -> None:
    await add_user(node, ada.user, "eve@example.com")
    for email in (EMAIL, "eve@example.com"):
        await node.identity.sign_in(email, PASSWORD, BROWSER, LAPTOP)
    for email in (EMAIL, "eve@example.com"):
        in_it = await used_up(
            lambda _, email=email: node.identity.sign_in(email, "wrong", BROWSER, LAPTOP),  # type: ignore[misc]
            InvalidCredentials,
        )
        assert in_it == 10


async def test_a_browser_of_one_user_is_a_stranger_for_another(node: Node, ada: Tokens) -> None:
    await add_user(node, ada.user, "eve@example.com")
    eves = replace(LAPTOP, device_hash=b"Eve's")
    await node.identity.sign_in("eve@example.com", PASSWORD, BROWSER, eves)
    await guesses(node)
    with pytest.raises(RateLimited):
        await node.identity.sign_in(EMAIL, PASSWORD, BROWSER, eves)


async def test_what_was_not_looked_at_is_not_counted(
    node: Node, ada: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> None:
        raise Unavailable("many people are signing in")

    with monkeypatch.context() as patch:
        patch.setattr(node.passwords, "verify", busy)
        for _ in range(30):
            with pytest.raises(Unavailable):
                await node.identity.sign_in(EMAIL, PASSWORD, NATIVE, STRANGER)
    assert await guesses(node) == 10


async def test_within_a_session_there_are_ten_guesses_for_both_kinds_of_proof(
    node: Node, ada: Tokens, clock: FakeClock
) -> None:
    """Who holds a session that isn't theirs can neither guess on nor keep its user from proving
    who they are in another."""
    caller, identity = await calls(node, ada), node.identity

    async def prove(number: int) -> None:
        if number % 2:
            await identity.reauthenticate(caller, "wrong")
        else:
            await identity.change_password(caller, "wrong", "another sentence of mine")

    assert await used_up(prove, InvalidCredentials) == 10
    with pytest.raises(RateLimited):
        await identity.reauthenticate(caller, PASSWORD)
    with pytest.raises(RateLimited):
        await identity.change_password(caller, PASSWORD, "another sentence of mine")
    other = await identity.sign_in(EMAIL, PASSWORD, NATIVE, STRANGER)
    await identity.reauthenticate(await calls(node, other), PASSWORD)
    clock.advance(seconds=90)
    for _ in range(3):
        tokens = await identity.reauthenticate(caller, PASSWORD)
        caller = await calls(node, tokens)


async def test_unknown_refresh_tokens_are_counted_by_address_and_genuine_ones_never(
    node: Node, ada: Tokens
) -> None:
    ip = STRANGER.ip
    unknown = await used_up(lambda number: node.sessions.refresh(f"lcr_{number}", ip), InvalidToken)
    assert unknown == 100
    tokens = ada
    for _ in range(3):
        tokens = await node.sessions.refresh(tokens.refresh_token, ip)
    with pytest.raises(InvalidToken):
        await node.sessions.refresh("lcr_", "203.0.113.10")


async def test_unknown_links_are_counted_by_address_and_genuine_ones_never(
    node: Node, ada: Tokens
) -> None:
    bob: User = await node.identity.add_user(ada.user.account_id, "bob@example.com")
    secret, _ = await node.links.invite(bob)
    ways: list[Callable[[int], Awaitable[object]]] = [
        lambda number: node.links.welcome(f"guess {number}", STRANGER.ip),
        lambda number: node.links.require_setup(f"guess {number}", STRANGER.ip),
        lambda number: node.links.accept(f"guess {number}", "a good long one", BROWSER, STRANGER),
    ]
    assert await used_up(lambda number: ways[number % 3](number), NotFound) == 30
    assert (await node.links.welcome(secret, STRANGER.ip)).user == bob
    await node.links.accept(secret, "a sentence of Bob's", BROWSER, STRANGER)


async def test_a_set_up_link_is_good_however_many_were_guessed(node: Node) -> None:
    for number in range(30):
        with pytest.raises(NotFound):
            await node.links.require_setup(f"guess {number}", SEEN.ip)
    await set_up(node)


async def test_a_node_tells_of_refusals_in_its_log_once_in_a_while_and_of_nobody(
    node: Node, ada: Tokens, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    await guesses(node)
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        for _ in range(40):
            with pytest.raises(RateLimited):
                await guess(node)
        clock.advance(seconds=10)
        with pytest.raises(RateLimited):
            await guess(node)
    said = [record.getMessage() for record in caplog.records if record.name == "lastcall.throttle"]
    assert said == ["too many attempts: 41 refused since this was last said"]
    assert EMAIL not in caplog.text
