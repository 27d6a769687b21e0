"""Signing keys: rotation refuses nobody, in however many processes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from lastcall.access import Access
from lastcall.digests import encode
from lastcall.errors import InvalidToken, NotFound, SecretFileError
from lastcall.keys import JWKS_MAX_AGE, KEPT, LEAD, MAX_AGE, Keyring, StoredKey
from lastcall.node import Node
from lastcall.secretfile import Secrets
from lastcall.sessions.minting import Tokens
from lastcall.signing import READ_AGAIN, Signing
from lastcall.stores.sqlite import SqliteStore
from lastcall.tokens import mint_access
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import DATABASE, open_node, set_up

SECOND = timedelta(seconds=1)
ACCESS = timedelta(hours=1)


class CountingStore(SqliteStore):
    """The store, which counts how often the keys were read, and stops at the read that a test
    names."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads = 0
        self.stop_at: int | None = None
        self.stopped = asyncio.Event()
        self.go = asyncio.Event()

    async def signing_keys(self) -> tuple[StoredKey, ...]:
        self.reads += 1
        if self.reads == self.stop_at:
            self.stopped.set()
            await self.go.wait()
        return await super().signing_keys()


@pytest.fixture
async def store(node: Node, tmp_path: Path) -> AsyncIterator[CountingStore]:
    opened = CountingStore(tmp_path / DATABASE)
    yield opened
    await opened.close()


@pytest.fixture
def signing(store: CountingStore, node: Node, clock: FakeClock, entropy: FakeEntropy) -> Signing:
    """The keys as another process of the same server has them."""
    return Signing(store, node.secrets, clock, entropy, ACCESS)


@pytest.fixture
async def minted(node: Node) -> Tokens:
    return await set_up(node)


def names(ring: Keyring) -> list[str]:
    return [key.id for key in ring]


async def opens(signing: Signing, node: Node, token: str) -> None:
    await signing.open(token, node.sessions.issuer, node.sessions.audience)


async def read(node: Node, minted: Tokens) -> Access:
    """What an access token says."""
    issuer, audience = node.sessions.issuer, node.sessions.audience
    return await node.signing.open(minted.access_token, issuer, audience)


async def test_the_first_key_of_a_database_signs_at_once(node: Node, clock: FakeClock) -> None:
    ring = await node.signing.ring()
    assert len(names(ring)) == 1
    assert (await node.signing.signer()).signs_from == clock.now()


async def test_every_process_has_the_same_keys(node: Node, signing: Signing) -> None:
    assert names(await signing.ring()) == names(await node.signing.ring())


async def test_the_key_set_shows_no_private_part(node: Node) -> None:
    public = (await node.signing.ring()).public()
    keys = public["keys"]
    assert isinstance(keys, list)
    assert set(keys[0]) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert (keys[0]["alg"], keys[0]["use"]) == ("ES256", "sig")


def test_the_durations_keep_every_cached_key_set_good() -> None:
    assert LEAD >= 2 * JWKS_MAX_AGE
    assert READ_AGAIN < LEAD


async def test_a_new_key_is_published_before_it_signs(node: Node, clock: FakeClock) -> None:
    old = (await node.signing.signer()).id
    new = await node.signing.rotate()
    assert new is not None
    assert names(await node.signing.ring()) == [old, new.id]
    clock.advance(seconds=LEAD.total_seconds() - 1)
    assert (await node.signing.signer()).id == old
    clock.advance(seconds=1)
    assert (await node.signing.signer()).id == new.id


async def test_a_rotation_refuses_no_token_of_any_process(
    node: Node, signing: Signing, clock: FakeClock, minted: Tokens
) -> None:
    """From the rotation until the last token of the old key has run out, minute by minute."""
    access = await read(node, minted)
    old = (await signing.signer()).id
    await node.signing.rotate()
    given: list[str] = []
    used = set()
    for minute in range(150):
        mine, theirs = await node.signing.signer(), await signing.signer()
        used |= {mine.id, theirs.id}
        given.append(mint_access(access, mine))
        await opens(signing, node, given[-1])
        await opens(node.signing, node, mint_access(access, theirs))
        oldest = given[max(0, minute - 60)]
        await opens(signing, node, oldest)
        await opens(node.signing, node, oldest)
        clock.advance(seconds=60)
    assert len(used) == 2
    assert old in used


