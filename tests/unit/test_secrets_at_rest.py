"""A copy of the database alone, and the secret file alone, are each worth nothing."""

import base64
import contextlib
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from lastcall.clock import system_entropy
from lastcall.digests import encode
from lastcall.errors import (
    Error,
    InvalidCredentials,
    InvalidToken,
    NotFound,
    SecretFileError,
    TokenMissing,
)
from lastcall.ids import SessionId
from lastcall.keys import Keyring, SigningKey, new_key
from lastcall.node import Node
from lastcall.secretfile import Secrets
from lastcall.sessions.minting import Tokens
from lastcall.tokens import (
    RefreshToken,
    mint_access,
    new_refresh,
    parse_refresh,
    unseal_successor,
    write_refresh,
)
from tests.support.fakes import FakeClock, FakeEntropy
from tests.support.nodes import (
    BROWSER,
    DATABASE,
    EMAIL,
    PASSWORD,
    SEEN,
    calls,
    open_node,
    set_up,
    sign_in,
)
from tests.support.planted import database, spellings


@dataclass(frozen=True)
class Planted:
    """What a person or a client holds, or held, and nobody else may get at."""

    setup: str
    invitation: str
    service_key: str
    first: Tokens
    """Of a session that has been refreshed since, and refreshed again."""
    second: Tokens
    third: Tokens

    @property
    def all(self) -> list[str]:
        """Each secret as it is shown."""
        return [
            PASSWORD,
            self.setup,
            self.invitation,
            self.service_key,
            *(tokens.refresh_token for tokens in (self.first, self.second, self.third)),
            *(tokens.access_token for tokens in (self.first, self.second, self.third)),
        ]


@pytest.fixture
async def planted(node: Node) -> Planted:
    offered = await node.links.offer_setup()
    assert offered is not None
    first = await node.links.set_up(offered[0], "Acme", "Ada", EMAIL, PASSWORD, BROWSER, SEEN)
    bob = await node.identity.add_user(first.user.account_id, "bob@example.com")
    invitation, _ = await node.links.invite(bob)
    _, service_key = await node.services.create(
        first.user.account_id, "app", ("verify", "sessions")
    )
    second = await node.sessions.refresh(first.refresh_token, None)
    third = await node.sessions.refresh(second.refresh_token, None)
    return Planted(offered[0], invitation, service_key, first, second, third)


@pytest.fixture
def stolen(node: Node, planted: Planted, tmp_path: Path) -> Path:
    """A copy of the database's files, without the secret file."""
    folder = tmp_path / "stolen"
    folder.mkdir()
    for file in tmp_path.glob(DATABASE + "*"):
        shutil.copy(file, folder)
    return folder


def columns(folder: Path) -> list[object]:
    """Every value of every row."""
    db = sqlite3.connect(folder / DATABASE)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    values = [
        value
        for table in tables
        for row in db.execute(f'SELECT * FROM "{table}"')  # noqa: S608  its own tables
        for value in row
    ]
    db.close()
    return values


def secret_bytes(value: object) -> list[bytes]:
    """The blobs."""
    return [value] if isinstance(value, bytes) else []


def raw_secrets(node: Node, planted: Planted) -> list[bytes]:
    """The secret part of each refresh token."""
    return [
        parse_refresh(tokens.refresh_token, node.secrets).secret
        for tokens in (planted.first, planted.second, planted.third)
    ]


async def test_no_planted_secret_lies_in_the_files_write_ahead_log_included(
    node: Node, planted: Planted, tmp_path: Path
) -> None:
    held = database(tmp_path)
    assert EMAIL.encode() in held, "the search finds what is there"
    for secret in planted.all:
        assert secret.encode() not in held
        assert secret.rpartition(".")[2][-43:].encode() not in held
    for raw in raw_secrets(node, planted):
        assert not [one for one in spellings(raw) if one in held]


async def test_no_private_key_lies_in_the_files(
    node: Node, planted: Planted, tmp_path: Path
) -> None:
    held = database(tmp_path)
    for key in await node.signing.ring():
        assert key.id.encode() in held
        number = key.jwk.as_dict(private=True)["d"]
        assert isinstance(number, str)
        d = base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))
        assert not [one for one in spellings(d) if one in held]
        assert key.jwk.as_der(private=True)[10:50] not in held


async def test_no_key_of_the_secret_file_lies_in_the_database_but_for_its_check(
    node: Node, planted: Planted, tmp_path: Path
) -> None:
    held = database(tmp_path)
    text = (tmp_path / "lastcall.key").read_text().strip().partition(":")[2]
    assert text.encode() not in held
    for name in Secrets.__slots__:
        found = [one for one in spellings(getattr(node.secrets, name)) if one in held]
        assert bool(found) is (name == "check")


async def test_a_copy_of_the_database_does_not_open_without_its_secret_file(
    stolen: Path, clock: FakeClock
) -> None:
    with pytest.raises(SecretFileError):
        await open_node(stolen, clock, system_entropy)
    guess = FakeEntropy("guess")(32)
    (stolen / "lastcall.key").write_text(f"lastcall-secret-1:{encode(guess)}\n")
    (stolen / "lastcall.key").chmod(0o600)
    with pytest.raises(SecretFileError):
        await open_node(stolen, clock, system_entropy)


