"""The house rules: lock files, the Makefile, the package, and lint rules of our own."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import check_comparisons

MAKE_TO_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}


def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program in the repository's folder, as if from a shell, even within `make test`."""
    environ = {key: value for key, value in os.environ.items() if key not in MAKE_TO_MAKE}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def ruff(code: str, pretended: str) -> str:
    """What the linter says about code, were it in that file."""
    return run(
        sys.executable, "-m", "ruff", "check", "--stdin-filename", pretended, "-", stdin=code
    ).stdout


# Lock files


def test_the_lock_files_are_in_order() -> None:
    done = run(sys.executable, "-m", "tools.check_locks")
    assert done.returncode == 0, done.stderr


def test_no_lock_file_holds_an_address() -> None:
    locks = list((ROOT / "requirements").glob("*.txt"))
    assert len(locks) == 3
    assert not [lock.name for lock in locks if "://" in lock.read_text()]


# The Makefile and CI


def test_make_help_lists_every_target_and_each_exists() -> None:
    phony = next(
        line.removeprefix(".PHONY:").split()
        for line in (ROOT / "Makefile").read_text().splitlines()
        if line.startswith(".PHONY:")
    )
    listed = [line.split()[1] for line in run("make", "help").stdout.splitlines()]
    assert sorted(listed) == sorted(phony)
    assert run("make", "--dry-run", *listed).returncode == 0


def test_make_alone_prints_the_help() -> None:
    assert run("make").stdout == run("make", "help").stdout


def test_setup_refuses_a_python_that_is_too_old_and_says_so(tmp_path: Path) -> None:
    old = tmp_path / "python3.10"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.13 || exit 1\n')
    old.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = run("make", "--directory", str(tmp_path), "setup", f"PYTHON={old}")
    assert done.returncode != 0
    assert "needs Python 3.11 or later" in done.stderr
    assert "Python 3.10.13" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_is_an_executable_that_bash_can_read() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    done = run("bash", "-n", ".ci/run")
    assert done.returncode == 0, done.stderr


# The package


def test_the_installed_version_is_the_one_written_down() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert version("lastcall") == pyproject["project"]["version"]


def test_the_package_index_shows_the_readme() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"].get("readme") == "README.md"


def test_what_the_base_install_imports_needs_nothing_of_the_server() -> None:
    """Applications that only verify install no web framework and no database library."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    base = ["access", "clock", "digests", "errors", "events", "ids", "leases.verifier"]
    code = f"""
import sys
before = set(sys.modules)
import lastcall, {", ".join(f"lastcall.{name}" for name in base)}
print(*{{name.partition(".")[0] for name in set(sys.modules) - before}})
"""
    loaded = set(run(sys.executable, "-c", code).stdout.split())
    assert {"lastcall", "cryptography", "msgspec"} <= loaded
    assert not loaded & set(pyproject["tool"]["importlinter"]["contracts"][2]["forbidden_modules"])


# The lint rules of our own


@pytest.mark.parametrize(
    ("code", "home"),
    [
        ("import time\n\ntime.time()\n", "clock"),
        ("import time\n\ntime.monotonic()\n", "clock"),
        ("from datetime import UTC, datetime\n\ndatetime.now(UTC)\n", "clock"),
        ("import os\n\nos.urandom(16)\n", "clock"),
        ("import secrets\n\nsecrets.token_bytes(16)\n", "clock"),
        ("import uuid\n\nuuid.uuid4()\n", "clock"),
        ("import hmac\n\nhmac.compare_digest(b'', b'')\n", "digests"),
        ("import os\n\nos.environ.get('HOME')\n", "settings"),
    ],
    ids=lambda text: text.split("\n")[2].partition("(")[0] if "\n" in text else text,
)
def test_what_has_one_home_is_refused_elsewhere(code: str, home: str) -> None:
    assert "TID251" in ruff(code, "src/lastcall/sessions/rules.py")
    assert "TID251" not in ruff(code, f"src/lastcall/{home}.py")


@pytest.mark.parametrize(
    "code",
    [
        "if token == other: ...",
        "given.secret_hash != kept",
        "known = kept == given.password",
        "mac(key, message) == given",
        "given == hashlib.sha256(x).hexdigest()",
        "row['password_hash'] == x",
        "request.headers['token'] == x",
        "x == (await read_token())",
        "session.token in tokens",
        "given in (first_secret, second_secret)",
        "0 < size == signature[0]",
        "assert (token := read()) == kept",
    ],
)
def test_a_secret_is_compared_in_constant_time_or_not_at_all(code: str) -> None:
    assert [line for line, _ in check_comparisons.faults(code)] == [1]


@pytest.mark.parametrize(
    "code",
    [
        "same(token, other)",
        "token is None",
        "token == ''",
        "kind == 'password'",
        "'eyJ' in token",
        "single_use.c.secret_hash == secret_hash",
        "token_id == other",
        "tokens != others",
        "password_changed_at == at",
        "hash_length == 32",
        "1 if x else 2",
    ],
)
def test_what_compares_no_secret_is_left_alone(code: str) -> None:
    assert not list(check_comparisons.faults(code))


def test_no_secret_of_the_package_is_compared_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that is planted in it is found."""
    assert check_comparisons.main() == 0
    shutil.copytree(ROOT / "src", tmp_path / "src")
    planted = tmp_path / "src/lastcall/tokens.py"
    good = "if not same(given, secretfile.mac(secrets.refresh, body.encode("
    assert good in planted.read_text()
    bad = good.replace("not same(given, secretfile", "given != (secretfile")
    planted.write_text(planted.read_text().replace(good, bad))
    monkeypatch.setattr(check_comparisons, "ROOT", tmp_path)
    assert check_comparisons.main() == 1
    assert "src/lastcall/tokens.py:" in capsys.readouterr().err


def test_tests_may_not_sleep() -> None:
    assert "TID251" in ruff("import time\n\ntime.sleep(1)\n", "tests/unit/test_example.py")


# What may import what


def test_every_module_has_its_layer() -> None:
    """A module that no contract names could import whatever it likes."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = " ".join(pyproject["tool"]["importlinter"]["contracts"][0]["layers"])
    modules = {
        file.stem
        for file in (ROOT / "src/lastcall").iterdir()
        if (file.suffix == ".py" and file.stem != "__init__") or (file / "__init__.py").exists()
    }
    assert modules
    assert not {module for module in modules if f"(lastcall.{module}" not in layers}
