"""What the wheel holds, and what it does where nothing else is installed."""

import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import lastcall
from tests.conftest import ROOT

SOURCE = ROOT / "src"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCUMENTED = ["README.md", *(f"docs/{name}.md" for name in ("verifier", "integrations"))]
_IMPORTED = re.compile(r"^from (lastcall[\w.]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as file:
        name = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(file.read(name).decode())


def python(programs: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code with an environment's Python, which sees nothing but that environment."""
    return subprocess.run(
        [programs / "python", "-I", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# What it holds


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    """But for the translators' `.po` files, of which it holds what is made from them."""
    wanted = {
        file.relative_to(SOURCE).as_posix()
        for file in SOURCE.glob("lastcall/**/*")
        if file.is_file() and file.parent.name != "__pycache__" and file.suffix != ".po"
    }
    with zipfile.ZipFile(wheel) as held:
        files = {name for name in held.namelist() if ".dist-info/" not in name}
    assert files == wanted
    assert {
        "lastcall/py.typed",
        "lastcall/web/static/app.css",
        "lastcall/web/templates/base.html",
        "lastcall/web/locale/de/LC_MESSAGES/lastcall.mo",
        "lastcall/stores/migrations/versions/0001_first.py",
    } <= files


def test_its_metadata_name_what_it_needs_its_licenses_and_its_command(wheel: Path) -> None:
    said = metadata(wheel)
    base = [text for text in said.get_all("Requires-Dist", []) if "extra ==" not in text]
    assert {Requirement(text).name for text in base} == {"cryptography", "msgspec", "websockets"}
    assert set(said.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    assert said.get_all("License-File") == ["LICENSE", "NOTICE", "THIRD_PARTY.md"]
    assert said["Requires-Python"] == ">=3.11"
    with zipfile.ZipFile(wheel) as file:
        folder = next(name for name in file.namelist() if name.endswith("/entry_points.txt"))
        assert "lastcall = lastcall.cli:main" in file.read(folder).decode()
        licenses = {name.rpartition("/")[2] for name in file.namelist() if "/licenses/" in name}
    assert licenses == {"LICENSE", "NOTICE", "THIRD_PARTY.md"}


# The base install


def test_the_base_install_verifies(base: Path) -> None:
    """With a server that is not there: it refuses what no answer was had for."""
    code = """
from lastcall import *
with Verifier("http://127.0.0.1:1", key="lck_none") as verifier:
    try:
        verifier.verify("no token")
    except (InvalidToken, Unavailable) as error:
        assert isinstance(error, Error)
        print("refused")
"""
    done = python(base, code)
    assert done.stdout == "refused\n", done.stderr


def test_importing_lastcall_loads_nothing_but_the_standard_library(base: Path) -> None:
    code = "import sys, lastcall; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = python(base, code).stdout
    assert "lastcall" in loaded
    assert not {"cryptography", "msgspec", "websockets"} & set(re.findall(r"\w+", loaded))


@pytest.mark.parametrize("module", ["core", "starlette", "wsgi"])
def test_an_integration_that_needs_no_framework_works_without_any(module: str, base: Path) -> None:
    done = python(base, f"import lastcall.integrations.{module}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("module", "framework"),
    [("django", "Django"), ("fastapi", "FastAPI"), ("flask", "Flask"), ("litestar", "Litestar")],
)
def test_an_integration_without_its_framework_says_what_to_install(
    module: str, framework: str, base: Path
) -> None:
    done = python(base, f"import lastcall.integrations.{module}")
    wanted = (
        f"ImportError: lastcall.integrations.{module} needs {framework}: "
        f"pip install 'lastcall[{module}]'"
    )
    assert done.stderr.splitlines()[-1] == wanted


def test_the_server_without_its_extra_says_what_to_install(base: Path) -> None:
    done = python(base, "import lastcall.server")
    wanted = "ImportError: lastcall.server needs its dependencies: pip install 'lastcall[server]'"
    assert done.stderr.splitlines()[-1] == wanted


@pytest.mark.parametrize("command", [["lastcall", "serve"], ["python", "-m", "lastcall"]])
def test_the_command_without_the_server_s_extra_says_what_to_install(
    command: list[str], base: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [base / command[0], *command[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "lastcall: the command line needs the server's dependencies; "
        "run: pip install 'lastcall[server]'\n"
    )


# Names


def test_the_public_names_are_those_that_are_promised() -> None:
    promised = [
        "Client",
        "Error",
        "InvalidToken",
        "Session",
        "SessionEnded",
        "Sessions",
        "Unavailable",
        "Verifier",
    ]
    assert sorted(lastcall.__all__) == promised
    assert dir(lastcall) == promised
    given: dict[str, object] = {}
    exec("from lastcall import *", given)  # noqa: S102
    assert sorted(name for name in given if name != "__builtins__") == promised


def documented() -> list[tuple[str, str]]:
    """Each module of lastcall that a user's documentation imports from, with the name."""
    found = {
        (module, name.strip())
        for page in DOCUMENTED
        for module, names in _IMPORTED.findall((ROOT / page).read_text())
        for name in names.partition("#")[0].strip("()\n ").split(",")
        if name.strip()
    }
    return sorted(found)


@pytest.mark.parametrize(("module", "name"), documented())
def test_what_the_documentation_imports_is_public(module: str, name: str) -> None:
    loaded = importlib.import_module(module)
    assert not name.startswith("_")
    assert hasattr(loaded, name)
    assert name in getattr(loaded, "__all__", [name])


# Types

USER = """
from datetime import datetime

import lastcall


def who(verifier: lastcall.Verifier, token: str) -> tuple[str, tuple[str, ...], datetime] | None:
    try:
        session: lastcall.Session = verifier.verify(token)
    except lastcall.InvalidToken as error:
        print(error.code)
        return None
    except lastcall.SessionEnded as error:
        print(error.reason, error.ended_at)
        return None
    except (lastcall.Unavailable, lastcall.Error):
        return None
    return session.user_id, session.roles, session.expires_at


async def later(verifier: lastcall.Verifier, token: str) -> str:
    return (await verifier.averify(token)).account_id


with lastcall.Verifier("https://id.example.com", key="lck_") as verifier:
    verifier.wait_ready(timeout=5)
    print(who(verifier, "token"), verifier.status().leased)
"""
ON_FASTAPI = """
from typing import Annotated

from fastapi import Depends, FastAPI

from lastcall import Session, Verifier
from lastcall.integrations.fastapi import CurrentSession, LastcallMiddleware, require

app = FastAPI()
app.add_middleware(LastcallMiddleware, verifier=Verifier("https://id.example.com", key="lck_"))


@app.get("/me")
def me(session: CurrentSession) -> dict[str, str]:
    return {"user": session.user_id}


@app.post("/purge")
def purge(session: Annotated[Session, Depends(require("admin", max_age=600))]) -> dict[str, str]:
    return {"by": session.user_id}
"""


def mypy(programs: Path, folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Check a program strictly against what is installed in an environment."""
    (folder / "program.py").write_text(program)
    strict = ["mypy", "--strict", "--config-file=", f"--python-executable={programs / 'python'}"]
    return subprocess.run(
        [sys.executable, "-m", *strict, "--cache-dir=cache", "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_program_that_verifies_is_typed_strictly(base: Path, tmp_path: Path) -> None:
    """And one that takes a session's user for a number is refused."""
    done = mypy(base, tmp_path, USER)
    assert done.returncode == 0, done.stdout
    wrong = USER.replace("-> tuple[str, ", "-> tuple[int, ")
    assert "[return-value]" in mypy(base, tmp_path, wrong).stdout


def test_an_application_on_fastapi_is_typed_strictly(with_fastapi: Path, tmp_path: Path) -> None:
    done = mypy(with_fastapi, tmp_path, ON_FASTAPI)
    assert done.returncode == 0, done.stdout