async def test_nothing_of_a_copy_of_the_database_is_a_token(
    node: Node, planted: Planted, stolen: Path
) -> None:
    """Every value of it, as it is and as each kind of secret is written."""
    session = planted.third.session
    guesses: set[str] = set()
    for value in columns(stolen):
        if isinstance(value, str):
            guesses.add(value)
        for raw in secret_bytes(value):
            guesses |= {encode(raw), raw.hex()}
            for generation in (1, 2, 3):
                for mac in (raw[:32], b"m" * 32):
                    body = f"lcr_{session.id}.{generation}.{encode(raw[:32])}"
                    guesses.add(f"{body}.{encode(mac)}")
    assert len(guesses) > 50
    for guess in guesses:
        with pytest.raises(InvalidToken):
            await node.sessions.refresh(guess, None)
        with pytest.raises(InvalidToken):
            await node.sessions.authenticate(guess)
        with pytest.raises(TokenMissing):
            await node.services.authenticate(guess, "verify")
        with pytest.raises(NotFound):
            await node.links.welcome(guess, None)
        with contextlib.suppress(InvalidCredentials, Error):
            await sign_in(node, EMAIL, guess)
            pytest.fail("a value of the database is the password")
    await calls(node, planted.third)


async def test_nothing_of_a_copy_of_the_database_opens_what_is_sealed_in_it(
    node: Node, planted: Planted, stolen: Path
) -> None:
    found = await node.store.find_session(planted.third.session.id)
    assert found is not None
    lineage = found.session.lineage
    assert lineage.sealed_successor is not None
    keys = [raw for value in columns(stolen) for raw in secret_bytes(value)]
    keys += [b"\0" * 32, b"lastcall signing".ljust(32), found.session.id.encode()]
    for key in keys:
        wrong = Secrets(*(key[:32].ljust(32, b"\0") for _ in Secrets.__slots__))
        with pytest.raises(SecretFileError):
            Keyring(await node.store.signing_keys(), wrong)
        for parent in (key, lineage.previous_hash or b"", lineage.secret_hash):
            token = RefreshToken(found.session.id, 2, parent)
            with pytest.raises(SecretFileError):
                unseal_successor(token, lineage.sealed_successor, wrong)


async def test_the_server_s_secrets_do_not_open_a_successor_without_its_parent(
    node: Node, planted: Planted
) -> None:
    """Both together: not even the database with the file gives back a token in use."""
    found = await node.store.find_session(planted.third.session.id)
    assert found is not None
    lineage = found.session.lineage
    assert lineage.sealed_successor is not None
    assert lineage.previous_hash is not None
    for guess in (lineage.previous_hash, lineage.secret_hash, b"", b"\0" * 32):
        token = RefreshToken(found.session.id, 2, guess)
        with pytest.raises(SecretFileError):
            unseal_successor(token, lineage.sealed_successor, node.secrets)
    parent = parse_refresh(planted.second.refresh_token, node.secrets)
    opened = unseal_successor(parent, lineage.sealed_successor, node.secrets)
    assert write_refresh(opened, node.secrets) == planted.third.refresh_token


async def test_a_token_that_is_forged_with_the_secret_file_alone_gets_nothing(
    node: Node, planted: Planted
) -> None:
    """Whoever holds the file can write a MAC, and knows no secret that a session has."""
    session = planted.third.session
    unknown = new_refresh(SessionId("s_c1_made_up"), 1, system_entropy)
    with pytest.raises(InvalidToken):
        await node.sessions.refresh(write_refresh(unknown, node.secrets), None)
    for generation in (2, 3, 4, 9):
        forged = new_refresh(session.id, generation, system_entropy)
        with pytest.raises(InvalidToken):
            await node.sessions.refresh(write_refresh(forged, node.secrets), None)
    await calls(node, planted.third)


async def test_an_access_token_by_a_key_sealed_with_the_secret_file_alone_is_refused(
    node: Node, planted: Planted
) -> None:
    access = (await calls(node, planted.third)).access
    stored = new_key(node.clock.now(), first=True, secrets=node.secrets, entropy=system_entropy)
    own = Keyring([stored], node.secrets).signer(node.clock.now())
    published = (await node.signing.signer()).id
    for key in (own, SigningKey(published, own.created_at, own.signs_from, own.jwk)):
        with pytest.raises(InvalidToken):
            await node.sessions.authenticate(mint_access(access, key))


async def test_a_fresh_database_with_the_same_secret_file_mints_nothing_that_ours_honours(
    node: Node, planted: Planted, tmp_path: Path, clock: FakeClock
) -> None:
    folder = tmp_path / "fresh"
    folder.mkdir()
    shutil.copy2(tmp_path / "lastcall.key", folder)
    fresh = await open_node(folder, clock, FakeEntropy("fresh"))
    theirs = await set_up(fresh)
    await calls(fresh, theirs)
    with pytest.raises(InvalidToken):
        await calls(node, theirs)
    with pytest.raises(InvalidToken):
        await node.sessions.refresh(theirs.refresh_token, None)
    with pytest.raises(InvalidToken):
        await calls(fresh, planted.third)
    await fresh.close()


async def test_nothing_that_holds_a_secret_prints_it(node: Node, planted: Planted) -> None:
    """A value that is logged by mistake, or shown in a failed check, gives no token away."""
    start = await node.store.password_hash(planted.first.user.id)
    assert start is not None
    assert start.password_hash is not None
    printed = repr([planted.third, start, node, await calls(node, planted.third)])
    for secret in [*planted.all, start.password_hash]:
        assert secret not in printed