async def test_a_key_is_replaced_by_itself_when_it_is_old(node: Node, clock: FakeClock) -> None:
    clock.advance(seconds=MAX_AGE.total_seconds() - 1)
    assert len(names(await node.signing.ring())) == 1
    clock.advance(seconds=READ_AGAIN.total_seconds() + 1)
    assert len(names(await node.signing.ring())) == 2


async def test_a_spent_key_goes_only_after_its_last_token(node: Node, clock: FakeClock) -> None:
    old = (await node.signing.signer()).id
    await node.signing.rotate()
    clock.advance(seconds=(LEAD + ACCESS).total_seconds())
    assert old in names(await node.signing.ring())
    clock.advance(seconds=(KEPT + LEAD + READ_AGAIN).total_seconds())
    assert old not in names(await node.signing.ring())


async def test_a_key_that_goes_is_revoked_in_the_log_and_one_that_comes_is_published(
    node: Node, clock: FakeClock
) -> None:
    """Whoever follows the log knows each key, and forgets it (rule 18)."""
    old = (await node.signing.signer()).id
    new = await node.signing.rotate()
    assert new is not None
    clock.advance(seconds=(LEAD + KEPT + LEAD + READ_AGAIN).total_seconds())
    assert names(await node.signing.ring()) == [new.id]
    events = (await node.store.read_log(0)).events
    told = [(event.kind, event.key_id, event.at) for event in events if event.key_id]
    assert told == [
        ("key_published", old, told[0][2]),
        ("key_published", new.id, new.created_at),
        ("key_revoked", old, clock.now()),
    ]


async def test_the_newest_key_is_never_spent(node: Node, clock: FakeClock) -> None:
    await node.signing.rotate()
    clock.advance(days=80)
    assert len(names(await node.signing.ring())) == 1
    assert (await node.signing.signer()).id in names(await node.signing.ring())


async def test_of_many_processes_that_find_a_key_too_old_one_replaces_it(
    node: Node, signing: Signing, clock: FakeClock
) -> None:
    await signing.ring()
    clock.advance(days=90)
    await asyncio.gather(*(one.ring() for one in [node.signing, signing] * 8))
    clock.advance(seconds=READ_AGAIN.total_seconds())
    assert len(names(await node.signing.ring())) == 2


async def test_a_process_that_was_slow_to_see_an_old_key_makes_no_third(
    node: Node, signing: Signing, store: CountingStore, clock: FakeClock
) -> None:
    """Between its look at the ring and its rotation another process has rotated."""
    await signing.ring()
    clock.advance(days=90)
    store.stop_at = store.reads + 2
    slow = asyncio.create_task(signing.ring())
    stopped = asyncio.create_task(store.stopped.wait())
    await asyncio.wait([slow, stopped], return_when=asyncio.FIRST_COMPLETED)
    await node.signing.ring()
    store.go.set()
    store.stopped.set()
    await asyncio.gather(slow, stopped)
    assert len(await node.store.signing_keys()) == 2


async def test_a_command_to_rotate_that_lost_the_race_made_no_key(
    node: Node, signing: Signing
) -> None:
    made = await asyncio.gather(*(one.rotate() for one in [node.signing, signing] * 4))
    stored = await node.store.signing_keys()
    assert len(stored) == 1 + len([key for key in made if key is not None])


async def test_a_token_by_a_key_that_this_process_has_not_read_yet_opens(
    node: Node, signing: Signing, clock: FakeClock, minted: Tokens
) -> None:
    """A process whose clock runs ahead signs before this one has read its keys again."""
    await signing.ring()
    new = await node.signing.rotate()
    assert new is not None
    ring = await node.signing.ring()
    access = await read(node, minted)
    await opens(signing, node, mint_access(access, ring.signer(clock.now() + LEAD)))


