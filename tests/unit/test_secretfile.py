"""The secret file: made once, read by its owner alone, and the right one or none."""

import os
import stat
import threading
from pathlib import Path

import pytest

from lastcall import secretfile
from lastcall.clock import system_entropy
from lastcall.digests import decode, encode
from lastcall.errors import SecretFileError
from lastcall.secretfile import Secrets
from tests.support.fakes import FakeEntropy

PREFIX = "lastcall-secret-1:"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lastcall.key"


def write(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


def test_a_new_file_is_one_line_that_only_its_owner_reads(path: Path, entropy: FakeEntropy) -> None:
    secretfile.create(path, entropy)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text("ascii")
    assert text == f"{PREFIX}{encode(entropy.given[0])}\n"
    assert len(entropy.given[0]) == 32


def test_the_umask_of_a_careless_shell_opens_the_file_to_nobody(path: Path) -> None:
    before = os.umask(0)
    try:
        secretfile.create(path, system_entropy)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_read_is_what_was_made(path: Path, entropy: FakeEntropy) -> None:
    assert secretfile.create(path, entropy) == secretfile.read(path)


def test_no_draft_stays_behind(path: Path, entropy: FakeEntropy) -> None:
    secretfile.create(path, entropy)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_is_there_is_never_replaced(path: Path) -> None:
    first = secretfile.create(path, system_entropy)
    assert secretfile.create(path, system_entropy) == first


def test_of_several_that_create_one_file_at_once_all_get_the_same_secrets(path: Path) -> None:
    barrier = threading.Barrier(8)
    got: list[Secrets] = []

    def create() -> None:
        barrier.wait()
        got.append(secretfile.create(path, system_entropy))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert all(secrets == got[0] for secrets in got)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_missing_file_is_said_with_what_to_do(path: Path) -> None:
    with pytest.raises(SecretFileError, match="LASTCALL_SECRET_FILE"):
        secretfile.read(path)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_file_that_others_may_use_is_refused_with_the_command_that_mends_it(
    path: Path, mode: int
) -> None:
    secretfile.create(path, system_entropy)
    path.chmod(mode)
    with pytest.raises(SecretFileError, match="chmod 600"):
        secretfile.read(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        PREFIX,
        PREFIX + encode(b"x" * 31),
        PREFIX + encode(b"x" * 33),
        encode(b"x" * 32),
        "lastcall-secret-2:" + encode(b"x" * 32),
        PREFIX + encode(b"x" * 32) + "=",
        PREFIX + encode(b"x" * 32)[:-1] + "/",
        PREFIX + encode(b"x" * 32) + "\n" + PREFIX + encode(b"y" * 32),
        b"\xff\xfe\x00",
        b"\x00" * 64,
    ],
    ids=lambda text: repr(text).replace("\\", "/"),
)
def test_a_file_of_any_other_form_is_refused_and_not_shown(path: Path, text: str | bytes) -> None:
    write(path, text)
    with pytest.raises(SecretFileError) as caught:
        secretfile.read(path)
    assert encode(b"x" * 32) not in str(caught.value)


def test_a_folder_in_the_file_s_place_is_refused(path: Path) -> None:
    path.mkdir(mode=0o700)
    with pytest.raises(SecretFileError):
        secretfile.read(path)


def test_a_folder_that_can_t_be_written_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="LASTCALL_SECRET_FILE"):
        secretfile.create(tmp_path / "missing" / "lastcall.key", system_entropy)


def test_every_use_has_a_key_of_its_own(path: Path) -> None:
    secrets = secretfile.create(path, system_entropy)
    keys = [getattr(secrets, name) for name in Secrets.__slots__]
    root = decode(path.read_text().strip().removeprefix(PREFIX))
    assert len({*keys, root}) == len(keys) + 1
    assert all(len(key) == 32 for key in keys)


def test_a_file_gives_the_same_keys_in_every_version() -> None:
    """Or the tokens, devices and signing keys of a database would be nobody's after an upgrade."""
    secrets = Secrets.derive(bytes(range(32)))
    assert {name: getattr(secrets, name).hex()[:16] for name in Secrets.__slots__} == {
        "refresh": "44fbefd5b35bb73d",
        "successor": "09312e7f89a2f64d",
        "signing": "5e6f7c87a4f9c1ca",
        "device": "199236e7b531a1f0",
        "throttle": "50b170057b2d68eb",
        "check": "d10e5f00fc038c6c",
    }


def test_the_secrets_do_not_print_themselves(path: Path) -> None:
    secrets = secretfile.create(path, system_entropy)
    assert repr(secrets.refresh) not in repr(secrets)
    assert secrets.refresh.hex() not in repr(secrets)


def test_what_is_sealed_opens_with_the_same_key_and_context_only() -> None:
    entropy = FakeEntropy()
    key, other = entropy(32), entropy(32)
    sealed = secretfile.seal(key, b"plain", b"here", entropy)
    assert secretfile.unseal(key, sealed, b"here") == b"plain"
    assert b"plain" not in sealed
    turned = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong in [
        (other, sealed, b"here"),
        (key, sealed, b"there"),
        (key, turned, b"here"),
        (key, sealed[:-1], b"here"),
        (key, sealed[:5], b"here"),
        (key, b"", b"here"),
    ]:
        with pytest.raises(SecretFileError):
            secretfile.unseal(*wrong)


def test_the_same_value_is_never_sealed_the_same_way_twice() -> None:
    entropy = FakeEntropy()
    key = entropy(32)
    assert secretfile.seal(key, b"v", b"", entropy) != secretfile.seal(key, b"v", b"", entropy)
