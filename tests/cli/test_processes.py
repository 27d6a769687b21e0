"""What the processes of a server show of themselves: no argument, variable, pipe or core of theirs
holds a secret, for none is ever passed on: each worker opens the secret file by itself."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from uvicorn import Config

from lastcall import secretfile
from lastcall.cli import serving as command
from lastcall.cli.root import root
from lastcall.secretfile import Secrets
from lastcall.settings import Settings
from tests.cli.conftest import PASSWORD, Lastcall
from tests.support.planted import spellings
from tests.support.servers import EMAIL, Server, environment, serving

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="only Linux shows processes in /proc"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's folder, before its first start."""
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A server of two workers on an empty database."""
    with serving(folder, "--workers", "2") as started:
        yield started


def family(process: int) -> list[Path]:
    """Give a process and all that it has started."""
    here = Path(f"/proc/{process}")
    children = (here / "task" / str(process) / "children").read_text().split()
    return [here, *(one for child in children for one in family(int(child)))]


def held(folder: Path) -> list[bytes]:
    """Give every spelling of every key of a secret file."""
    text = (folder / "lastcall.key").read_text().strip()
    secrets = secretfile.read(folder / "lastcall.key")
    keys = [getattr(secrets, name) for name in Secrets.__slots__]
    root_ = text.rpartition(":")[2]
    return [root_.encode(), *(one for key in keys for one in spellings(key) if len(one) > 15)]


@pytest.mark.parametrize("file", ["cmdline", "environ"])
def test_no_process_has_a_secret_among_its_arguments_or_variables(
    folder: Path, server: Server, file: str
) -> None:
    assert server.setup_url is not None
    secrets = [*held(folder), server.setup_url.rpartition("=")[2].encode()]
    shown = [(process / file).read_bytes() for process in family(server.process.pid)]
    assert len(shown) >= 3
    known = {"cmdline": b"serve", "environ": b"LASTCALL_DATABASE_URL"}[file]
    assert any(known in one for one in shown)
    for one in shown:
        assert not [secret for secret in secrets if secret in one]


def test_no_process_writes_its_memory_to_the_disk_when_it_crashes(server: Server) -> None:
    processes = [
        one
        for one in family(server.process.pid)
        if b"resource_tracker" not in (one / "cmdline").read_bytes()
    ]
    assert len(processes) == 3
    for process in processes:
        limits = (process / "limits").read_text().splitlines()
        (core,) = (line.split() for line in limits if line.startswith("Max core file size"))
        assert core[4:6] == ["0", "0"]


def test_what_a_worker_is_sent_is_nothing_but_how_to_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings are in the environment, its keys in the secret file."""
    sent: list[bytes] = []

    def note(config: Config, _listener: object) -> bool:
        sent.append(pickle.dumps(config))
        return True

    monkeypatch.setattr(command, "_run_many", note)
    monkeypatch.setattr(command, "export", lambda _settings: None)
    monkeypatch.setattr(command, "_leave_no_core", lambda: None)
    monkeypatch.setattr(command, "_announce", lambda *_: None)
    named = tmp_path / "planted-name"
    with command.listen("127.0.0.1", 0) as listener:
        settings = Settings(database_url=f"sqlite:///{named}.db", secret_file=named)
        command.run(settings, listener, lambda: None, workers=2)
    (config,) = sent
    assert b"lastcall.cli.worker:app" in config
    assert b"planted-name" not in config


def test_a_password_comes_by_standard_input_and_is_no_argument(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lastcall", "user", "add", EMAIL, "--password-stdin"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as adding:
        here = Path(f"/proc/{adding.pid}")
        while not (shown := (here / "cmdline").read_bytes()):
            pass  # it is not yet the program that it becomes
        shown += (here / "environ").read_bytes()
        out, _ = adding.communicate(PASSWORD, timeout=60)
    assert out.startswith("u_")
    assert b"--password-stdin" in shown
    assert PASSWORD.strip().encode() not in shown


def parameters(group: click.Command, name: str = "") -> Iterator[tuple[str, click.Parameter]]:
    """Every option and argument of every command."""
    for parameter in group.params:
        yield f"{name} {parameter.name}".strip(), parameter
    if isinstance(group, click.Group):
        for one in group.commands.values():
            yield from parameters(one, f"{name} {one.name}".strip())


def test_no_command_takes_a_secret_as_an_argument() -> None:
    """What stands on a command line stands in the list of processes and in the shell's history."""
    found = dict(parameters(root))
    assert len(found) > 40
    words = ("password", "secret", "token", "key", "code", "credential")
    named = {
        name: one
        for name, one in found.items()
        if any(word in (one.name or "") for word in words)
        and not (isinstance(one, click.Option) and one.is_flag)
    }
    # Where the secret file lies; a name, and ids, of keys.
    assert {one.name for one in named.values()} == {"secret_file"}
    assert "user add password_stdin" in found


def test_an_address_with_a_password_in_it_is_not_repeated(lastcall: Lastcall) -> None:
    """Also where it stands in the environment, as it should."""
    url = "postgresql://lastcall:planted-in-a-url@127.0.0.1:1/lastcall"
    for done in (
        lastcall("serve", "--port", "0", "--database-url", url),
        lastcall("serve", "--port", "0", LASTCALL_DATABASE_URL=url),
        lastcall("user", "list", LASTCALL_DATABASE_URL=url),
        lastcall("doctor", "--json", LASTCALL_DATABASE_URL=url),
    ):
        assert done.status == 1
        assert "the database can't be reached" in done.out + done.err
        assert "planted-in-a-url" not in done.out + done.err
