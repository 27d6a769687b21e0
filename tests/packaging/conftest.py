"""The built wheel, and environments into which it is installed."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once from what is here."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


def needed(of: Distribution, extra: str = "") -> Iterator[Distribution]:
    """What a distribution's own metadata asks for here, with what that asks for in its turn."""
    for requirement in map(Requirement, of.requires or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            found = distribution(requirement.name)
            yield found
            yield from needed(found)


def environment(folder: Path, wheel: Path, extra: str = "") -> Path:
    """Make an environment with the wheel and copies of what it needs, without a network.

    Gives its folder of programs.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / "bin"
    install = ["uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--python"]
    subprocess.run(
        [sys.executable, "-m", *install, programs / "python", wheel], check=True, timeout=120
    )
    site = next(folder.glob("lib/python*/site-packages"))
    installed = Distribution.at(next(site.glob("lastcall-*.dist-info")))
    wanted = {canonicalize_name(one.name): one for one in needed(installed, extra)}
    for one in wanted.values():
        for file in one.files or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path(str(file.locate())), target)
    return programs


@pytest.fixture(scope="session")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with `lastcall` alone and what that brings."""
    return environment(tmp_path_factory.mktemp("base"), wheel)


@pytest.fixture(scope="session")
def with_fastapi(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with `lastcall[fastapi]`."""
    return environment(tmp_path_factory.mktemp("fastapi"), wheel, "fastapi")
