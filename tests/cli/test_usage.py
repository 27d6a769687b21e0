"""Wrong usage, settings, and databases that can't be opened: one line, and the right status."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Lastcall
from tests.conftest import ROOT

MIGRATIONS = ROOT / "src/lastcall/stores/migrations"


def alter(statement: str) -> None:
    """Change the database in the working directory."""
    db = sqlite3.connect("lastcall.db")
    with db:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ("unknown",),
        ("user", "add"),
        ("user", "list", "--unknown"),
        ("user", "add", "bo@example.com", "--owner", "--admin"),
        ("user", "add", "bo@example.com", "--invite", "--password-stdin"),
        ("user", "add", "bo@example.com"),  # and nobody to ask for a password
        ("key", "create", "api"),
        ("key", "create", "api", "--scope", "everything"),
        ("serve", "--port", "65536"),
        ("serve", "--workers", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_says_how(acme: Lastcall, arguments: tuple[str, ...]) -> None:
    done = acme(*arguments)
    assert (done.status, done.out) == (2, "")
    assert "Error:" in done.err
    assert "Traceback" not in done.err


def test_help_names_every_group_and_every_command_has_some(lastcall: Lastcall) -> None:
    told = lastcall("--help")
    assert told.status == 0
    for name in (
        "serve",
        "demo",
        "user",
        "session",
        "account",
        "key",
        "signing-key",
        "migrate",
        "doctor",
    ):
        assert f"  {name} " in told.out
        assert lastcall(name, "-h").status == 0
    assert "--database-url" in lastcall("user", "add", "--help").out


def test_the_version_is_the_packages(lastcall: Lastcall) -> None:
    assert lastcall("--version").out == "lastcall 0.1.0\n"


def test_without_the_servers_dependencies_one_sentence_says_what_to_install() -> None:
    done = subprocess.run(
        # -S: the standard library and this package, and nothing that is installed.
        [sys.executable, "-S", "-c", "import lastcall.cli"],
        env={"PYTHONPATH": f"{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "lastcall[server]" in done.stderr


# Settings


def test_an_unknown_setting_stops_the_command_and_is_named(acme: Lastcall) -> None:
    done = acme("user", "list", LASTCALL_ACCES_LIFETIME="60")
    assert (done.status, done.out) == (1, "")
    assert done.err == "lastcall: there is no setting LASTCALL_ACCES_LIFETIME\n"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--refresh-grace", "0"),
        ("--access-lifetime", "50000"),
        ("--public-url", "http://example.com"),
        ("--policy", "aal9"),
        ("--trusted-proxies", "here"),
        ("--database-url", "mysql://localhost"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_before_anything_is_served(
    lastcall: Lastcall, tmp_path: Path, flag: str, value: str
) -> None:
    done = lastcall("serve", "--port", "0", flag, value)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith("lastcall: ")
    assert not list(tmp_path.iterdir())


def test_flags_go_before_the_environment_and_that_before_the_file(
    acme: Lastcall, tmp_path: Path
) -> None:
    shutil.move("lastcall.db", "real.db")
    (tmp_path / "my.toml").write_text('database_url = "sqlite:///file.db"\n')
    file = ("user", "list", "--config", "my.toml")
    assert "file.db" in acme(*file).err
    assert "env.db" in acme(*file, LASTCALL_DATABASE_URL="sqlite:///env.db").err
    flag = ("--database-url", "sqlite:///real.db")
    assert acme(*file, *flag, LASTCALL_DATABASE_URL="sqlite:///env.db").status == 0


# Databases


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "list"),
        ("user", "logout", "ada@example.com"),
        ("session", "list", "ada@example.com"),
        ("key", "create", "api", "--scope", "verify"),
        ("migrate",),
    ],
    ids=" ".join,
)
def test_a_mistyped_address_makes_no_database(
    lastcall: Lastcall, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = lastcall(*arguments)
    assert (done.status, done.out) == (1, "")
    assert "there is no database at lastcall.db" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["missing", "another's", "open to others"])
def test_without_its_own_key_a_database_is_refused_in_one_line(acme: Lastcall, what: str) -> None:
    key = Path("lastcall.key")
    match what:
        case "missing":
            key.unlink()
        case "another's":
            other = ("--database-url", "sqlite:///b.db", "--secret-file", "b.key")
            assert acme("account", "add", "B", *other).status == 0
            shutil.copy2("b.key", key)
        case _:
            key.chmod(0o644)
    for command in (("user", "list"), ("serve", "--port", "0")):
        done = acme(*command)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        assert "lastcall.key" in done.err


def test_a_newer_database_is_refused_and_so_is_migrating_it(acme: Lastcall) -> None:
    alter("UPDATE alembic_version SET version_num = '9999'")
    for command in (("user", "list"), ("serve", "--port", "0"), ("migrate",)):
        done = acme(*command)
        assert (done.status, done.out) == (1, "")
        assert "newer lastcall" in done.err


def test_an_older_database_is_refused_until_it_is_migrated(
    acme: Lastcall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from a lastcall with one migration more."""
    later = tmp_path / "migrations"
    today = max(file.name[:4] for file in (MIGRATIONS / "versions").glob("0*.py"))
    shutil.copytree(MIGRATIONS, later)
    (later / "versions/9999_later.py").write_text(
        "from alembic import op\n"
        f"revision, down_revision = '9999', {today!r}\n"
        "def upgrade():\n    op.execute('CREATE TABLE later (id INTEGER)')\n"
    )

    monkeypatch.setattr("lastcall.stores.opening.MIGRATIONS", later)
    refused = acme("user", "list")
    assert (refused.status, refused.out) == (1, "")
    assert "run: lastcall migrate" in refused.err
    assert acme("migrate", "--json").data == {"before": today, "after": "9999"}
    assert acme("user", "list").status == 0
    again = acme("migrate")
    assert (again.status, again.out) == (0, "The database is up to date (schema 9999).\n")


def test_what_a_file_of_this_version_needs_not_is_not_imported(
    acme: Lastcall, tmp_path: Path
) -> None:
    """What migrates and what speaks to PostgreSQL is long in importing."""
    assert acme("user", "list").status == 0
    code = (
        "import sys; from lastcall.cli.root import root;"
        "root(['user', 'list'], standalone_mode=False);"
        "print({'alembic', 'asyncpg', 'sqlalchemy.orm'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_a_file_that_is_no_database_is_refused(lastcall: Lastcall) -> None:
    file = Path("lastcall.db")
    file.write_text("not a database, but long enough to be read as one" * 99)
    file.chmod(0o600)
    done = lastcall("user", "list")
    assert (done.status, done.err) == (1, "lastcall: the file is not a database\n")