async def test_a_flood_of_made_up_keys_reads_once_a_second(
    node: Node, signing: Signing, store: CountingStore, clock: FakeClock
) -> None:
    await signing.ring()
    store.reads = 0
    for turn in range(10_000):
        header = f'{{"alg":"ES256","typ":"at+jwt","kid":"made up {turn}"}}'
        token = f"{encode(header.encode())}.{encode(b'{}')}.{encode(b's' * 64)}"
        with pytest.raises(InvalidToken):
            await opens(signing, node, token)
        if turn % 1000 == 999:
            clock.advance(seconds=1)
    assert store.reads == 10


async def test_a_trickle_of_made_up_keys_does_not_put_off_the_rotation(
    node: Node, signing: Signing, clock: FakeClock
) -> None:
    """Whoever sends one a second must not keep an old key in use."""
    await signing.ring()
    clock.advance(days=89, hours=23, seconds=3300)
    header = '{"alg":"ES256","typ":"at+jwt","kid":"made up"}'
    token = f"{encode(header.encode())}.{encode(b'{}')}.{encode(b's' * 64)}"
    for _ in range(20):
        clock.advance(seconds=30)
        with pytest.raises(InvalidToken):
            await opens(signing, node, token)
    assert len(await node.store.signing_keys()) == 2


async def test_a_clock_that_went_back_leaves_a_key_to_sign_with(
    node: Node, clock: FakeClock
) -> None:
    key = (await node.signing.signer()).id
    clock.step(timedelta(days=-400))
    assert (await node.signing.signer()).id == key


async def test_a_shorter_access_lifetime_drops_no_key_whose_tokens_still_live(
    tmp_path: Path, clock: FakeClock, entropy: FakeEntropy
) -> None:
    """A setting that changes takes nothing from tokens that were given before it."""
    node = await open_node(tmp_path, clock, entropy)
    access = await read(node, await set_up(node))
    await node.signing.rotate()
    clock.advance(seconds=LEAD.total_seconds() - 1)
    token = mint_access(access, await node.signing.signer())
    clock.advance(seconds=LEAD.total_seconds() + 61)
    brief = Signing(node.store, node.secrets, clock, entropy, timedelta(minutes=1))
    await brief.ring()
    try:
        await opens(brief, node, token)
    finally:
        await node.close()


async def test_keys_open_with_the_right_secret_file_only(node: Node) -> None:
    stored = await node.store.signing_keys()
    with pytest.raises(SecretFileError):
        Keyring(stored, Secrets.derive(b"o" * 32))


async def test_a_revoked_key_opens_nothing_and_another_signs_at_once(
    node: Node, signing: Signing, minted: Tokens, clock: FakeClock
) -> None:
    await opens(signing, node, minted.access_token)
    key_id = (await node.signing.signer()).id
    event = await node.signing.revoke(key_id)
    assert (event.kind, event.key_id) == ("key_revoked", key_id)
    with pytest.raises(InvalidToken):
        await read(node, minted)
    assert (await node.signing.signer()).id != key_id
    assert (await node.signing.signer()).signs_from == clock.now()
    await signing.refresh()
    with pytest.raises(InvalidToken):
        await opens(signing, node, minted.access_token)
    renewed = await node.sessions.refresh(minted.refresh_token, None)
    await opens(signing, node, renewed.access_token)


async def test_a_key_that_does_not_sign_is_revoked_without_another_one(
    node: Node, minted: Tokens
) -> None:
    coming = await node.signing.rotate()
    assert coming is not None
    await node.signing.revoke(coming.id)
    assert len(names(await node.signing.ring())) == 1
    await read(node, minted)


async def test_a_key_that_is_not_there_is_not_revoked(node: Node, minted: Tokens) -> None:
    with pytest.raises(NotFound):
        await node.signing.revoke("nobody's")
    await read(node, minted)
